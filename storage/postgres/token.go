package postgres

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// tokenRow is an access token on its way into a batch. Its lists are array
// literals already, so that it shares nothing with the caller, who may leave
// before it is written.
type tokenRow struct {
	storage.AccessToken
	scopes, audience string
}

// CreateAccessToken implements [storage.AccessTokens].
func (s *Store) CreateAccessToken(ctx context.Context, t storage.AccessToken) error {
	row := tokenRow{AccessToken: t, scopes: arrayLiteral(t.Scopes), audience: arrayLiteral(t.Audience)}
	row.Scopes, row.Audience = nil, nil
	return batched("create access token", s.tokens.Do(ctx, row))
}

// insertTokens writes one batch: one array per column, one row per index.
func (s *Store) insertTokens(ctx context.Context, rows []tokenRow) error {
	const sql = `
		INSERT INTO access_token (token_hash, expires_at, client_id, subject, grant_id, scopes, audience, issued_at)
		SELECT token_hash, expires_at, client_id, subject, grant_id, scopes::text[], audience::text[], issued_at
		FROM unnest($1::bytea[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
			AS t (token_hash, expires_at, client_id, subject, grant_id, scopes, audience, issued_at)`
	expires := column(rows, func(t tokenRow) time.Time { return t.ExpiresAt })
	args := []any{
		column(rows, func(t tokenRow) []byte { return t.Hash[:] }),
		expires,
		column(rows, func(t tokenRow) string { return t.ClientID }),
		column(rows, func(t tokenRow) string { return t.Subject }),
		column(rows, func(t tokenRow) string { return t.GrantID }),
		column(rows, func(t tokenRow) string { return t.scopes }),
		column(rows, func(t tokenRow) string { return t.audience }),
		column(rows, func(t tokenRow) time.Time { return t.IssuedAt }),
	}
	return itemwise(s.do(ctx, "create access token", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, args...)
		return err
	}, expires...))
}

// AccessToken implements [storage.AccessTokens].
func (s *Store) AccessToken(ctx context.Context, hash [32]byte, expiresAt time.Time) (storage.AccessToken, error) {
	const sql = `
		SELECT expires_at, client_id, subject, grant_id, scopes, audience, issued_at
		FROM access_token WHERE token_hash = $1 AND expires_at = $2`
	t := storage.AccessToken{Hash: hash}
	err := s.do(ctx, "look up access token", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, sql, hash[:], expiresAt).
			Scan(&t.ExpiresAt, &t.ClientID, &t.Subject, &t.GrantID, (*list)(&t.Scopes), (*list)(&t.Audience), &t.IssuedAt)
	})
	if err != nil {
		return storage.AccessToken{}, err
	}
	return t, nil
}

// UseJTI implements [storage.Assertions]: the row is inserted, or taken over
// from one that has expired, or somebody has spent it.
func (s *Store) UseJTI(ctx context.Context, issuer, jti string, expiresAt, now time.Time) error {
	const sql = `
		INSERT INTO assertion_jti AS used (assertion_hash, expires_at) VALUES ($1, $2)
		ON CONFLICT (assertion_hash) DO UPDATE SET expires_at = excluded.expires_at WHERE used.expires_at <= $3`
	hash := assertionHash(issuer, jti)
	return s.do(ctx, "use jti", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, hash[:], expiresAt, now)
		return orElse(tag, err, storage.ErrSpent)
	})
}

// assertionHash is SHA-256 of the issuer's SHA-256 and the jti: the first part
// has a fixed length, so no two pairs read the same.
func assertionHash(issuer, jti string) [32]byte {
	first := sha256.Sum256([]byte(issuer))
	return sha256.Sum256(append(first[:], jti...))
}
