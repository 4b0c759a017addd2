package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
)

// open opens the engine and refuses a schema that is too old.
func (at place) open(ctx context.Context, log *slog.Logger) (storage.Store, error) {
	var store storage.Store
	var err error
	if at.postgres != "" {
		most := int32(at.maxConns) //nolint:gosec // the settings are refused when it is beyond 10000
		store, err = postgres.Open(ctx, postgres.Config{URL: at.postgres, MaxConns: most, Logger: log})
	} else if err = at.exists(); err == nil {
		store, err = sqlite.Open(ctx, sqlite.Config{Path: at.sqlite, Logger: log})
	}
	if err != nil {
		return nil, storeError(err)
	}
	if err := store.Ready(ctx); err != nil {
		return nil, storeError(errors.Join(err, store.Close()))
	}
	return store, nil
}

// exists refuses to make an empty database out of a mistyped path.
func (at place) exists() error {
	if at.postgres != "" {
		return nil
	}
	if _, err := os.Stat(at.sqlite); err != nil {
		return fmt.Errorf("there is no store at %s; run gatehouse migrate up or gatehouse dev, or name another with --data or --database-url", at.sqlite)
	}
	return nil
}

// migrator creates an embedded store that does not exist.
func (at place) migrator(ctx context.Context) (*migrations.Migrator, error) {
	if at.postgres != "" {
		return postgres.Migrator(ctx, postgres.Config{URL: at.postgres})
	}
	return sqlite.Migrator(ctx, sqlite.Config{Path: at.sqlite})
}

// storePlace reads the settings and decides which store is meant.
func (p *process) storePlace() (settings.Settings, place, error) {
	s, err := p.settings()
	if err != nil {
		return s, place{}, err
	}
	at, err := p.place(s)
	return s, at, err
}

// withStore opens the store that the flags and the settings name for the
// duration of do.
func (p *process) withStore(ctx context.Context, do func(settings.Settings, storage.Store) error) error {
	s, at, err := p.storePlace()
	if err != nil {
		return err
	}
	store, err := at.open(ctx, p.logger(true))
	if err != nil {
		return err
	}
	err = do(s, store)
	return storeError(errors.Join(err, store.Close()))
}

// storeError adds what to do to the errors that every command can meet.
func storeError(err error) error {
	switch {
	case errors.Is(err, storage.ErrSchema):
		return fmt.Errorf("%w; run gatehouse migrate up with the same store", err)
	case errors.Is(err, migrations.ErrDirty):
		return fmt.Errorf("%w; make the schema whole by hand, then set version and dirty in its table schema_migrations", err)
	case errors.Is(err, storage.ErrUnavailable):
		return fmt.Errorf("%w; check that the database runs and that its address is right", err)
	case errors.Is(err, storage.ErrConflict):
		return fmt.Errorf("%w; look at it again and repeat the command", err)
	}
	return err
}

// listed yields all records of a list that the store gives in pages, so that
// many need little memory. An error is the last thing it yields; key is what
// the list is ordered by.
func listed[T any](ctx context.Context, list func(ctx context.Context, after string, limit int) ([]T, error), key func(T) string) iter.Seq2[T, error] {
	const page = 500
	return func(yield func(T, error) bool) {
		for after := ""; ; {
			records, err := list(ctx, after, page)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, record := range records {
				if !yield(record, nil) {
					return
				}
			}
			if len(records) < page {
				return
			}
			after = key(records[page-1])
		}
	}
}
