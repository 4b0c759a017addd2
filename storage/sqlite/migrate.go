package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	golangmigrate "github.com/golang-migrate/migrate/v4/database/sqlite"

	"github.com/gatehouse-mcp/gatehouse/migrations"
)

// Migrator returns a migrator for the database of cfg, which is created when
// it is missing. The caller closes it. (On [Memory] it migrates a database of
// its own that nobody sees.) Errors wrap [storage.ErrUnavailable] or are ctx's.
func Migrator(ctx context.Context, cfg Config) (*migrations.Migrator, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	db, err := openWriter(ctx, cfg)
	if err != nil {
		return nil, failure(ctx, "open "+cfg.Path, err)
	}
	driver, err := newMigrationDriver(ctx, db)
	if err != nil {
		return nil, errors.Join(failure(ctx, "prepare migration", err), db.Close())
	}
	return migrations.New(migrations.SQLite(), driver)
}

// migrateMemory brings a new database in memory up to date; db stays open.
func migrateMemory(ctx context.Context, db *sql.DB) error {
	driver, err := newMigrationDriver(ctx, db)
	if err != nil {
		return err
	}
	driver.borrowed = true
	m, err := migrations.New(migrations.SQLite(), driver)
	if err != nil {
		return err
	}
	return errors.Join(m.Up(ctx, nil), m.Close())
}

// migrationDriver is golang-migrate's driver, with its version table, in which
// every step is one transaction: the lock is SQLite's own write lock, which
// other processes respect too, and a step that fails leaves no trace, not even
// a dirty mark. For one goroutine, like its interface.
type migrationDriver struct {
	database.Driver
	db       *sql.DB // one connection: what is run between Lock and Unlock is in the transaction
	borrowed bool    // db is closed by its owner
	failed   bool    // since Lock
}

// lockTimeout bounds the wait for another process that migrates.
const lockTimeout = 30 * time.Second

func newMigrationDriver(ctx context.Context, db *sql.DB) (*migrationDriver, error) {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	var driver database.Driver
	err := whileBusy(ctx, func() (err error) { // it makes the version table
		driver, err = golangmigrate.WithInstance(db, &golangmigrate.Config{NoTxWrap: true})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &migrationDriver{Driver: driver, db: db}, nil
}

// Lock begins the transaction, and waits for one of another process.
func (d *migrationDriver) Lock() error {
	d.failed = false
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	err := whileBusy(ctx, func() error { return d.exec(`BEGIN IMMEDIATE`) })
	if isBusy(err) {
		return fmt.Errorf("%w: %w", database.ErrLocked, err)
	}
	return err
}

// Unlock ends it: with all that was done since Lock, or with nothing.
func (d *migrationDriver) Unlock() error {
	if !d.failed {
		err := d.exec(`COMMIT`)
		if err == nil {
			return nil
		}
		return errors.Join(err, d.exec(`ROLLBACK`))
	}
	return d.exec(`ROLLBACK`)
}

// exec runs a statement to its end: the interface has no context to give, and
// a step that was begun is finished.
func (d *migrationDriver) exec(statement string, values ...any) error {
	_, err := d.db.ExecContext(context.Background(), statement, values...)
	return err
}

// Run applies one migration.
func (d *migrationDriver) Run(migration io.Reader) error {
	err := d.Driver.Run(migration)
	d.failed = d.failed || err != nil
	return err
}

// SetVersion records a version, golang-migrate's way: no row for none.
func (d *migrationDriver) SetVersion(version int, dirty bool) error {
	err := d.exec(`DELETE FROM schema_migrations`)
	if err == nil && (version >= 0 || dirty) {
		err = d.exec(`INSERT INTO schema_migrations (version, dirty) VALUES ($1, $2)`, version, dirty)
	}
	d.failed = d.failed || err != nil
	return err
}

// Version differs from golang-migrate's in that an error is not an empty
// database.
func (d *migrationDriver) Version() (version int, dirty bool, err error) {
	row := d.db.QueryRowContext(context.Background(), `SELECT version, dirty FROM schema_migrations LIMIT 1`)
	err = row.Scan(&version, &dirty)
	if errors.Is(err, sql.ErrNoRows) {
		return database.NilVersion, false, nil
	}
	return version, dirty, err
}

// Drop is not offered: deleting the file is.
func (d *migrationDriver) Drop() error {
	return errors.New("sqlite: dropping everything is not offered")
}

// Close closes the database it was given, unless that is only borrowed.
func (d *migrationDriver) Close() error {
	if d.borrowed {
		return nil
	}
	return d.Driver.Close()
}
