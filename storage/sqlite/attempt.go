package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// SignInAttempt implements [storage.Attempts].
func (s *Store) SignInAttempt(ctx context.Context, username string, keys [][32]byte, now time.Time) (storage.SignInAttempt, error) {
	attempt := storage.SignInAttempt{Failures: make([]storage.Failures, len(keys))}
	err := s.view(ctx, "read sign-in attempt", func(tx *sql.Tx) (err error) {
		attempt.User, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userRow+` FROM users WHERE username = $1`, username))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		for i, key := range keys {
			f := &attempt.Failures[i]
			err := tx.QueryRowContext(ctx,
				`SELECT count, last_at FROM failure_counter WHERE key_hash = $1 AND expires_at > $2`, digest(key), instant(now),
			).Scan(&f.Count, (*instant)(&f.LastAt))
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return storage.SignInAttempt{}, err
	}
	return attempt, nil
}

// CountFailures implements [storage.Attempts].
func (s *Store) CountFailures(ctx context.Context, keys [][32]byte, expiresAt, now time.Time) ([]int, error) {
	counts := make([]int, len(keys))
	err := s.change(ctx, "count failures", func(ctx context.Context, tx *sql.Tx) error {
		for i, key := range keys {
			if err := tx.QueryRowContext(ctx, `
				INSERT INTO failure_counter AS counter (key_hash, count, last_at, expires_at) VALUES ($1, 1, $2, $3)
				ON CONFLICT (key_hash) DO UPDATE SET
					count = CASE WHEN counter.expires_at > $2 THEN counter.count + 1 ELSE 1 END,
					last_at = excluded.last_at, expires_at = excluded.expires_at
				RETURNING count`,
				digest(key), instant(now), instant(expiresAt),
			).Scan(&counts[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}

// ForgetFailures implements [storage.Attempts].
func (s *Store) ForgetFailures(ctx context.Context, keys [][32]byte) error {
	return s.change(ctx, "forget failures", func(ctx context.Context, tx *sql.Tx) error {
		for _, key := range keys {
			if _, err := tx.ExecContext(ctx, `DELETE FROM failure_counter WHERE key_hash = $1`, digest(key)); err != nil {
				return err
			}
		}
		return nil
	})
}
