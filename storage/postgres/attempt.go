package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// SignInAttempt implements [storage.Attempts].
func (s *Store) SignInAttempt(ctx context.Context, username string, keys [][32]byte, now time.Time) (storage.SignInAttempt, error) {
	const sql = `
		SELECT ` + userColumns + `, f.counts, f.lasts
		FROM (
			SELECT array_agg(coalesce(f.count, 0) ORDER BY k.i), array_agg(f.last_at ORDER BY k.i)
			FROM unnest($2::bytea[]) WITH ORDINALITY AS k (key_hash, i)
			LEFT JOIN failure_counter f ON f.key_hash = k.key_hash AND f.expires_at > $3
		) AS f (counts, lasts)
		LEFT JOIN users u ON u.username = $1`
	var attempt storage.SignInAttempt
	var counts []int
	var lasts []instant
	err := s.do(ctx, "look up a sign-in attempt", func(ctx context.Context) error {
		row := s.pool.QueryRow(ctx, sql, username, byteStrings(keys), now)
		return scan(row, userFields(&attempt.User), []any{&counts, &lasts})
	})
	if err != nil {
		return storage.SignInAttempt{}, err
	}
	for i, count := range counts {
		attempt.Failures = append(attempt.Failures, storage.Failures{Count: count, LastAt: time.Time(lasts[i])})
	}
	return attempt, nil
}

// CountFailures implements [storage.Attempts]. Counters are locked in the order
// of their keys, so that callers with some in common cannot wait in a circle.
func (s *Store) CountFailures(ctx context.Context, keys [][32]byte, expiresAt, now time.Time) ([]int, error) {
	const sql = `
		WITH counted AS (
			INSERT INTO failure_counter AS f (key_hash, count, last_at, expires_at)
			SELECT key_hash, 1, $3, $2 FROM (
				SELECT DISTINCT key_hash FROM unnest($1::bytea[]) AS k (key_hash) ORDER BY key_hash
			) AS k
			ON CONFLICT (key_hash) DO UPDATE SET
				count = CASE WHEN f.expires_at > $3 THEN f.count + 1 ELSE 1 END,
				last_at = $3, expires_at = $2
			RETURNING key_hash, count
		)
		SELECT count FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key_hash, i)
		JOIN counted USING (key_hash) ORDER BY i`
	var counts []int
	err := s.do(ctx, "count failures", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, byteStrings(keys), expiresAt, now)
		if err != nil {
			return err
		}
		counts, err = pgx.CollectRows(rows, pgx.RowTo[int])
		return err
	})
	return counts, err
}

// ForgetFailures implements [storage.Attempts]; it locks like CountFailures.
func (s *Store) ForgetFailures(ctx context.Context, keys [][32]byte) error {
	const sql = `
		WITH locked AS (
			SELECT key_hash FROM failure_counter WHERE key_hash = ANY ($1) ORDER BY key_hash FOR UPDATE
		)
		DELETE FROM failure_counter f USING locked WHERE f.key_hash = locked.key_hash`
	return s.do(ctx, "forget failures", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, byteStrings(keys))
		return err
	})
}

func byteStrings(hashes [][32]byte) [][]byte {
	return column(hashes, func(h [32]byte) []byte { return h[:] })
}
