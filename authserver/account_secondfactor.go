package authserver

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/secondfactor"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

const (
	pathSetUpSecondFactor = pathAccountSecurity + "/second-factor"

	// enrollLifetime is how long setting up a second factor may take.
	enrollLifetime = 15 * time.Minute
	purposeEnroll  = "enroll second factor"
)

// beginEnrollment leads to the page that sets up a second factor.
func (s *Server) beginEnrollment(w http.ResponseWriter, _ *http.Request, _ owner) (url.Values, error) {
	return nil, seeOther(w, s.issuer.EscapedPath()+pathSetUpSecondFactor)
}

// enrollPage shows a new secret. It becomes the second factor when a code proves
// that an app has it; until then only the page knows it.
func (s *Server) enrollPage(w http.ResponseWriter, _ *http.Request, o owner) error {
	if o.TOTPSecret != nil {
		return seeOther(w, s.issuer.EscapedPath()+pathAccountSecurity)
	}
	return s.showSecret(w, o, secondfactor.NewSecret(), http.StatusOK, web.Problem{})
}

// showSecret answers with the page for a secret, which travels in it sealed, for
// this session only.
func (s *Server) showSecret(w http.ResponseWriter, o owner, secret []byte, status int, problem web.Problem) error {
	address, err := secondfactor.URL(cmp.Or(s.cfg.Brand.Name, "Gatehouse"), o.Username, secret)
	if err != nil {
		return err
	}
	picture, err := secondfactor.QR(address)
	if err != nil {
		return err
	}
	text, err := s.sealed.SealValue(purposeEnroll, bound(o.session.Hash), secret, o.entry.start.Add(enrollLifetime))
	if err != nil {
		return err
	}
	page, err := s.pages.EnrollSecondFactor(web.EnrollSecondFactor{
		Form: web.Form{Action: pathSetUpSecondFactor}, Username: o.Username,
		QR: picture, Key: secondfactor.Key(secret), Sealed: text, Back: pathAccountSecurity, Problem: problem,
	})
	return writePage(w, status, page, err)
}

// enroll turns the second factor on, once a code was right, and shows the
// recovery codes.
func (s *Server) enroll(w http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	if o.TOTPSecret != nil {
		return nil, refuseStep(http.StatusConflict, "The second step is on already. Turn it off first to set it up anew.")
	}
	var secret []byte
	if s.sealed.OpenValue(purposeEnroll, bound(o.session.Hash), o.form.get("secret"), o.entry.start, &secret) != nil {
		return nil, refuseStep(http.StatusUnprocessableEntity, "That took too long. Set up the second step again; remove what your app has from before.")
	}
	right, err := s.spendCode(r.Context(), o.ID, secret, o.form.get("code"), o.entry.start)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, s.showSecret(w, o, secret, http.StatusUnprocessableEntity, web.Problem{
			Text: "This is not the code that your app shows now. Check the clock of your device and type the next one.",
		})
	}
	changed := o.User
	if changed.TOTPSecret, err = s.sealTOTP(o.ID, secret); err != nil {
		return nil, err
	}
	if err := s.giveRecoveryCodes(w, r, o, changed); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(r.Context(), "second factor turned on", "request_id", o.entry.requestID, "subject", o.ID, "remote_addr", r.RemoteAddr)
	return nil, nil
}

// renewRecoveryCodes replaces the recovery codes.
func (s *Server) renewRecoveryCodes(w http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	if o.TOTPSecret == nil {
		return nil, storage.ErrNotFound
	}
	if err := s.giveRecoveryCodes(w, r, o, o.User); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(r.Context(), "recovery codes renewed", "request_id", o.entry.requestID, "subject", o.ID, "remote_addr", r.RemoteAddr)
	return nil, nil
}

// giveRecoveryCodes stores the user with new recovery codes and shows these, in
// the answer to the form: nowhere else are they ever readable.
func (s *Server) giveRecoveryCodes(w http.ResponseWriter, r *http.Request, o owner, changed storage.User) error {
	codes, hashes := secondfactor.NewRecoveryCodes()
	changed.RecoveryCodes = hashes
	if _, err := s.cfg.Store.UpdateUser(r.Context(), changed, nil, o.entry.start); err != nil {
		return err
	}
	page, err := s.pages.RecoveryCodes(web.RecoveryCodes{Codes: codes, Back: pathAccountSecurity})
	return writePage(w, http.StatusOK, page, err)
}

// removeSecondFactor turns the second factor off.
func (s *Server) removeSecondFactor(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	if o.TOTPSecret == nil {
		return nil, storage.ErrNotFound
	}
	changed := o.User
	changed.TOTPSecret, changed.RecoveryCodes = nil, nil
	if _, err := s.cfg.Store.UpdateUser(r.Context(), changed, nil, o.entry.start); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.WarnContext(r.Context(), "second factor turned off", "request_id", o.entry.requestID, "subject", o.ID, "remote_addr", r.RemoteAddr)
	return done("second_factor_off"), nil
}
