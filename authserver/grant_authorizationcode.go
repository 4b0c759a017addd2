package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// codePrefix begins authorization codes; 256 random bits follow.
const codePrefix = "ghc_"

// newCode returns an authorization code and the SHA-256 by which it is stored.
func newCode() (code string, hash [32]byte) {
	handle, _ := sealed.NewHandle()
	code = codePrefix + handle
	return code, sha256.Sum256([]byte(code))
}

// authorizationCode is the grant of OAuth 2.1 §4.1.3. A request that fails for
// any reason but reuse leaves the code as it was, so that neither a mistaken
// client nor somebody else can burn it; reuse ends all that came of it.
type authorizationCode struct{ server *Server }

var _ fosite.TokenEndpointHandler = authorizationCode{}

// CanSkipClientAuth is false: a public client is at least identified.
func (authorizationCode) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

func (authorizationCode) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne(grantAuthorizationCode)
}

// HandleTokenEndpointRequest makes the one storage call, which decides.
func (g authorizationCode) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	c, session, err := grantRequest(request)
	if err != nil {
		return err
	}
	if !c.may(grantAuthorizationCode) {
		return unauthorizedClient()
	}
	s, entry := g.server, entryFrom(ctx)
	redemption, err := s.redemption(c, params{request.GetRequestForm()})
	if err != nil {
		return err
	}
	prepared := s.prepareTokens(c, entry.start)
	redemption.Now, redemption.Secret, redemption.AccessToken = entry.start, prepared.secret, prepared.toStore
	redemption.GrantExpiresAt = entry.start.Add(s.cfg.Tokens.RefreshTokenLifetime)
	redemption.Revoked = grantRevocation("", nil, entry.start)
	grant, user, err := s.cfg.Store.RedeemCode(ctx, redemption)
	switch {
	case errors.Is(err, storage.ErrSpent):
		s.cfg.SecurityLog.ErrorContext(ctx, "authorization code replayed, grant revoked", "request_id", entry.requestID, "client_id", c.ID)
		s.catchUp(ctx, entry)
		return invalidGrant(err)
	case errors.Is(err, storage.ErrNotFound):
		return invalidGrant(err)
	case err != nil:
		return err
	}
	s.finishTokens(session, c, prepared, grant, user, scopes.Of(grant.Scopes...))
	return nil
}

// redemption reads and checks what the client says about the code.
func (s *Server) redemption(c *client, p params) (storage.Redemption, error) {
	code := p.get("code")
	if code == "" {
		return storage.Redemption{}, invalidRequest("code is missing.")
	}
	if encoded, ours := strings.CutPrefix(code, codePrefix); !ours || !isSHA256(encoded) {
		return storage.Redemption{}, invalidGrant(errors.New("not a code of this server"))
	}
	verifier := p.get("code_verifier")
	if !isVerifier(verifier) {
		return storage.Redemption{}, invalidGrant(errors.New("code_verifier is missing or malformed"))
	}
	challenge := sha256.Sum256([]byte(verifier))
	r := storage.Redemption{
		CodeHash: sha256.Sum256([]byte(code)), ClientID: c.ID, RedirectURI: p.get("redirect_uri"),
		CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]),
	}
	if len(p.resources()) > 0 {
		to, err := s.target(c, p.resources())
		if err != nil {
			return storage.Redemption{}, err
		}
		r.Resource = to.canonical
	}
	return r, nil
}

// isVerifier reports whether text is a code_verifier (RFC 7636 §4.1).
func isVerifier(text string) bool {
	return len(text) >= 43 && len(text) <= 128 && strings.IndexFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~", c)
	}) < 0
}

func (g authorizationCode) PopulateTokenEndpointResponse(ctx context.Context, request fosite.AccessRequester, response fosite.AccessResponder) error {
	if !g.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	return g.server.populate(request, response)
}
