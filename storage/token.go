package storage

import (
	"context"
	"slices"
	"time"
)

// AccessToken is an issued opaque access token. The token itself is never
// stored: Hash is its SHA-256 and the key together with ExpiresAt, which the
// token carries in the clear so that a look-up touches one partition only.
type AccessToken struct {
	Hash      [32]byte
	ExpiresAt time.Time // whole seconds

	ClientID string
	Subject  string   // sub
	GrantID  string   // family; empty for client credentials
	Scopes   []string // scope
	Audience []string // aud
	IssuedAt time.Time
}

// Clone returns a deep copy.
func (t AccessToken) Clone() AccessToken {
	t.Scopes = slices.Clone(t.Scopes)
	t.Audience = slices.Clone(t.Audience)
	return t
}

// AccessTokens keeps opaque access tokens until they expire. Revoked tokens
// stay until then: revocation is an [Event], for opaque and JWT alike.
type AccessTokens interface {
	// CreateAccessToken stores t durably before it returns. Engines coalesce
	// concurrent calls into one write. ErrExists when that hash with that
	// expiry is taken; the stored token and the other calls of the same
	// write are not affected.
	CreateAccessToken(ctx context.Context, t AccessToken) error

	// AccessToken returns the token, or ErrNotFound when none with that hash
	// and expiry exists. It does not judge expiry; expired tokens disappear
	// with their partition some time later.
	AccessToken(ctx context.Context, hash [32]byte, expiresAt time.Time) (AccessToken, error)
}

// Assertions remembers the identifiers of used assertions (RFC 7523 §3 jti).
type Assertions interface {
	// UseJTI spends jti for issuer until expiresAt. ErrSpent when it has been
	// spent and had not expired at now; of concurrent callers exactly one
	// succeeds. The same jti of another issuer is another jti.
	UseJTI(ctx context.Context, issuer, jti string, expiresAt, now time.Time) error
}
