package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	driver "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// migrationLockTimeout bounds how long a migration waits for a lock, and so
// how long it makes others wait behind it: longer than any statement of a
// server may run.
const migrationLockTimeout = storage.CommitWindow + 5*time.Second

// Migrator returns a migrator of the database, on a connection of its own that
// it owns. Any number may be made and run at once, ours and golang-migrate's
// own command alike: all take the same advisory lock. ErrUnavailable when the
// server does not answer.
func Migrator(ctx context.Context, c Config) (*migrations.Migrator, error) {
	const step = "open the database to migrate it"
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", step, err)
	}
	config, err := c.parse()
	if err != nil {
		return nil, err
	}
	conn := config.ConnConfig
	conn.RuntimeParams["statement_timeout"] = "0" // as long as the data need
	conn.RuntimeParams["lock_timeout"] = milliseconds(migrationLockTimeout)
	db := stdlib.OpenDB(*conn)
	// The lock's id derives from this name, and the command's own has the
	// slash of the URL's path.
	d, err := driver.WithInstance(db, &driver.Config{DatabaseName: "/" + conn.Database})
	if err != nil {
		_ = db.Close()
		return nil, translate(ctx, step, err)
	}
	return migrations.New(migrations.Postgres(), d)
}

// Ready implements [storage.Store]. A newer schema is none of our business,
// also while it is being migrated to: schemas expand before they contract.
func (s *Store) Ready(ctx context.Context) error {
	const sql = `SELECT version, dirty FROM schema_migrations`
	return s.do(ctx, "read the schema version", func(ctx context.Context) error {
		var version uint
		var dirty bool
		err := s.pool.QueryRow(ctx, sql).Scan(&version, &dirty)
		switch {
		case errors.Is(err, pgx.ErrNoRows) || sqlstate(err) == undefinedTable:
			return fmt.Errorf("%w: the database is empty", storage.ErrSchema)
		case err != nil:
			return err
		case version < s.newest:
			return fmt.Errorf("%w: version is %d, %d is needed", storage.ErrSchema, version, s.newest)
		case dirty && version == s.newest:
			return fmt.Errorf("%w: version %d is half done", storage.ErrSchema, version)
		}
		return nil
	})
}
