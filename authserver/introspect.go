package authserver

import (
	"context"
	"errors"
	"net/http"
)

// introspection is the answer of RFC 7662 §2.2. An inactive token has active
// only, whatever the reason.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expiry    int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  audience `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`
	Grant     string   `json:"grant,omitempty"`
}

// introspect is the introspection endpoint (RFC 7662). The caller must be a
// client that may introspect, and learns only about tokens for its resources.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	c, token, err := s.aboutToken(r, entry, s.authenticateConfidential)
	if err != nil {
		return err
	}
	found, err := s.lookup(r.Context(), token, entry.start)
	inactive := errors.Is(err, errInactive)
	if err != nil && !inactive {
		return err
	}
	if inactive || !c.Introspect || !c.mayUse(found.resources...) {
		s.metrics.introspected(false)
		writeJSON(w, http.StatusOK, introspection{})
		return nil
	}
	entry.jti, entry.subject, entry.grantID = found.id, found.subject, found.grantID
	s.metrics.introspected(true)
	writeJSON(w, http.StatusOK, introspection{
		Active: true, Scope: found.scopes.String(), ClientID: found.clientID, TokenType: "Bearer",
		Expiry: found.expiresAt.Unix(), IssuedAt: found.issuedAt.Unix(), NotBefore: found.issuedAt.Unix(),
		Subject: found.subject, Audience: found.audience, Issuer: s.cfg.Issuer, ID: found.id, Grant: found.grantID,
	})
	return nil
}

// aboutToken reads a request about one token: who asks, and the token. It
// fails when nobody can tell what is revoked.
func (s *Server) aboutToken(r *http.Request, entry *logEntry, authenticate func(context.Context, *http.Request, params) (*client, error)) (*client, string, error) {
	p, err := parseParams(r)
	if err != nil {
		return nil, "", err
	}
	c, err := authenticate(r.Context(), r, p)
	if err != nil {
		return nil, "", err
	}
	token := p.get("token")
	if token == "" {
		return nil, "", invalidRequest("token is missing.")
	}
	return c, token, s.log.fresh(entry.start)
}
