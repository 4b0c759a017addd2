package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/internal/coalesce"
)

// Config says which database to use and how. Only URL is required.
type Config struct {
	// URL is a connection URL (postgres://user@host:port/database?sslmode=…)
	// or a libpq keyword string. The PG* environment variables fill in what it
	// leaves out. Its role needs a schema of its own and nothing else: it is
	// to own the tables, since it adds and drops their partitions.
	URL string

	// MaxConns bounds the pool; 0 means four or the number of CPUs, whichever
	// is greater. Each running Listen has one connection besides.
	MaxConns int32

	// StatementTimeout bounds every statement on the server; default 5 s. It
	// must be shorter than [storage.CommitWindow]. Waiting for a lock is given
	// up after a fifth of it.
	StatementTimeout time.Duration

	// Logger receives what no caller is told; nil discards.
	Logger *slog.Logger

	// Tracer sees every statement; nil for none.
	Tracer pgx.QueryTracer
}

const (
	defaultStatementTimeout = 5 * time.Second

	// grace is how much longer than a statement may take on the server a call
	// waits for it, so that normally the server ends it and the connection
	// stays usable.
	grace = time.Second

	// cancelDelay is how long a statement whose caller has left may still run
	// before the server is asked to cancel it: most are done by then, so that
	// clients that hang up in haste cost neither a connection nor a cancel
	// request.
	cancelDelay = 50 * time.Millisecond

	// maxBatch rows are a few hundred kilobytes at most and far more than the
	// callers that gather during one write.
	maxBatch = 512
)

// Store is a [storage.Store] on PostgreSQL. Make one with [Open].
type Store struct {
	pool     *pgxpool.Pool
	patience time.Duration // of one call
	newest   uint          // schema version this binary needs
	log      *slog.Logger

	tokens *coalesce.Writer[tokenRow]
	events *coalesce.Writer[*eventRow]

	probe   time.Duration   // how long Listen trusts a silent connection
	closing context.Context // ends when Close begins
	close   context.CancelFunc
}

var _ storage.Store = (*Store)(nil)

// Open checks the configuration and makes a Store. It needs no server yet:
// one that is down, from the start or later, is ErrUnavailable at each call
// until it is back. Use [Store.Ready] to find out.
func Open(ctx context.Context, c Config) (*Store, error) {
	newest, err := migrations.Postgres().Newest()
	if err != nil {
		return nil, err
	}
	config, err := c.parse()
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // the store outlives the call
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, errors.New("postgres: the pool's settings are not valid")
	}
	s := &Store{pool: pool, patience: c.statementTimeout() + grace, newest: newest, log: c.Logger, probe: defaultProbe}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.tokens = coalesce.New(maxBatch, s.insertTokens)
	s.events = coalesce.New(maxBatch, s.insertEvents)
	s.closing, s.close = context.WithCancel(ctx)
	return s, nil
}

func (c Config) statementTimeout() time.Duration {
	if c.StatementTimeout == 0 {
		return defaultStatementTimeout
	}
	return c.StatementTimeout
}

// parse turns c into the pool's configuration. The driver's own complaint
// about a URL is dropped: it can quote parts of a password that was not
// escaped as it should have been.
func (c Config) parse() (*pgxpool.Config, error) {
	timeout := c.statementTimeout()
	if timeout < time.Millisecond || timeout >= storage.CommitWindow {
		return nil, fmt.Errorf("postgres: statement timeout %s is not between 1ms and less than %s", timeout, storage.CommitWindow)
	}
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("postgres: the database URL is not valid: want postgres://user@host:port/database?sslmode=…, " +
			"special characters in user and password percent-encoded")
	}
	if c.MaxConns > 0 {
		config.MaxConns = c.MaxConns
	}
	conn := config.ConnConfig
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = timeout
	}
	conn.BuildContextWatcherHandler = cancelStatement
	conn.Tracer = c.Tracer
	parameters := conn.RuntimeParams
	if parameters["application_name"] == "" {
		parameters["application_name"] = "gatehouse"
	}
	parameters["statement_timeout"] = milliseconds(timeout)
	parameters["lock_timeout"] = milliseconds(max(timeout/5, time.Millisecond))
	config.AfterConnect = timesInUTC
	return config, nil
}

// cancelStatement ends the statement, not the connection, of a caller whose
// context ends: when the call returns, nothing of it goes on in the server.
func cancelStatement(conn *pgconn.PgConn) ctxwatch.Handler {
	return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, CancelRequestDelay: cancelDelay, DeadlineDelay: grace}
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// timesInUTC makes the connection return times in UTC, whatever the zones of
// server and process.
func timesInUTC(_ context.Context, conn *pgx.Conn) error {
	instants := &pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	}
	conn.TypeMap().RegisterType(instants)
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "_timestamptz", OID: pgtype.TimestamptzArrayOID,
		Codec: &pgtype.ArrayCodec{ElementType: instants},
	})
	return nil
}

// Close refuses further calls, waits for those that run and ends every Listen.
// Closing twice is no error.
func (s *Store) Close() error {
	s.close()
	s.tokens.Close()
	s.events.Close()
	s.pool.Close()
	return nil
}

// Stats implements [storage.Store].
func (s *Store) Stats() storage.Stats {
	p := s.pool.Stat()
	return storage.Stats{
		Open: int(p.TotalConns()), InUse: int(p.AcquiredConns()), Max: int(p.MaxConns()),
		Waits: p.EmptyAcquireCount(), WaitDuration: p.EmptyAcquireWaitTime(),
	}
}
