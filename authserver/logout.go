package authserver

import (
	"errors"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// logoutPage asks whether to sign out, or says that nobody is signed in.
func (s *Server) logoutPage(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	_, user, err := s.signedIn(r, entry)
	if errors.Is(err, storage.ErrNotFound) {
		page, err := s.pages.Notice(web.Notice{
			Title: "You are signed out", Text: "Apps that you have connected stay connected.",
			LinkText: "Sign in", LinkURL: pathLogin,
		})
		return writePage(w, http.StatusOK, page, err)
	}
	if err != nil {
		return err
	}
	page, err := s.pages.SignOut(web.SignOut{Form: web.Form{Action: pathLogout}, Username: user.Username, Back: pathAccount})
	return writePage(w, http.StatusOK, page, err)
}

// logout ends the browser's session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	form, err := parseParams(r)
	if err != nil {
		return err
	}
	if form.get("decision") != "sign_out" {
		return seeOther(w, s.issuer.EscapedPath()+pathAccount)
	}
	session, user, err := s.signedIn(r, entry)
	switch {
	case errors.Is(err, storage.ErrNotFound): // the cookie goes all the same
	case err != nil:
		return err
	default:
		if err := s.cfg.Store.DeleteSession(r.Context(), user.ID, session.Hash); err != nil {
			return err
		}
		s.cfg.SecurityLog.InfoContext(r.Context(), "signed out", "request_id", entry.requestID, "subject", user.ID, "remote_addr", r.RemoteAddr)
	}
	s.setCookie(w, cookieSession, "", 0)
	return seeOther(w, s.issuer.EscapedPath()+pathLogout)
}
