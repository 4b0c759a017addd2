package sqlite

import (
	"context"
	"database/sql"
	"time"
)

const (
	// sweepBatch bounds the rows of one deletion: some milliseconds.
	sweepBatch = 500
	// sweepPause is what other processes get to take the lock in between;
	// writers of this process queue for the connection anyway.
	sweepPause = 5 * time.Millisecond
)

// Maintain implements [storage.Store]. SQLite has no partitions to prepare or
// to drop. Expired rows are found by an index, so that nothing is read that is
// not deleted, and go in small transactions, so that no writer waits long; a
// Maintain that is cut short has done part of the work.
func (s *Store) Maintain(ctx context.Context, now time.Time, _ time.Duration) error {
	for _, statement := range sweeps() {
		if err := s.sweep(ctx, statement, now); err != nil {
			return err
		}
	}
	return nil
}

// sweeps are the deletions of at most $2 rows that expired before $1.
func sweeps() []string {
	return []string{
		`DELETE FROM access_token WHERE (token_hash, expires_at) IN (
			SELECT token_hash, expires_at FROM access_token WHERE expires_at < $1 LIMIT $2)`,
		`DELETE FROM assertion_jti WHERE (issuer, jti) IN (
			SELECT issuer, jti FROM assertion_jti WHERE expires_at < $1 LIMIT $2)`,
		`DELETE FROM event WHERE seq IN (
			SELECT seq FROM event WHERE expires_at < $1 LIMIT $2)`,
	}
}

// sweep runs one of the deletions until nothing is left for it.
func (s *Store) sweep(ctx context.Context, statement string, now time.Time) error {
	pause := time.NewTicker(sweepPause)
	defer pause.Stop()
	for {
		var deleted int64
		err := s.change(ctx, "drop what expired", func(ctx context.Context, tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, statement, instant(now), sweepBatch)
			if err != nil {
				return err
			}
			deleted, err = result.RowsAffected()
			return err
		})
		if err != nil || deleted < sweepBatch {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
	}
}
