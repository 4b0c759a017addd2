package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

const (
	deviceLifetime = 10 * time.Minute
	deviceInterval = 5 * time.Second // RFC 8628 §3.5

	// A user code has 34 bits, so guessing must be slow (RFC 8628 §5.1): one
	// address gets maxAddressCodes tries, of these one browser maxBrowserCodes,
	// until the last of them is deviceLifetime ago.
	maxBrowserCodes = 10
	maxAddressCodes = 100
)

// deviceRoutes are those of the device authorization grant (RFC 8628).
func (s *Server) deviceRoutes() []route {
	return []route{
		{http.MethodPost, pathDeviceAuthorization, "device_authorization", maxFormBytes, true, false, s.authorizeDevice},
		{http.MethodGet, pathDevice, pagePrefix + "device", 0, false, false, s.devicePage},
		{http.MethodPost, pathDevice, pagePrefix + "device", maxFormBytes, false, false, s.enterUserCode},
	}
}

// deviceResponse is the answer of RFC 8628 §3.2.
type deviceResponse struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"`
	Interval                int64  `json:"interval"`
}

// authorizeDevice is the device authorization endpoint (RFC 8628 §3.1).
func (s *Server) authorizeDevice(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	p, err := parseParams(r)
	if err != nil {
		return err
	}
	c, err := s.authenticateClient(r.Context(), r, p)
	if err != nil {
		return err
	}
	if err := s.admitClient(r, entry, c); err != nil {
		return err
	}
	if !c.may(grantDeviceCode) {
		return unauthorizedClient()
	}
	to, err := s.target(c, p.resources())
	if err != nil {
		return err
	}
	asked, err := s.userScopes(c, to, p.get("scope"))
	if err != nil {
		return err
	}
	if s.refreshable(c, asked, asked) {
		asked = asked.Union(scopes.Of(scopeOffline)) // for the person to see and decide
	}
	deviceCode, hash := sealed.NewHandle()
	userCode, err := s.createDevice(r.Context(), storage.DeviceAuthorization{
		DeviceCode: hash, ClientID: c.ID, Scopes: asked,
		Resource: to.canonical, Audience: to.audience, TokenFormat: c.format(to),
		Device: userAgent(r), Refresh: asked.Has(scopeOffline) && c.may(grantRefreshToken),
		Interval: deviceInterval, CreatedAt: entry.start, ExpiresAt: entry.start.Add(deviceLifetime),
	})
	if err != nil {
		return err
	}
	at := s.cfg.Issuer + pathDevice
	writeJSON(w, http.StatusOK, deviceResponse{
		DeviceCode: deviceCode, UserCode: userCode,
		VerificationURI: at, VerificationURIComplete: at + "?" + url.Values{"user_code": {userCode}}.Encode(),
		ExpiresIn: int64(deviceLifetime / time.Second), Interval: int64(deviceInterval / time.Second),
	})
	return nil
}

// createDevice stores d under a user code that no other living request has.
func (s *Server) createDevice(ctx context.Context, d storage.DeviceAuthorization) (userCode string, err error) {
	for range 3 { // two of 20^8 codes meet once in a blue moon, three times never
		userCode = newUserCode()
		d.UserCode = sha256.Sum256([]byte(userCode))
		if err = s.cfg.Store.CreateDeviceAuthorization(ctx, d); !errors.Is(err, storage.ErrExists) {
			break
		}
	}
	return userCode, err
}

// devicePage asks a person for the code that the device shows (RFC 8628 §3.3).
// A code that came with the link is filled in, never used by itself.
func (s *Server) devicePage(w http.ResponseWriter, r *http.Request, _ *logEntry) error {
	s.browser(w, r)
	form, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	return s.askUserCode(w, http.StatusOK, form.Get("user_code"), web.Problem{})
}

func (s *Server) askUserCode(w http.ResponseWriter, status int, typed string, problem web.Problem) error {
	page, err := s.pages.Device(web.Device{
		Form: web.Form{Action: pathDevice}, UserCode: strings.ToValidUTF8(typed[:min(len(typed), maxUserCode)], ""), Problem: problem,
	})
	return writePage(w, status, page, err)
}

// refuseUserCode asks again, and says in the log why.
func (s *Server) refuseUserCode(w http.ResponseWriter, entry *logEntry, status int, typed string, problem web.Problem) error {
	entry.failure = &oauthError{status: status, code: codeInvalidRequest, description: problem.Text}
	return s.askUserCode(w, status, typed, problem)
}

// enterUserCode turns a user code into an interaction of this browser, which
// goes through sign-in and consent like any other.
func (s *Server) enterUserCode(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	p, err := parseParams(r)
	if err != nil {
		return err
	}
	typed, browser := p.get("user_code"), s.browser(w, r)
	wrong := func(text string) error {
		return s.refuseUserCode(w, entry, http.StatusBadRequest, typed, web.Problem{Text: text})
	}
	code, ok := readUserCode(typed)
	if !ok {
		return wrong("A code has eight letters. Check what your device shows.")
	}
	pause, err := s.countUserCode(r, browser, entry.start)
	if err != nil {
		return err
	}
	if pause > 0 {
		s.cfg.SecurityLog.WarnContext(r.Context(), "user codes are being guessed", "request_id", entry.requestID, "remote_addr", r.RemoteAddr)
		wait := int((pause + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(wait))
		return s.refuseUserCode(w, entry, http.StatusTooManyRequests, typed, web.Problem{
			Text: "Too many codes were tried from here. Wait before you try again.", Wait: wait,
		})
	}
	d, err := s.cfg.Store.DeviceAuthorization(r.Context(), sha256.Sum256([]byte(code)), entry.start)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return wrong("No device waits with this code. Check it, or ask the device for a new one: codes expire after ten minutes.")
	case errors.Is(err, storage.ErrSpent):
		return wrong("This code was used already. Ask the device for a new one.")
	case err != nil:
		return err
	}
	return s.beginDevice(w, r, entry, d, code, browser)
}

