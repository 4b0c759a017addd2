package authserver

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/password"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// Ways to have signed in (RFC 8176 §2), but for upstream, which has none there.
const (
	byPassword = "pwd"
	byCode     = "otp"
	byFactors  = "mfa"
	byUpstream = "fed"
)

// What a person reads who could not be signed in. Nobody learns from them
// whether there is such an account, unless he has proven to be its owner.
const (
	textWrong    = "The username or the password is wrong."
	textSlowed   = "There were too many attempts."
	textDisabled = "This account is disabled. Ask whoever runs this server."
)

// visit is who comes to sign in, and what for.
type visit struct {
	destination
	session  storage.Session // zero: nobody is signed in
	user     storage.User
	client   *web.Client // nil: for the account
	hint     string      // username that the client expects
	required bool        // although somebody may be signed in
	choose   bool        // as whoever the person likes
}

// visit reads the visitor of a destination, in one statement at most.
func (s *Server) visit(r *http.Request, entry *logEntry, d destination) (v visit, err error) {
	v.destination = d
	if d.interaction == "" {
		v.session, v.user, err = s.signedIn(r, entry)
		v.required = errors.Is(err, storage.ErrNotFound)
		if v.required {
			err = nil
		}
		return v, err
	}
	p, err := s.progress(r, entry, d.interaction)
	if err != nil {
		return v, err
	}
	c, err := s.knownClient(r.Context(), p.ClientID)
	if err != nil {
		return v, err
	}
	client := s.clientOnPage(c, p.RedirectURI)
	v.session, v.user, v.client, v.required = p.SignedIn, p.User, &client, needsSignIn(p)
	v.choose = slices.Contains(p.Prompt, promptSelectAccount)
	v.hint, _ = CanonicalUsername(p.LoginHint) // it is only a hint
	return v, nil
}

// loginPage answers with the sign-in page, or sends on who is signed in
// already. With again=1 it asks once more before something important; with
// switch=1 for somebody else.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	query := r.URL.Query()
	d, err := newDestination(query.Get("interaction"), query.Get("return"))
	if err != nil {
		return err
	}
	v, err := s.visit(r, entry, d)
	if err != nil {
		return err
	}
	again, other := query.Has("again"), query.Has("switch")
	switch {
	case !v.required && !again && !other:
		if err := s.touch(r.Context(), v.session, entry.start); err != nil {
			return err
		}
		return s.leave(w, d)
	case v.session.Hash == [32]byte{}:
		return s.signInPage(w, r, v, entry.start, http.StatusOK, v.hint, web.Problem{})
	case other, v.choose:
		return s.signInPage(w, r, v, entry.start, http.StatusOK, "", web.Problem{})
	}
	return s.signInPage(w, r, v, entry.start, http.StatusOK, v.user.Username, web.Problem{})
}

// signInPage answers with the page. What was wrong with a form is answered with
// 422: password managers do not keep such a password, and 401 would promise a
// challenge (RFC 9110 §15.5.2) that a form is not.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, v visit, now time.Time, status int, username string, problem web.Problem) error {
	page := web.SignIn{
		Form: v.form(pathLogin), Client: v.client, Username: username, Passwords: !s.cfg.Login.NoPasswords, Problem: problem,
		Reauthenticate: username != "" && username == v.user.Username,
	}
	for _, p := range s.people.upstreams {
		page.Upstreams = append(page.Upstreams, web.Upstream{ID: p.ID, Name: p.Name})
	}
	var err error
	if page.Passkey, err = s.passkeyRequest(w, r, v, now); err != nil {
		return err
	}
	document, err := s.pages.SignIn(page)
	return writePage(w, status, document, err)
}

// login takes the form of the sign-in page: an upstream provider to go to, or
// username and password.
func (s *Server) login(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	form, err := parseParams(r)
	if err != nil {
		return err
	}
	d, err := newDestination(form.get("interaction"), r.URL.Query().Get("return"))
	if err != nil {
		return err
	}
	if id := form.get("upstream"); id != "" {
		return s.beginUpstream(w, r, entry, d, id)
	}
	if s.cfg.Login.NoPasswords {
		return invalidRequest("Nobody signs in by password here.")
	}
	return s.loginByPassword(w, r, entry, d, form.get("username"), form.get("password"))
}

