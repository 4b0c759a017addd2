package resourceserver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// AccessToken is what a verified token says. It is shared between requests:
// do not modify it.
type AccessToken struct {
	Issuer   string   // iss
	Subject  string   // sub; the client_id when the token has no other
	ClientID string   // client_id
	ID       string   // jti; empty for an opaque token whose issuer tells none
	GrantID  string   // grant: the token family, empty if there is none
	Audience []string // aud
	// Scopes are those granted, without what they imply.
	Scopes    scopes.Set
	IssuedAt  time.Time // zero if the issuer does not tell
	ExpiresAt time.Time
}

// principal is an unambiguous name of issuer, subject and client. Sessions are
// bound to it (MCP, session hijacking).
func (t *AccessToken) principal() string {
	escape := strings.NewReplacer("%", "%25", "|", "%7C")
	return escape.Replace(t.Issuer) + "|" + escape.Replace(t.Subject) + "|" + escape.Replace(t.ClientID)
}

type contextKey struct{}

// TokenFromContext returns the access token of the request that ctx belongs
// to. Inside a tool of a stateful MCP session, ctx belongs to the request that
// opened the session; use [TokenFromInfo] there.
func TokenFromContext(ctx context.Context) (*AccessToken, bool) {
	e, ok := ctx.Value(contextKey{}).(*verified)
	if !ok {
		return nil, false
	}
	return &e.AccessToken, true
}

// infoKey is the member of TokenInfo.Extra that [TokenFromInfo] reads.
const infoKey = "gatehouse.AccessToken"

// TokenFromInfo returns the access token behind req.Extra.TokenInfo of an MCP
// request. The scopes in TokenInfo itself are expanded: a token with a broad
// scope lists the narrower ones that it implies.
func TokenFromInfo(info *auth.TokenInfo) (*AccessToken, bool) {
	if info == nil {
		return nil, false
	}
	e, ok := info.Extra[infoKey].(*verified)
	if !ok {
		return nil, false
	}
	return &e.AccessToken, true
}

// verified is a cached [AccessToken] with all that a request needs of it, made
// once so that a cache hit allocates nothing.
type verified struct {
	AccessToken
	info     *auth.TokenInfo
	expanded scopes.Set // Scopes with what they imply

	local   bool      // verified by its own signature, a JWT
	foreign bool      // not of the issuer, whose revocations do not concern it
	epoch   int       // of the keys that verified it
	kid     string    // of the key that did
	checked time.Time // when the issuer last said that it is active; zero: never asked
	until   time.Time // ExpiresAt plus clock skew: from then on it is nothing
	event   string    // what a token-revoked event calls it
}

func newVerified(t AccessToken, catalog *scopes.Catalog, skew time.Duration) *verified {
	e := &verified{AccessToken: t, until: t.ExpiresAt.Add(skew), expanded: catalog.Expand(t.Scopes)}
	e.info = &auth.TokenInfo{
		Scopes:     slices.Clone(e.expanded),
		Expiration: t.ExpiresAt,
		UserID:     t.principal(),
		Extra:      map[string]any{infoKey: e},
	}
	return e
}