// beginDevice begins the interaction. Consent is always asked, and shows the
// code again: the person must compare it with the device (RFC 8628 §5.4).
func (s *Server) beginDevice(w http.ResponseWriter, r *http.Request, entry *logEntry, d storage.DeviceAuthorization, userCode string, browser [32]byte) error {
	entry.clientID = d.ClientID
	if _, err := s.knownClient(r.Context(), d.ClientID); err != nil {
		return err
	}
	handle, hash := sealed.NewHandle()
	err := s.cfg.Store.CreateInteraction(r.Context(), storage.Interaction{
		Hash: hash, Browser: browser, ClientID: d.ClientID, State: userCode,
		Scopes: d.Scopes, Resource: d.Resource, Audience: d.Audience, TokenFormat: d.TokenFormat,
		Prompt: []string{promptConsent}, MaxAge: -1, UserCode: d.UserCode,
		CreatedAt: entry.start, ExpiresAt: d.ExpiresAt,
	})
	if err != nil {
		return err
	}
	return seeOther(w, s.resume(handle))
}

// shownUserCode is the user code of a device's request, for the consent page;
// empty for a request of a browser's own. Such an interaction has no state to
// keep for the client, so the code stands there.
func shownUserCode(p storage.Progress) string {
	if p.UserCode == [32]byte{} {
		return ""
	}
	return p.State
}

// countUserCode counts a try and returns zero, or how long to wait when it is one
// too many, which counts nothing: who goes on trying waits no longer. All others
// count, or somebody could clear the count with codes of devices of their own.
func (s *Server) countUserCode(r *http.Request, browser [32]byte, now time.Time) (wait time.Duration, err error) {
	keys := [][32]byte{
		sha256.Sum256(append([]byte("user code browser "), browser[:]...)),
		sha256.Sum256([]byte("user code address " + remoteAddress(r))),
	}
	most := [...]int{maxBrowserCodes, maxAddressCodes}
	before, err := s.cfg.Store.SignInAttempt(r.Context(), "", keys, now) // of nobody
	if err != nil {
		return 0, err
	}
	for i, tried := range before.Failures {
		if tried.Count >= most[i] {
			wait = max(wait, tried.LastAt.Add(deviceLifetime).Sub(now))
		}
	}
	if wait > 0 {
		return wait, nil
	}
	counts, err := s.cfg.Store.CountFailures(r.Context(), keys, now.Add(deviceLifetime), now)
	for i, count := range counts { // others may have tried meanwhile
		if count > most[i] {
			wait = deviceLifetime
		}
	}
	return wait, err
}

// userCodeLetters have no vowels, so that codes are no words, and nothing that
// looks like something else (RFC 8628 §6.1).
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
	maxUserCode     = 16 // what is shown again of what was typed
)

// newUserCode returns a random user code.
func newUserCode() string {
	code := make([]byte, 0, userCodeLength)
	for len(code) < userCodeLength {
		var b [1]byte
		rand.Read(b[:])
		if int(b[0]) < 256-256%len(userCodeLetters) { // each letter is as likely
			code = append(code, userCodeLetters[int(b[0])%len(userCodeLetters)])
		}
	}
	return inGroups(code)
}

// readUserCode returns the user code that a person typed as the device shows
// it: case, hyphens and spaces do not count. False for what cannot be one.
func readUserCode(typed string) (code string, ok bool) {
	letters := make([]byte, 0, userCodeLength)
	for _, c := range []byte(strings.ToUpper(typed)) {
		switch {
		case strings.IndexByte(userCodeLetters, c) >= 0 && len(letters) < userCodeLength:
			letters = append(letters, c)
		case strings.IndexByte("- ._", c) < 0:
			return "", false
		}
	}
	if len(letters) < userCodeLength {
		return "", false
	}
	return inGroups(letters), true
}

func inGroups(code []byte) string {
	return string(code[:userCodeLength/2]) + "-" + string(code[userCodeLength/2:])
}

// decideDevice records what the person has decided about a device's request
// and ends the interaction it was decided in (RFC 8628 §3.3). granted are the
// scopes of an approval.
func (s *Server) decideDevice(w http.ResponseWriter, r *http.Request, entry *logEntry, p storage.Progress, granted scopes.Set, allow bool) error {
	decision := storage.DeviceDecision{UserCode: p.UserCode, Approved: allow}
	if allow {
		c, err := s.knownClient(r.Context(), p.ClientID)
		if err != nil {
			return err
		}
		decision.ClientDigest = c.digest()
		decision.GrantID = newGrantID()
		decision.UserID, decision.Scopes = p.User.ID, granted
		decision.AuthTime, decision.Methods = p.SignedIn.AuthTime, p.SignedIn.Methods
	}
	entry.clientID, entry.subject, entry.grantID = p.ClientID, p.User.ID, decision.GrantID
	err := s.cfg.Store.DecideDevice(r.Context(), decision, p.Hash, entry.start)
	if errors.Is(err, storage.ErrSpent) {
		return startAgain(err)
	}
	if err != nil {
		return err
	}
	notice := web.Notice{Title: "You can go back to your device", Text: "It is connected now and goes on by itself."}
	if !allow {
		notice = web.Notice{Title: "You can go back to your device", Text: "It was not connected. Nothing was shared."}
	}
	page, err := s.pages.Notice(notice)
	return writePage(w, http.StatusOK, page, err)
}
