package authserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// maxTokenBytes bounds what is looked at as a token.
const maxTokenBytes = 16 << 10

const tokenCacheSize = 100_000

// errInactive says that a string is not an access token of ours in force: not
// one at all, expired, or revoked. Callers learn no more (RFC 7662 §2.2).
var errInactive = errors.New("token is not active")

// tokenCache remembers verified tokens by SHA-256 until they expire. Whether
// they are revoked, or their key is withdrawn, is asked each time.
type tokenCache = otter.Cache[[32]byte, *accessToken]

func newTokenCache() *tokenCache {
	return otter.Must(&otter.Options[[32]byte, *accessToken]{
		MaximumSize: tokenCacheSize,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[[32]byte, *accessToken]) time.Duration {
			return max(time.Until(e.Value.expiresAt), time.Nanosecond)
		}),
	})
}

// lookup returns the access token of ours that token is, or errInactive.
func (s *Server) lookup(ctx context.Context, token string, now time.Time) (*accessToken, error) {
	if len(token) > maxTokenBytes {
		return nil, errInactive
	}
	hash := sha256.Sum256([]byte(token))
	found, hit := s.tokens.GetIfPresent(hash)
	if !hit {
		var err error
		if found, err = s.read(ctx, token, hash, now); err != nil {
			return nil, err
		}
		found.resources = canonicalAll(found.audience)
		s.tokens.Set(hash, found)
	}
	withdrawn := found.kid != "" && !s.keys.Published(found.kid, now)
	if withdrawn || !now.Before(found.expiresAt) || s.revoked.covers(found) {
		return nil, errInactive
	}
	return found, nil
}

// read verifies a JWT or fetches an opaque token.
func (s *Server) read(ctx context.Context, token string, hash [32]byte, now time.Time) (*accessToken, error) {
	expiresAt, opaque := parseOpaque(token)
	switch {
	case opaque && now.Before(expiresAt):
		return s.readOpaque(ctx, hash, expiresAt)
	case strings.Count(token, ".") != 2:
		return nil, errInactive
	}
	var claims accessClaims
	kid, err := s.keys.Verify(token, typeAccessToken, now, &claims)
	if err != nil || claims.Issuer != s.cfg.Issuer {
		return nil, errInactive
	}
	found, err := claims.token()
	if err != nil {
		return nil, errInactive
	}
	found.kid = kid
	return found, nil
}

func (s *Server) readOpaque(ctx context.Context, hash [32]byte, expiresAt time.Time) (*accessToken, error) {
	record, err := s.cfg.Store.AccessToken(ctx, hash, expiresAt)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, errInactive
	}
	if err != nil {
		return nil, err
	}
	return &accessToken{
		id: opaqueID(hash), clientID: record.ClientID, subject: record.Subject, grantID: record.GrantID,
		scopes: scopes.Of(record.Scopes...), audience: record.Audience, issuedAt: record.IssuedAt, expiresAt: record.ExpiresAt,
	}, nil
}
