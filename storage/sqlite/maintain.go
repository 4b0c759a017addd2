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
	for _, sweep := range sweeps() {
		if err := s.sweep(ctx, sweep.statement(), now.Add(-sweep.kept)); err != nil {
			return err
		}
	}
	return nil
}

// remembered is how long codes outlive their expiry, so that one that comes
// again is still known.
const remembered = time.Hour

// expiring is a table whose rows expire.
type expiring struct {
	table, key string
	kept       time.Duration // after expiry
}

func sweeps() []expiring {
	return []expiring{
		{"access_token", "token_hash, expires_at", 0},
		{"assertion_jti", "issuer, jti", 0},
		{"event", "seq", 0},
		{"session", "session_hash", 0},
		{"failure_counter", "key_hash", 0},
		{"interaction", "interaction_hash", 0},
		{"pushed_request", "request_hash", 0},
		{"authorization_code", "code_hash", remembered},
		{"device_authorization", "device_code", remembered},
		{"token_grant", "grant_id", 0},
		{"client", "client_id", 0}, // the others have no expiry
	}
}

// statement deletes at most $2 rows that expired before $1.
func (e expiring) statement() string {
	return `DELETE FROM ` + e.table + ` WHERE (` + e.key + `) IN (
		SELECT ` + e.key + ` FROM ` + e.table + ` WHERE expires_at < $1 LIMIT $2)`
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
