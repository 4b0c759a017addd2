package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const codeInvalidGrant = "invalid_grant" // RFC 6749 §5.2

// invalidGrant is the one answer to a code or token that is no good, whatever
// is wrong with it; the log knows.
func invalidGrant(cause error) *oauthError {
	return &oauthError{
		status: http.StatusBadRequest, code: codeInvalidGrant,
		description: "It is unknown, expired, revoked, used before or not for this request.", cause: cause,
	}
}

// may reports whether the client is registered for a grant type.
func (c *client) may(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// format is that of c's access tokens for a resource.
func (c *client) format(to target) storage.TokenFormat {
	if c.TokenFormat != "" {
		return c.TokenFormat
	}
	return to.TokenFormat
}

// lifetime is how long an access token of c lives.
func (s *Server) lifetime(c *client) time.Duration {
	if c.AccessTokenLifetime > 0 {
		return min(c.AccessTokenLifetime, MaxAccessTokenLifetime)
	}
	return s.cfg.Tokens.AccessTokenLifetime
}

// preparedTokens are made before the statement that decides about them, so
// that it can store what it has to in the same breath.
type preparedTokens struct {
	opaque              string // the access token if the grant's format is opaque
	toStore             storage.TokenToStore
	secret              [32]byte  // of a grant that is made
	issuedAt, expiresAt time.Time // of the access token
}

func (s *Server) prepareTokens(c *client, now time.Time) preparedTokens {
	issuedAt := now.Truncate(time.Second)
	t := preparedTokens{issuedAt: issuedAt, expiresAt: issuedAt.Add(s.lifetime(c))}
	t.opaque = newOpaque(t.expiresAt)
	t.toStore = storage.TokenToStore{Hash: sha256.Sum256([]byte(t.opaque)), IssuedAt: t.issuedAt, ExpiresAt: t.expiresAt}
	rand.Read(t.secret[:])
	return t
}

// finishTokens makes the prepared tokens those of g, for populate to answer
// with: an access token, a refresh token if the grant has them, and an ID token
// if it has openid.
func (s *Server) finishTokens(session *tokenSession, c *client, t preparedTokens, g storage.Grant, u storage.User, granted scopes.Set) {
	issued := &issuedToken{accessToken: accessToken{
		clientID: c.ID, subject: u.ID, grantID: g.ID, scopes: granted, audience: []string{g.Audience},
		issuedAt: t.issuedAt, expiresAt: t.expiresAt,
	}}
	if g.TokenFormat == storage.FormatOpaque {
		issued.opaque, issued.id = t.opaque, opaqueID(t.toStore.Hash)
	} else {
		issued.id = randomID()
	}
	session.issued, session.grant, session.user = issued, g, u
}

// populate writes the tokens into fosite's response and the session; after
// every storage call, so that no signature is made for a request that fails.
func (s *Server) populate(request fosite.AccessRequester, response fosite.AccessResponder) error {
	c, session, err := grantRequest(request)
	if err != nil {
		return err
	}
	t := session.issued
	token := t.opaque
	if token == "" {
		if token, err = s.keys.Sign(typeAccessToken, t.claims(s.cfg.Issuer), t.issuedAt); err != nil {
			return err
		}
	}
	response.SetAccessToken(token)
	response.SetTokenType("Bearer")
	if session.grant.Refresh {
		session.refreshToken = s.newRefreshToken(session.grant)
	}
	if session.grant.ID != "" && t.scopes.Has(scopeOpenID) {
		// Only the first answer repeats the nonce (OpenID Connect Core §12.2).
		first := session.grant.Generation <= 1
		session.idToken, err = s.idToken(c, session.grant, session.user, token, first, t.issuedAt)
	}
	return err
}

// grantRevocation is the event that ends all tokens of a grant, at the resources
// of audience (all, if nil). None is made
// after the grant has ended, so that it may reach into the future: requests
// that began a little later may have been faster, and clocks differ.
func grantRevocation(grantID string, audience []string, now time.Time) storage.Event {
	until := now.Add(time.Minute)
	return storage.Event{
		Kind: storage.EventGrantRevoked, Target: grantID, Audience: audience, IssuedBefore: until, CreatedAt: now,
		ExpiresAt: until.Add(MaxAccessTokenLifetime + MaxVerifierSkew),
	}
}

// catchUp brings the revocation of the request's grant, which the store has
// made by itself, into force here and at the resource servers at once.
func (s *Server) catchUp(ctx context.Context, entry *logEntry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollTimeout)
	defer cancel()
	if err := s.log.follow(ctx, storage.EventGrantRevoked, entry.grantID); err != nil {
		s.cfg.Logger.WarnContext(ctx, "the revocation takes effect a moment later", "request_id", entry.requestID, "error", err)
	}
}
