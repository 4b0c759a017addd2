package authserver

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/secondfactor"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

const (
	cookiePending   = "pending"
	pendingLifetime = 5 * time.Minute

	kindRecovery = "recovery"

	textWrongCode = "This code is wrong or was used already."
)

// pending is who has proven the first factor in this browser and owes the
// second. It is no session: nothing else looks at it.
type pending struct {
	UserID   string   `json:"u"`
	Revision int64    `json:"r"` // a change of the account, say of its password, ends it
	Username string   `json:"n"`
	Methods  []string `json:"m"`
}

// secondFactorPage asks for the second factor.
func (s *Server) secondFactorPage(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	query := r.URL.Query()
	d, err := newDestination(query.Get("interaction"), query.Get("return"))
	if err != nil {
		return err
	}
	var who pending
	if s.openCookie(r, cookiePending, entry.start, &who) != nil {
		return seeOther(w, s.issuer.EscapedPath()+d.at(pathLogin)) // it took too long
	}
	v, err := s.visit(r, entry, d)
	if err != nil {
		return err
	}
	return s.codePage(w, v, who, http.StatusOK, query.Get("kind") == kindRecovery, web.Problem{})
}

// codePage answers with the page.
func (s *Server) codePage(w http.ResponseWriter, v visit, who pending, status int, recovery bool, problem web.Problem) error {
	app, codes := v.at(pathSecondFactor), v.at(pathSecondFactor, "kind", kindRecovery)
	page := web.SecondFactor{
		Form: web.Form{Action: app, Interaction: v.interaction}, Other: codes,
		Client: v.client, Username: who.Username, Recovery: recovery, Problem: problem,
	}
	if recovery {
		page.Action, page.Other = codes, app
	}
	document, err := s.pages.SecondFactor(page)
	return writePage(w, status, document, err)
}

// secondFactor takes a code and signs in.
func (s *Server) secondFactor(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	form, err := parseParams(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	d, err := newDestination(form.get("interaction"), query.Get("return"))
	if err != nil {
		return err
	}
	var who pending
	if s.openCookie(r, cookiePending, entry.start, &who) != nil {
		return seeOther(w, s.issuer.EscapedPath()+d.at(pathLogin))
	}
	try, wait, err := s.begin(r.Context(), who.Username, s.counters(r, "code", who.Username, entry.start), entry.start)
	if err != nil {
		return err
	}
	defer try.end()
	user := try.User
	if user.ID != who.UserID || user.Revision != who.Revision || user.Disabled || user.TOTPSecret == nil {
		s.setCookie(w, cookiePending, "", 0) // no longer who has proven the first
		return seeOther(w, s.issuer.EscapedPath()+d.at(pathLogin))
	}
	refused := refusedSignIn{destination: d, subject: user.ID, second: &who, recovery: query.Get("kind") == kindRecovery}
	if wait > 0 {
		return s.slowed(w, r, entry, refused, wait)
	}
	right, err := s.spendSecondFactor(r, entry, user, form.get("code"), refused.recovery)
	if err != nil {
		return err
	}
	if !right {
		if refused.wait, err = try.failed(r.Context()); err != nil {
			return err
		}
		return s.refuseSignIn(w, r, entry, refused, http.StatusUnprocessableEntity, textWrongCode)
	}
	if err := try.succeeded(r.Context()); err != nil {
		return err
	}
	s.setCookie(w, cookiePending, "", 0)
	return s.signIn(w, r, entry, user, slices.Concat(who.Methods, []string{byCode, byFactors}), d)
}

// spendSecondFactor reports whether a code is the user's, and uses it up.
func (s *Server) spendSecondFactor(r *http.Request, entry *logEntry, user storage.User, code string, recovery bool) (bool, error) {
	if !recovery {
		secret, err := s.openTOTP(user.ID, user.TOTPSecret)
		if err != nil {
			return false, err
		}
		return s.spendCode(r.Context(), user.ID, secret, code, entry.start)
	}
	hash, ok := secondfactor.RecoveryHash(code)
	if !ok {
		return false, nil
	}
	err := s.cfg.Store.SpendRecoveryCode(r.Context(), user.ID, hash, entry.start)
	if errors.Is(err, storage.ErrSpent) {
		return false, nil
	}
	if err == nil {
		s.cfg.SecurityLog.WarnContext(r.Context(), "recovery code used", "request_id", entry.requestID,
			"subject", user.ID, "left", len(user.RecoveryCodes)-1, "remote_addr", r.RemoteAddr)
	}
	return err == nil, err
}

// spendCode reports whether a code of an authenticator app is right now, and
// lets nobody use its step again (RFC 6238 §5.2).
func (s *Server) spendCode(ctx context.Context, userID string, secret []byte, code string, now time.Time) (bool, error) {
	step, right := secondfactor.Verify(secret, code, now)
	if !right {
		return false, nil
	}
	err := s.cfg.Store.UseJTI(ctx, "totp:"+userID, strconv.FormatInt(step, 10), secondfactor.Gone(step), now)
	if errors.Is(err, storage.ErrSpent) {
		return false, nil
	}
	return err == nil, err
}

// sealTOTP seals the secret of a user's second factor for the store; openTOTP
// opens it.
func (s *Server) sealTOTP(userID string, secret []byte) ([]byte, error) {
	return s.sealed.Seal("totp", userID, secret)
}

func (s *Server) openTOTP(userID string, sealed []byte) ([]byte, error) {
	return s.sealed.Open("totp", userID, sealed)
}
