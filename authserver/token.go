package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// tokenResponse is the successful answer of RFC 6749 §5.1. The scope is always
// there, because it may be less than what was asked for.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"` // OpenID Connect Core §3.1.3.3
}

// token is the token endpoint (RFC 6749 §3.2). It owns what all grant types
// share; fosite dispatches to the grant type's handler.
func (s *Server) token(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	p, err := parseParams(r)
	if err != nil {
		return err
	}
	grantType := p.get("grant_type")
	if grantType == "" {
		return invalidRequest("grant_type is missing.")
	}
	if !s.supportsGrant(grantType) {
		return &oauthError{status: http.StatusBadRequest, code: codeUnsupportedGrantType, description: "This grant type is not supported."}
	}
	entry.grantType = grantType
	if err := s.log.fresh(entry.start); err != nil {
		return err
	}
	session := &tokenSession{}
	request, err := s.provider.NewAccessRequest(r.Context(), r, session)
	if err != nil {
		return err
	}
	response, err := s.provider.NewAccessResponse(r.Context(), request)
	if err != nil {
		return err
	}
	issued := session.issued
	entry.subject, entry.grantID, entry.jti = issued.subject, issued.grantID, issued.id
	s.metrics.issued(grantType, issued.format())
	writeJSON(w, http.StatusOK, tokenResponse{
		AccessToken:  response.GetAccessToken(),
		TokenType:    response.GetTokenType(),
		ExpiresIn:    int64(issued.expiresAt.Sub(issued.issuedAt) / time.Second),
		Scope:        issued.scopes.String(),
		RefreshToken: session.refreshToken,
		IDToken:      session.idToken,
	})
	return nil
}

func (t *issuedToken) format() storage.TokenFormat {
	if t.opaque != "" {
		return storage.FormatOpaque
	}
	return storage.FormatJWT
}

// newToken prepares an access token for c; an opaque one is stored before this
// returns, a JWT is signed in populate.
func (s *Server) newToken(ctx context.Context, c *client, to target, subject string, granted scopes.Set, now time.Time) (*issuedToken, error) {
	issuedAt := now.Truncate(time.Second)
	t := &issuedToken{accessToken: accessToken{
		clientID: c.ID, subject: subject, scopes: granted, audience: []string{to.audience},
		issuedAt: issuedAt, expiresAt: issuedAt.Add(s.lifetime(c)),
	}}
	if c.format(to) != storage.FormatOpaque {
		t.id = randomID()
		return t, nil
	}
	t.opaque = newOpaque(t.expiresAt)
	hash := sha256.Sum256([]byte(t.opaque))
	t.id = opaqueID(hash)
	return t, s.cfg.Store.CreateAccessToken(ctx, storage.AccessToken{
		Hash: hash, ExpiresAt: t.expiresAt, IssuedAt: t.issuedAt,
		ClientID: t.clientID, Subject: t.subject, GrantID: t.grantID, Scopes: t.scopes, Audience: t.audience,
	})
}

// randomID returns 128 random bits for a jti.
func randomID() string {
	var raw [16]byte
	rand.Read(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
