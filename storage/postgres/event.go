package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// eventRow is an event on its way into a batch, with its audience as an array
// literal. The batch's writer sets seq.
type eventRow struct {
	storage.Event
	audience string
	seq      int64
}

// AppendEvent implements [storage.Events]. Listeners are woken by the table's
// trigger, once for the batch.
func (s *Store) AppendEvent(ctx context.Context, e storage.Event) (int64, error) {
	row := &eventRow{Event: e, audience: arrayLiteral(e.Audience)}
	row.Audience = nil
	if err := s.events.Do(ctx, row); err != nil {
		return 0, batched("append event", err)
	}
	return row.seq, nil
}

// insertEvents writes one batch. The numbers are drawn before the insert, so
// that each is known to belong to its row.
func (s *Store) insertEvents(ctx context.Context, rows []*eventRow) error {
	const sql = `
		WITH numbered AS (
			SELECT nextval('event_seq') AS seq, e.*
			FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[]) WITH ORDINALITY
				AS e (kind, target, audience, issued_before, created_at, expires_at, i)
		), inserted AS (
			INSERT INTO event (seq, kind, target, audience, issued_before, created_at, expires_at)
			SELECT seq, kind, target, audience::text[], issued_before, created_at, expires_at FROM numbered
		)
		SELECT seq FROM numbered ORDER BY i`
	expires := column(rows, func(e *eventRow) time.Time { return e.ExpiresAt })
	args := []any{
		column(rows, func(e *eventRow) string { return string(e.Kind) }),
		column(rows, func(e *eventRow) string { return e.Target }),
		column(rows, func(e *eventRow) string { return e.audience }),
		column(rows, func(e *eventRow) instant { return instant(e.IssuedBefore) }),
		column(rows, func(e *eventRow) time.Time { return e.CreatedAt }),
		expires,
	}
	return itemwise(s.do(ctx, "append event", func(ctx context.Context) error {
		result, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		seqs, err := pgx.CollectRows(result, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for i, seq := range seqs {
			rows[i].seq = seq
		}
		return nil
	}, expires...))
}

// Events implements [storage.Events].
func (s *Store) Events(ctx context.Context, after int64, limit int, now time.Time) ([]storage.Event, error) {
	const sql = `
		SELECT seq, kind, target, audience, issued_before, created_at, expires_at
		FROM event WHERE seq > $1 AND expires_at > $2 ORDER BY seq LIMIT $3`
	var events []storage.Event
	err := s.do(ctx, "read events", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, after, now, max(limit, 0))
		events, err = collect(rows, err, eventFields)
		return err
	})
	return events, err
}

func eventFields(e *storage.Event) []any {
	return []any{&e.Seq, &e.Kind, &e.Target, (*list)(&e.Audience), (*instant)(&e.IssuedBefore), &e.CreatedAt, &e.ExpiresAt}
}

// eventArgs are the parameters of a step that appends an event: kind, target,
// audience, issued_before, created_at and expires_at.
func eventArgs(e storage.Event) []any {
	return []any{string(e.Kind), e.Target, orEmpty(e.Audience), instant(e.IssuedBefore), e.CreatedAt, e.ExpiresAt}
}

// defaultProbe is how long Listen trusts a silent connection before it asks
// whether there still is a server at its other end.
const defaultProbe = 30 * time.Second

// Listen implements [storage.Events] on a connection of its own, so that
// listeners take nothing from the pool.
func (s *Store) Listen(ctx context.Context, wake func()) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)() //nolint:contextcheck // it ends running, which is inherited
	err := s.listen(running, wake)
	if s.closing.Err() != nil {
		err = errors.New("the store is closed")
	}
	return translate(ctx, "listen for events", err)
}

func (s *Store) listen(ctx context.Context, wake func()) error {
	config := s.pool.Config().ConnConfig
	config.BuildContextWatcherHandler = stopWaiting
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		_ = conn.Close(ctx) // what there is to say of it was said by the error
	}()
	// event_notify() of the schema names the same channel.
	if _, err := conn.Exec(ctx, "LISTEN gatehouse_event"); err != nil {
		return err
	}
	for {
		wake()
		if err := s.awaitNotification(ctx, conn); err != nil {
			return err
		}
	}
}

// stopWaiting is for a connection on which there is no statement to cancel,
// only a wait to end at once.
func stopWaiting(conn *pgconn.PgConn) ctxwatch.Handler {
	return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
}

// awaitNotification returns when a notification has arrived. A connection
// whose other end vanished without a word looks like one on which nothing
// happens; the ping tells them apart.
func (s *Store) awaitNotification(ctx context.Context, conn *pgx.Conn) error {
	for {
		quiet, cancel := context.WithTimeout(ctx, s.probe)
		_, err := conn.WaitForNotification(quiet)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		answered, cancel := context.WithTimeout(ctx, s.patience)
		err = conn.Ping(answered)
		cancel()
		if err != nil {
			return err
		}
	}
}
