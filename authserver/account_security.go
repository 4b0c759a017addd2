package authserver

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/password"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// recentSignIn is how long after a sign-in its owner may change how they sign
// in. A browser that was left open for longer is not proof enough.
const recentSignIn = 10 * time.Minute

// recent reports whether the owner has signed in recently.
func (o owner) recent() bool { return o.entry.start.Sub(o.session.AuthTime) < recentSignIn }

// recently is the way to changes of security: who has not signed in recently is
// asked to confirm first.
func (s *Server) recently(serve ownerFunc) ownerFunc {
	return func(w http.ResponseWriter, r *http.Request, o owner) error {
		if !o.recent() {
			return s.accountPage(w, r, o, sectionSecurity, refuseStep(http.StatusForbidden, "Nothing was changed: your sign-in is too long ago for that."))
		}
		return serve(w, r, o)
	}
}

// fillSecurity lists the ways in which the user signs in.
func (s *Server) fillSecurity(w http.ResponseWriter, r *http.Request, o owner, page *web.Account) error {
	passkeys, err := s.cfg.Store.Passkeys(r.Context(), o.ID)
	if err != nil {
		return err
	}
	for _, p := range passkeys {
		page.Passkeys = append(page.Passkeys, web.Passkey{ID: passkeyName(p), Name: p.Name, CreatedAt: p.CreatedAt, LastUsedAt: p.LastUsedAt})
	}
	page.HasPassword, page.SecondFactor, page.RecoveryCodes = o.PasswordHash != "", o.TOTPSecret != nil, len(o.RecoveryCodes)
	if !o.recent() {
		page.Confirm = pathLogin + "?again=1&return=" + sectionSecurity
		return nil
	}
	page.AddPasskey, err = s.passkeyCreation(w, r, o.User, passkeys, page.Actions.AddPasskey, o.entry.start)
	return err
}

// setPassword sets the owner's password and ends all other sessions. The
// password before is asked for and guessed as slowly as at a sign-in.
func (s *Server) setPassword(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	ctx, fresh := r.Context(), o.form.get("password")
	if s.cfg.Login.NoPasswords {
		return nil, refuseStep(http.StatusForbidden, "Nobody signs in by password here.")
	}
	if fresh != o.form.get("password_again") {
		return nil, refuseStep(http.StatusUnprocessableEntity, "The two new passwords are not the same.")
	}
	if err := password.Check(o.Username, fresh); err != nil {
		return nil, refuseStep(http.StatusUnprocessableEntity, sentence(err))
	}
	if o.PasswordHash != "" {
		if err := s.provePassword(r, o, o.form.get("current_password")); err != nil {
			return nil, err
		}
	}
	hash, err := s.people.hasher.Hash(ctx, fresh)
	if errors.Is(err, password.ErrBusy) {
		return nil, unavailable(err)
	}
	if err != nil {
		return nil, err
	}
	changed := o.User
	changed.PasswordHash = hash
	if _, err := s.cfg.Store.UpdateUser(ctx, changed, nil, o.entry.start); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "password changed", "request_id", o.entry.requestID, "subject", o.ID, "first", o.PasswordHash == "", "remote_addr", r.RemoteAddr)
	if err := s.cfg.Store.DeleteSessions(ctx, o.ID, o.session.Hash); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "other sessions outlive a change of password", "request_id", o.entry.requestID, "subject", o.ID, "error", err)
		return nil, refuseStep(http.StatusServiceUnavailable, "Your new password is set, but your other browsers are still signed in. Sign them out under Browsers.")
	}
	return done("password"), nil
}

// provePassword judges the owner's current password.
func (s *Server) provePassword(r *http.Request, o owner, typed string) error {
	ctx := r.Context()
	try, wait, err := s.begin(ctx, o.Username, s.counters(r, "password", o.Username, o.entry.start), o.entry.start)
	if err != nil {
		return err
	}
	defer try.end()
	if wait > 0 {
		return &setback{http.StatusTooManyRequests, web.Problem{Text: textSlowed, Wait: seconds(wait)}}
	}
	right, _, err := s.people.hasher.Verify(ctx, o.PasswordHash, typed)
	switch {
	case errors.Is(err, password.ErrBusy):
		return unavailable(err)
	case err != nil:
		return err
	case right:
		return try.succeeded(ctx)
	}
	if wait, err = try.failed(ctx); err != nil {
		return err
	}
	s.metrics.loginFailed()
	s.cfg.SecurityLog.WarnContext(ctx, "current password is wrong", "request_id", o.entry.requestID, "subject", o.ID, "wait", wait, "remote_addr", r.RemoteAddr)
	return &setback{http.StatusUnprocessableEntity, web.Problem{Text: "Your current password is wrong.", Wait: seconds(wait)}}
}

// removePasskey removes one of the owner's passkeys, unless it is the last way
// in that we know of.
func (s *Server) removePasskey(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	ctx, named := r.Context(), o.form.get("passkey")
	passkeys, err := s.cfg.Store.Passkeys(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(passkeys, func(p storage.Passkey) bool { return passkeyName(p) == named })
	switch {
	case i < 0:
		return nil, storage.ErrNotFound
	case len(passkeys) == 1 && !s.hasOtherWay(o):
		return nil, refuseStep(http.StatusConflict, "This passkey is your only way to sign in, so it stays. Add another one or set a password first.")
	}
	if err := s.cfg.Store.DeletePasskey(ctx, o.ID, passkeys[i].ID); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "passkey removed", "request_id", o.entry.requestID, "subject", o.ID, "passkey", named, "remote_addr", r.RemoteAddr)
	return done("passkey_removed"), nil
}

// hasOtherWay reports whether the owner can sign in without a passkey: by
// password, or at the provider where they have just done so.
func (s *Server) hasOtherWay(o owner) bool {
	return (o.PasswordHash != "" && !s.cfg.Login.NoPasswords) || slices.Contains(o.session.Methods, byUpstream)
}

// passkeyName is a credential id in forms and logs.
func passkeyName(p storage.Passkey) string { return base64.RawURLEncoding.EncodeToString(p.ID) }

// sentence is an error of ours as a sentence for people.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
