package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const insertEvent = `
	INSERT INTO event (kind, target, audience, issued_before, created_at, expires_at)
	VALUES ($1, $2, $3, $4, $5, $6)`

func eventValues(e storage.Event) []any {
	return []any{
		string(e.Kind), e.Target, list(e.Audience), orNull(e.IssuedBefore),
		instant(e.CreatedAt), instant(e.ExpiresAt),
	}
}

// appendChange appends the news that something cached is out of date to a
// write transaction; the caller rings once it is committed.
func appendChange(ctx context.Context, tx *sql.Tx, kind storage.EventKind, target string, now time.Time) error {
	return appendEvent(ctx, tx, storage.Event{
		Kind: kind, Target: target, CreatedAt: now, ExpiresAt: now.Add(storage.ChangeLifetime),
	})
}

// appendEvent appends e to a write transaction; the caller rings once it is
// committed.
func appendEvent(ctx context.Context, tx *sql.Tx, e storage.Event) error {
	_, err := tx.ExecContext(ctx, insertEvent, eventValues(e)...)
	return err
}

// eventRow is an event on its way into a shared transaction, see [tokenRow].
type eventRow struct {
	event storage.Event // its Seq is set by the write
}

// AppendEvent implements [storage.Events].
func (s *Store) AppendEvent(ctx context.Context, e storage.Event) (int64, error) {
	row := &eventRow{event: e.Clone()}
	if err := share(ctx, s, "append event", s.events, row); err != nil {
		return 0, err
	}
	return row.event.Seq, nil
}

// insertEvents writes a batch of events in one transaction. The write lock is
// held from the first sequence number to the commit: on this engine no event
// becomes visible after one with a higher number.
func (s *Store) insertEvents(ctx context.Context, rows []*eventRow) error {
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, insertEvent)
		if err != nil {
			return err
		}
		defer func() { _ = insert.Close() }() // what counts is the commit
		for _, row := range rows {
			result, err := insert.ExecContext(ctx, eventValues(row.event)...)
			if err != nil {
				return err
			}
			if row.event.Seq, err = result.LastInsertId(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}

// Events implements [storage.Events].
func (s *Store) Events(ctx context.Context, after int64, limit int, now time.Time) (log []storage.Event, err error) {
	err = s.read(ctx, "read events", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `
			SELECT seq, kind, target, audience, issued_before, created_at, expires_at
			FROM event WHERE seq > $1 AND expires_at > $2 ORDER BY seq LIMIT $3`,
			after, instant(now), max(limit, 0))
		log, err = collect(rows, err, scanEvent)
		return err
	})
	return log, err
}

func scanEvent(row scanner) (e storage.Event, err error) {
	err = row.Scan(&e.Seq, &e.Kind, &e.Target, (*list)(&e.Audience),
		(*instant)(&e.IssuedBefore), (*instant)(&e.CreatedAt), (*instant)(&e.ExpiresAt))
	return e, err
}
