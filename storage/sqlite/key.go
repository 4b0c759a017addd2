package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// CreateKey implements [storage.Keys].
func (s *Store) CreateKey(ctx context.Context, k storage.Key) error {
	err := s.change(ctx, "create key", func(ctx context.Context, tx *sql.Tx) error {
		err := oneRow(storage.ErrExists)(tx.ExecContext(ctx, `
			INSERT INTO signing_key (kid, alg, generation, public_jwk, sealed_jwk, created_at, activate_at, retired_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT DO NOTHING`,
			k.KID, k.Alg, k.Generation, k.Public, k.Sealed,
			instant(k.CreatedAt), instant(k.ActivateAt), orNull(k.RetiredAt)))
		if err != nil {
			return err
		}
		return appendChange(ctx, tx, storage.EventKeysChanged, "", k.CreatedAt)
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}

// Keys implements [storage.Keys].
func (s *Store) Keys(ctx context.Context) (keys []storage.Key, err error) {
	err = s.read(ctx, "read keys", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `
			SELECT kid, alg, generation, public_jwk, sealed_jwk, created_at, activate_at, retired_at
			FROM signing_key ORDER BY generation`)
		keys, err = collect(rows, err, scanKey)
		return err
	})
	return keys, err
}

func scanKey(row scanner) (k storage.Key, err error) {
	err = row.Scan(&k.KID, &k.Alg, &k.Generation, &k.Public, &k.Sealed,
		(*instant)(&k.CreatedAt), (*instant)(&k.ActivateAt), (*instant)(&k.RetiredAt))
	return k, err
}

// RetireKey implements [storage.Keys].
func (s *Store) RetireKey(ctx context.Context, kid string, now time.Time) error {
	err := s.change(ctx, "retire key", func(ctx context.Context, tx *sql.Tx) error {
		err := oneRow(storage.ErrNotFound)(tx.ExecContext(ctx,
			`UPDATE signing_key SET retired_at = coalesce(retired_at, $2) WHERE kid = $1`, kid, instant(now)))
		if err != nil {
			return err
		}
		return appendChange(ctx, tx, storage.EventKeysChanged, kid, now)
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}

// RemoveKey implements [storage.Keys].
func (s *Store) RemoveKey(ctx context.Context, kid string) error {
	return s.change(ctx, "remove key", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM signing_key WHERE kid = $1`, kid)
		return err
	})
}