// loginByPassword judges a password. Whoever the account's owner is, unknown or
// not, it costs the same.
func (s *Server) loginByPassword(w http.ResponseWriter, r *http.Request, entry *logEntry, d destination, typed, secret string) error {
	ctx := r.Context()
	name, err := CanonicalUsername(typed)
	counted := name
	if err != nil {
		counted = typed // nobody's, and counted all the same
	}
	try, wait, err := s.begin(ctx, name, s.counters(r, "password", counted, entry.start), entry.start)
	if err != nil {
		return err
	}
	defer try.end()
	refused := refusedSignIn{destination: d, username: typed, subject: try.User.ID}
	if wait > 0 {
		return s.slowed(w, r, entry, refused, wait)
	}
	right, old, err := s.people.hasher.Verify(ctx, try.User.PasswordHash, secret)
	switch {
	case errors.Is(err, password.ErrBusy):
		return unavailable(err)
	case err != nil:
		return err
	case !right:
		refused.wait, err = try.failed(ctx)
		if err != nil {
			return err
		}
		return s.refuseSignIn(w, r, entry, refused, http.StatusUnprocessableEntity, textWrong)
	case try.User.Disabled:
		return s.refuseSignIn(w, r, entry, refused, http.StatusForbidden, textDisabled)
	}
	if err := try.succeeded(ctx); err != nil {
		return err
	}
	if old {
		s.rehash(ctx, try.User, secret, entry.start)
	}
	return s.proceed(w, r, entry, try.User, []string{byPassword}, d)
}

// proceed asks for the second factor of a user who has one, and signs in who
// has none.
func (s *Server) proceed(w http.ResponseWriter, r *http.Request, entry *logEntry, user storage.User, methods []string, d destination) error {
	if user.TOTPSecret == nil {
		return s.signIn(w, r, entry, user, methods, d)
	}
	entry.subject = user.ID
	err := s.sealCookie(w, s.browser(w, r), cookiePending, pending{user.ID, user.Revision, user.Username, methods}, pendingLifetime, entry.start)
	if err != nil {
		return err
	}
	return seeOther(w, s.issuer.EscapedPath()+d.at(pathSecondFactor))
}

// rehash brings a hash that is weaker than new ones up to date. The sign-in does
// not depend on it.
func (s *Server) rehash(ctx context.Context, user storage.User, secret string, now time.Time) {
	hash, err := s.people.hasher.Hash(ctx, secret)
	if err == nil {
		user.PasswordHash = hash
		_, err = s.cfg.Store.UpdateUser(ctx, user, nil, now)
	}
	if err != nil && !errors.Is(err, storage.ErrConflict) {
		s.cfg.Logger.WarnContext(ctx, "an old password hash could not be replaced", "subject", user.ID, "error", err)
	}
}

// refusedSignIn is a sign-in that did not succeed.
type refusedSignIn struct {
	destination
	username string // as typed
	subject  string // of the account; empty when there is none
	wait     time.Duration
	cause    error    // for the log; nil: what was typed is wrong
	second   *pending // of the second factor; nil: of the first
	recovery bool     // by recovery code
}

// slowed answers a try that came too early; it was not judged.
func (s *Server) slowed(w http.ResponseWriter, r *http.Request, entry *logEntry, refused refusedSignIn, wait time.Duration) error {
	refused.wait = wait
	w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
	return s.refuseSignIn(w, r, entry, refused, http.StatusTooManyRequests, textSlowed)
}

// refuseSignIn answers with the page again. The log has the account and never
// what was typed: people type passwords as usernames.
func (s *Server) refuseSignIn(w http.ResponseWriter, r *http.Request, entry *logEntry, refused refusedSignIn, status int, text string) error {
	s.metrics.loginFailed()
	event := "sign-in failed"
	switch {
	case status == http.StatusTooManyRequests:
		event = "sign-in slowed down"
	case refused.second != nil:
		event = "second factor failed"
	}
	s.cfg.SecurityLog.WarnContext(r.Context(), event, "request_id", entry.requestID, "subject", refused.subject, //nolint:sloglint // three fixed texts
		"status", status, "wait", refused.wait, "cause", refused.cause, "remote_addr", r.RemoteAddr)
	v, err := s.visit(r, entry, refused.destination)
	if err != nil {
		return err
	}
	problem := web.Problem{Text: text, Wait: seconds(refused.wait)}
	if refused.second != nil {
		return s.codePage(w, v, *refused.second, status, refused.recovery, problem)
	}
	return s.signInPage(w, r, v, entry.start, status, refused.username, problem)
}

// seconds rounds up, so that who waits so long does not come too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
