package postgres

import (
	"context"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// CreateKey implements [storage.Keys].
func (s *Store) CreateKey(ctx context.Context, k storage.Key) error {
	const sql = `
		WITH created AS (
			INSERT INTO signing_key (kid, alg, generation, public_jwk, sealed_jwk, created_at, activate_at, retired_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT DO NOTHING RETURNING created_at
		)
		INSERT INTO event (kind, target, audience, created_at, expires_at)
		SELECT 'keys_changed', '', '{}', created_at, $9 FROM created`
	expires := k.CreatedAt.Add(storage.ChangeLifetime)
	return s.do(ctx, "create key", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, k.KID, k.Alg, k.Generation, k.Public, k.Sealed,
			k.CreatedAt, k.ActivateAt, instant(k.RetiredAt), expires)
		return orElse(tag, err, storage.ErrExists)
	}, expires)
}

// Keys implements [storage.Keys].
func (s *Store) Keys(ctx context.Context) ([]storage.Key, error) {
	const sql = `
		SELECT kid, alg, generation, public_jwk, sealed_jwk, created_at, activate_at, retired_at
		FROM signing_key ORDER BY generation`
	var keys []storage.Key
	err := s.do(ctx, "read keys", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql)
		keys, err = collect(rows, err, keyFields)
		return err
	})
	return keys, err
}

func keyFields(k *storage.Key) []any {
	return []any{&k.KID, &k.Alg, &k.Generation, &k.Public, &k.Sealed, &k.CreatedAt, &k.ActivateAt, (*instant)(&k.RetiredAt)}
}

// RetireKey implements [storage.Keys]. A second time tells the caches again,
// which costs nothing.
func (s *Store) RetireKey(ctx context.Context, kid string, now time.Time) error {
	const sql = `
		WITH retired AS (
			UPDATE signing_key SET retired_at = coalesce(retired_at, $2) WHERE kid = $1 RETURNING kid
		)
		INSERT INTO event (kind, target, audience, created_at, expires_at)
		SELECT 'keys_changed', kid, '{}', $2, $3 FROM retired`
	expires := now.Add(storage.ChangeLifetime)
	return s.do(ctx, "retire key", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, kid, now, expires)
		return orElse(tag, err, storage.ErrNotFound)
	}, expires)
}

// RemoveKey implements [storage.Keys].
func (s *Store) RemoveKey(ctx context.Context, kid string) error {
	const sql = `DELETE FROM signing_key WHERE kid = $1`
	return s.do(ctx, "remove key", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, kid)
		return err
	})
}
