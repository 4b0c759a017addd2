package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

const (
	// maxSessionLifetime is how long after a sign-in a session ends, however
	// much it is used.
	maxSessionLifetime = 30 * 24 * time.Hour
	// touchInterval is how exactly a session remembers when it was last used.
	touchInterval = 5 * time.Minute
)

// destination is where a sign-in leads: on with an interaction, or to one of
// our own pages. It never is an address.
type destination struct {
	interaction string // handle
	page        string // of returns
}

// returns are the pages that a sign-in can lead to, by the names they have in
// the parameter return.
func returns(name string) (path string, ok bool) {
	switch name {
	case "account":
		return pathAccount, true
	case sectionSecurity:
		return pathAccountSecurity, true
	case "device":
		return pathDevice, true
	}
	return "", false
}

// newDestination reads where to go. No parameter means the account.
func newDestination(interaction, page string) (destination, error) {
	if page == "" {
		page = "account"
	}
	_, ours := returns(page)
	switch {
	case len(interaction) > maxCookie:
		return destination{}, startAgain(errors.New("no handle is that long"))
	case interaction != "":
		return destination{interaction: interaction}, nil
	case !ours:
		return destination{}, invalidRequest("There is no such place to return to.")
	}
	return destination{page: page}, nil
}

// hash is the interaction's; zero without one.
func (d destination) hash() [32]byte {
	if d.interaction == "" {
		return [32]byte{}
	}
	return sha256.Sum256([]byte(d.interaction))
}

// at is a page of the sign-in, with d as its parameter.
func (d destination) at(path string, more ...string) string {
	query := url.Values{}
	if d.interaction != "" {
		query.Set("interaction", d.interaction)
	} else {
		query.Set("return", d.page)
	}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return path + "?" + query.Encode()
}

// form is what a form of the sign-in needs to keep its destination.
func (d destination) form(path string) web.Form {
	if d.interaction == "" {
		path = d.at(path)
	}
	return web.Form{Action: path, Interaction: d.interaction}
}

// leave sends the browser to its destination.
func (s *Server) leave(w http.ResponseWriter, d destination) error {
	if d.interaction != "" {
		return seeOther(w, s.resume(d.interaction))
	}
	path, _ := returns(d.page)
	return seeOther(w, s.issuer.EscapedPath()+path)
}

// signIn begins a session of the user and ends the one that the browser had: a
// cookie planted before is worth nothing after it (session fixation). It sends
// the browser on to its destination.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, entry *logEntry, user storage.User, methods []string, d destination) error {
	_, replaced := s.cookie(r, cookieSession)
	browser := s.browser(w, r)
	value, hash := sealed.NewHandle()
	interaction, err := s.cfg.Store.SignIn(r.Context(), storage.Session{
		Hash: hash, UserID: user.ID, Methods: methods,
		AuthTime: entry.start, CreatedAt: entry.start, LastSeenAt: entry.start,
		ExpiresAt: entry.start.Add(min(s.cfg.Login.SessionLifetime, maxSessionLifetime)),
		UserAgent: userAgent(r), Address: remoteAddress(r),
	}, replaced, d.hash())
	if errors.Is(err, storage.ErrNotFound) {
		return startAgain(err)
	}
	if err != nil {
		return err
	}
	if d.interaction != "" && subtle.ConstantTimeCompare(interaction.Browser[:], browser[:]) != 1 {
		// Nobody has this session's cookie; without it the interaction asks again.
		return startAgain(errors.Join(errors.New("the interaction of another browser"), s.cfg.Store.DeleteSession(r.Context(), user.ID, hash)))
	}
	entry.subject, entry.clientID = user.ID, interaction.ClientID
	s.setCookie(w, cookieSession, value, maxSessionLifetime)
	if err := s.rememberHere(w, r, browser, user.Username, entry.start); err != nil {
		return err
	}
	s.cfg.SecurityLog.InfoContext(r.Context(), "signed in", "request_id", entry.requestID,
		"subject", user.ID, "methods", methods, "client_id", interaction.ClientID, "remote_addr", r.RemoteAddr)
	return s.leave(w, d)
}

// touch keeps a session alive that is being used. It is cheap to call often.
func (s *Server) touch(ctx context.Context, session storage.Session, now time.Time) error {
	if now.Sub(session.LastSeenAt) < touchInterval {
		return nil
	}
	expiresAt := now.Add(s.cfg.Login.SessionLifetime)
	if end := session.CreatedAt.Add(maxSessionLifetime); expiresAt.After(end) {
		expiresAt = end
	}
	return s.cfg.Store.TouchSession(ctx, session.Hash, expiresAt, now)
}

// maxSealedCookie bounds what is looked at as a sealed cookie.
const maxSealedCookie = 2048

// sealCookie keeps a value in a cookie that nobody can read or change and that
// is good in one browser only.
func (s *Server) sealCookie(w http.ResponseWriter, browser [32]byte, kind string, value any, lifetime time.Duration, now time.Time) error {
	text, err := s.sealed.SealValue("cookie "+kind, bound(browser), value, now.Add(lifetime))
	if err == nil {
		s.setCookie(w, kind, text, lifetime)
	}
	return err
}

// openCookie reads what sealCookie has kept, or returns [sealed.ErrOpen].
func (s *Server) openCookie(r *http.Request, kind string, now time.Time, value any) error {
	_, browser := s.cookie(r, cookieBrowser)
	found := r.CookiesNamed(s.cookieName(kind))
	if browser == [32]byte{} || len(found) != 1 || len(found[0].Value) > maxSealedCookie {
		return sealed.ErrOpen
	}
	return s.sealed.OpenValue("cookie "+kind, bound(browser), found[0].Value, now, value)
}

// bound is a browser as what a sealed value belongs to.
func bound(browser [32]byte) string { return hex.EncodeToString(browser[:]) }
