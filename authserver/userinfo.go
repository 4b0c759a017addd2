package authserver

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// userinfoResponse is the answer of OpenID Connect Core §5.3.2.
type userinfoResponse struct {
	Subject string `json:"sub"`
	personClaims
}

// userinfo tells a client about the user who has signed in to it (OpenID
// Connect Core §5.3): what the scopes of its access token allow, as it is now.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	presented, err := s.readBearer(r)
	if err != nil {
		return err
	}
	if err := s.log.fresh(entry.start); err != nil {
		return err
	}
	token, err := s.lookup(r.Context(), presented, entry.start)
	if errors.Is(err, errInactive) {
		return s.invalidToken(err)
	}
	if err != nil {
		return err
	}
	entry.clientID, entry.subject, entry.grantID, entry.jti = token.clientID, token.subject, token.grantID, token.id
	if token.grantID == "" || !token.scopes.Has(scopeOpenID) { // a client that acts for itself is no user
		return s.insufficientScope(scopeOpenID)
	}
	if _, err := s.clients.get(r.Context(), token.clientID); err != nil {
		return s.gone(err)
	}
	user, err := s.cfg.Store.User(r.Context(), token.subject)
	if err == nil && user.Disabled {
		err = storage.ErrNotFound
	}
	if err != nil {
		return s.gone(err)
	}
	writeJSON(w, http.StatusOK, userinfoResponse{Subject: user.ID, personClaims: aboutPerson(user, token.scopes)})
	return nil
}

// gone answers for a token whose client or user is no more, or why nobody
// knows.
func (s *Server) gone(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return s.invalidToken(err)
	}
	return err
}

// readBearer returns the access token of a request: one Authorization header
// (RFC 6750 §2.1). Nothing in URL or body is looked at.
func (s *Server) readBearer(r *http.Request) (string, error) {
	authorization := r.Header.Values("Authorization")
	if len(authorization) > 1 {
		return "", s.bearerError(http.StatusBadRequest, codeInvalidRequest, "Send one Authorization header.", `, error="invalid_request"`)
	}
	scheme, token, _ := strings.Cut(strings.Join(authorization, ""), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", s.bearerError(http.StatusUnauthorized, codeInvalidToken, "An access token is required.", "")
	}
	return token, nil
}

// invalidToken and insufficientScope are the refusals of RFC 6750 §3.1.
func (s *Server) invalidToken(cause error) *oauthError {
	return s.bearerError(http.StatusUnauthorized, codeInvalidToken, "The access token is not valid.", `, error="invalid_token"`).because(cause)
}

func (s *Server) insufficientScope(needed string) *oauthError {
	return s.bearerError(http.StatusForbidden, codeInsufficientScope, "The access token does not allow this.",
		`, error="insufficient_scope", scope="`+needed+`"`)
}

// bearerError is a refusal with a challenge (RFC 6750 §3).
func (s *Server) bearerError(status int, code, description, attributes string) *oauthError {
	return &oauthError{status: status, code: code, description: description, challenge: `Bearer realm="` + s.cfg.Issuer + `"` + attributes}
}
