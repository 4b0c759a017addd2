package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// expiryBatch rows are deleted by one statement, and so many batches of
	// each table by one call: what is left waits for the next.
	expiryBatch   = 2000
	expiryBatches = 50
)

// expiring is a table whose rows go when they have expired. It cannot be
// partitioned by that, like tokens and events: its rows are found by another
// key, or live longer with use.
type expiring struct {
	table string
	// remembered is how long a row is kept after its time, so that what comes
	// late or twice is told from what was made up.
	remembered time.Duration
	and        string // a further condition
}

// expiringTables each have an index by expires_at: nothing to do costs little.
func expiringTables() []expiring {
	return []expiring{
		{table: "assertion_jti"},
		{table: "interaction"},
		{table: "pushed_request"},
		{table: "session"},
		{table: "failure_counter"},
		{table: "device_authorization", remembered: time.Hour},
		{table: "token_grant", remembered: time.Hour},
		// A code that is under way is a use of its client.
		{table: "client", and: "AND NOT EXISTS (SELECT FROM token_grant g WHERE g.client_id = t.client_id)"},
	}
}

func (s *Store) deleteExpired(ctx context.Context, now time.Time) error {
	var errs []error
	for _, e := range expiringTables() {
		errs = append(errs, s.deleteExpiredOf(ctx, e, now.Add(-e.remembered)))
	}
	return errors.Join(errs...)
}

// deleteExpiredOf leaves rows that somebody else is at work on for the next
// time. Rows are deleted where they were found, by ctid: however many there
// are, no plan reads the table for them.
func (s *Store) deleteExpiredOf(ctx context.Context, e expiring, before time.Time) error {
	sql := fmt.Sprintf(`
		DELETE FROM %[1]s WHERE ctid = ANY (ARRAY(
			SELECT ctid FROM %[1]s t WHERE expires_at <= $1 %[2]s
			ORDER BY expires_at LIMIT %[3]d FOR UPDATE SKIP LOCKED))`, e.table, e.and, expiryBatch)
	for range expiryBatches {
		var deleted int64
		err := s.do(ctx, "delete expired rows of "+e.table, func(ctx context.Context) error {
			tag, err := s.pool.Exec(ctx, sql, before)
			deleted = tag.RowsAffected()
			return err
		})
		if err != nil || deleted < expiryBatch {
			return err
		}
	}
	return nil
}
