package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/internal/coalesce"
)

const (
	// writeTimeout bounds a write transaction with its wait for the lock,
	// well below [storage.CommitWindow].
	writeTimeout = 8 * time.Second

	// readers is how many connections read beside the writer.
	readers = 8

	// maxBatch bounds how many concurrent calls share a transaction.
	maxBatch = 256
)

// Memory is the path of a database that lives and dies with its [Store].
const Memory = ":memory:"

// Config says which database to open.
type Config struct {
	// Path is the database's file, or [Memory]. A missing file is created
	// with mode 0600, its missing directories with 0700.
	Path string

	// Logger receives operational messages; nil discards them.
	Logger *slog.Logger
}

var _ storage.Store = (*Store)(nil)

// Store is a [storage.Store] on one SQLite database. It is safe for concurrent
// use.
type Store struct {
	writer *sql.DB // one connection
	reader *sql.DB // a pool; the writer itself in memory
	newest uint    // schema version this binary needs
	tokens *coalesce.Writer[*tokenRow]
	events *coalesce.Writer[*eventRow]

	appended bell // rung after each commit that appended an event, and by Close

	// running is held for reading by every call and for writing by Close;
	// closed is guarded by it.
	running sync.RWMutex
	closed  bool
}

// Open opens the database, and creates an empty one when there is none; it
// does not migrate a file. A database in memory, which nobody else could
// migrate, comes with the current schema. Errors wrap [storage.ErrUnavailable]
// or are ctx's.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	newest, err := migrations.SQLite().Newest()
	if err != nil {
		return nil, err
	}
	writer, err := openWriter(ctx, cfg)
	if err != nil {
		return nil, failure(ctx, "open "+cfg.Path, err)
	}
	s := &Store{writer: writer, reader: writer, newest: newest}
	s.appended.rung = make(chan struct{})
	s.tokens = coalesce.New(maxBatch, s.insertTokens)
	s.events = coalesce.New(maxBatch, s.insertEvents)
	if cfg.Path == Memory {
		err = migrateMemory(ctx, writer)
	} else {
		s.reader, err = openPool(cfg.Path, readers, writeTimeout, "_query_only=1")
	}
	if err != nil {
		return nil, errors.Join(failure(ctx, "open "+cfg.Path, err), writer.Close())
	}
	return s, nil
}

// enter begins a call; every call that was let in calls s.running.RUnlock.
func (s *Store) enter() error {
	s.running.RLock()
	if s.closed {
		s.running.RUnlock()
		return fmt.Errorf("%w: closed", storage.ErrUnavailable)
	}
	return nil
}

// read runs one SELECT.
func (s *Store) read(ctx context.Context, op string, f func(db *sql.DB) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.RUnlock()
	return failure(ctx, op, f(s.reader))
}

// view runs several SELECTs that see the same state.
func (s *Store) view(ctx context.Context, op string, f func(tx *sql.Tx) error) error {
	return s.read(ctx, op, func(db *sql.DB) error {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // nothing was written
		return f(tx)
	})
}

// change runs f in a write transaction of its own: all or nothing.
func (s *Store) change(ctx context.Context, op string, f func(ctx context.Context, tx *sql.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.RUnlock()
	return failure(ctx, op, s.transact(ctx, f))
}

// share has batch write row together with those of concurrent callers, and
// returns when it is durable. Unless it returns nil, row must not be read: its
// batch may still be under way.
func share[T any](ctx context.Context, s *Store, op string, batch *coalesce.Writer[T], row T) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.RUnlock()
	return failure(ctx, op, batch.Do(ctx, row))
}

// transact runs f between BEGIN IMMEDIATE and COMMIT. It is for calls that
// have entered.
func (s *Store) transact(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var tx *sql.Tx
	err := whileBusy(ctx, func() (err error) {
		tx, err = s.writer.BeginTx(ctx, nil)
		return err
	})
	if err != nil {
		return err
	}
	if err := f(ctx, tx); err != nil {
		_ = tx.Rollback() // what failed is err; a transaction left open ends with its connection
		return err
	}
	return tx.Commit()
}

// Ready implements [storage.Store].
func (s *Store) Ready(ctx context.Context) error {
	return s.read(ctx, "read the schema version", func(db *sql.DB) error {
		var migrated bool
		if err := db.QueryRowContext(ctx,
			`SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations')`,
		).Scan(&migrated); err != nil {
			return err
		}
		if !migrated {
			return fmt.Errorf("%w: the database is empty", storage.ErrSchema)
		}
		var version uint
		var dirty bool
		err := db.QueryRowContext(ctx, `SELECT version, dirty FROM schema_migrations LIMIT 1`).Scan(&version, &dirty)
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		case dirty:
			return fmt.Errorf("%w: version %d is half done", storage.ErrSchema, version)
		case version < s.newest:
			return fmt.Errorf("%w: version is %d, %d is needed", storage.ErrSchema, version, s.newest)
		}
		return nil
	})
}

// Close implements [storage.Store]. Listening ends, running calls are waited
// for, further ones answer [storage.ErrUnavailable]. Closing again is no error.
func (s *Store) Close() error {
	s.running.Lock()
	defer s.running.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.appended.ring() // listeners look, and see it
	s.tokens.Close()
	s.events.Close()
	// The writer last: the last connection to leave folds the log into the
	// file and removes it.
	return failure(context.Background(), "close", errors.Join(s.reader.Close(), s.writer.Close()))
}

// Stats implements [storage.Store]: the writer and the readers together.
func (s *Store) Stats() storage.Stats {
	stats := connections(s.writer)
	if s.reader != s.writer {
		r := connections(s.reader)
		stats.Open += r.Open
		stats.InUse += r.InUse
		stats.Max += r.Max
		stats.Waits += r.Waits
		stats.WaitDuration += r.WaitDuration
	}
	return stats
}

func connections(db *sql.DB) storage.Stats {
	s := db.Stats()
	return storage.Stats{Open: s.OpenConnections, InUse: s.InUse, Max: s.MaxOpenConnections, Waits: s.WaitCount, WaitDuration: s.WaitDuration}
}
