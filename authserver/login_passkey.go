package authserver

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

const (
	pathPasskey = "/login/passkey"

	// challengeLifetime is how long a page with a passkey button may be open.
	challengeLifetime = interactionLifetime

	// Ceremonies that challenges are for.
	toSignIn   = "sign-in"
	toRegister = "register"

	// byHardware and bySoftware tell a passkey that cannot be copied from one
	// that is kept in somebody's cloud; byPresence that the person was there.
	byHardware = "hwk"
	bySoftware = "swk"
	byPresence = "user"

	// flagBackupEligible is of authenticator data (Web Authentication §6.1).
	flagBackupEligible = 1 << 3

	textWrongPasskey = "This passkey was not accepted. Try again, or sign in another way."
)

// newParty returns the relying party of passkeys; nil when the issuer's host
// cannot have them.
func newParty(cfg Config, host, origin string) (*passkey.RelyingParty, error) {
	if !passkey.Possible(host) {
		return nil, nil
	}
	product := cfg.Brand.Name
	if product == "" {
		product = host
	}
	return passkey.New(host, product, origin)
}

// newChallenge returns a challenge for a ceremony in a browser. It is a sealed
// value, so that nothing is kept for pages that nobody uses, and any number of
// them can be open.
func (s *Server) newChallenge(ceremony string, browser [32]byte, now time.Time) ([]byte, error) {
	text, err := s.sealed.SealValue("passkey "+ceremony, bound(browser), rand.Text(), now.Add(challengeLifetime))
	return []byte(text), err
}

// spendChallenge returns the judge of challenges: made here, for this ceremony,
// in this browser, not long ago, and never taken before.
func (s *Server) spendChallenge(r *http.Request, ceremony string, now time.Time) func(challenge []byte) error {
	_, browser := s.cookie(r, cookieBrowser)
	ctx := r.Context()
	return func(challenge []byte) error {
		var random string
		err := s.sealed.OpenValue("passkey "+ceremony, bound(browser), string(challenge), now, &random)
		if err == nil {
			sum := sha256.Sum256(challenge)
			err = s.cfg.Store.UseJTI(ctx, "passkey", hex.EncodeToString(sum[:]), now.Add(challengeLifetime), now)
		}
		if errors.Is(err, sealed.ErrOpen) || errors.Is(err, storage.ErrSpent) {
			return fmt.Errorf("%w: challenge: %w", passkey.ErrRefused, err)
		}
		return err
	}
}

// passkeyRequest is what the sign-in page needs to ask for a passkey; nil when
// there can be none.
func (s *Server) passkeyRequest(w http.ResponseWriter, r *http.Request, v visit, now time.Time) (*web.PasskeyRequest, error) {
	if s.people.party == nil {
		return nil, nil
	}
	challenge, err := s.newChallenge(toSignIn, s.browser(w, r), now)
	if err != nil {
		return nil, err
	}
	options, err := s.people.party.RequestOptions(challenge)
	return &web.PasskeyRequest{Action: v.form(pathPasskey).Action, Options: options}, err
}

// loginByPasskey signs in by a passkey: it has verified its user, so it is both
// factors.
func (s *Server) loginByPasskey(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	form, err := parseParams(r)
	if err != nil {
		return err
	}
	d, err := newDestination(form.get("interaction"), r.URL.Query().Get("return"))
	if err != nil {
		return err
	}
	if s.people.party == nil {
		return invalidRequest("There are no passkeys here.")
	}
	if err := s.admit(r, entry); err != nil { // a spent challenge is remembered
		return err
	}
	ctx := r.Context()
	user, key, err := s.people.party.Assert(form.get("credential"), s.spendChallenge(r, toSignIn, entry.start),
		func(id string) (user storage.User, keys []storage.Passkey, err error) {
			if len(id) > maxCookie || !clean(id) {
				return user, nil, storage.ErrNotFound
			}
			if user, err = s.cfg.Store.User(ctx, id); err == nil {
				keys, err = s.cfg.Store.Passkeys(ctx, id)
			}
			return user, keys, err
		})
	if err == nil && !user.Disabled {
		err = s.cfg.Store.UsePasskey(ctx, key.ID, key.SignCount, key.Flags, entry.start)
	}
	refused := refusedSignIn{destination: d, subject: user.ID, cause: err}
	switch {
	case errors.Is(err, passkey.ErrCloned):
		s.cfg.SecurityLog.ErrorContext(ctx, "a passkey may have been copied", "request_id", entry.requestID,
			"subject", user.ID, "passkey", hex.EncodeToString(key.ID), "remote_addr", r.RemoteAddr)
		fallthrough
	case errors.Is(err, passkey.ErrRefused), errors.Is(err, storage.ErrNotFound):
		return s.refuseSignIn(w, r, entry, refused, http.StatusUnprocessableEntity, textWrongPasskey)
	case err != nil:
		return err
	case user.Disabled:
		return s.refuseSignIn(w, r, entry, refused, http.StatusForbidden, textDisabled)
	}
	made := byHardware
	if key.Flags&flagBackupEligible != 0 {
		made = bySoftware
	}
	return s.signIn(w, r, entry, user, []string{made, byPresence, byFactors}, d)
}

// passkeyCreation is what a page needs to give a user one more passkey; nil when
// there can be none.
func (s *Server) passkeyCreation(w http.ResponseWriter, r *http.Request, user storage.User, existing []storage.Passkey, action string, now time.Time) (*web.PasskeyRequest, error) {
	if s.people.party == nil {
		return nil, nil
	}
	challenge, err := s.newChallenge(toRegister+" "+user.ID, s.browser(w, r), now)
	if err != nil {
		return nil, err
	}
	options, err := s.people.party.CreationOptions(user, existing, challenge)
	return &web.PasskeyRequest{Action: action, Options: options}, err
}

// newPasskey verifies a credential that passkeyCreation has asked for and
// returns the passkey, which has no name yet and is not stored; or an error that
// is [passkey.ErrRefused] when the credential is not good.
func (s *Server) newPasskey(r *http.Request, user storage.User, credential string, now time.Time) (storage.Passkey, error) {
	if s.people.party == nil {
		return storage.Passkey{}, passkey.ErrRefused
	}
	return s.people.party.Register(credential, user, now, s.spendChallenge(r, toRegister+" "+user.ID, now))
}
