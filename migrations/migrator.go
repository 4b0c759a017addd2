package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// ErrDirty says that a migration was interrupted half way on an engine that
// could not roll it back. A person has to look at the schema, repair it and
// correct the version table; no command of ours guesses.
var ErrDirty = errors.New("migrations: a migration was left half done")

// lockPatience is how long a migrator waits for another one when the context
// has no deadline of its own.
const lockPatience = time.Minute

// Status is where a database stands.
type Status struct {
	Version uint // of the database; 0 before the first migration
	Dirty   bool // a migration is running or was left half done, see [ErrDirty]
	Newest  uint // known to this binary; Version is higher after a newer binary
	Pending []Migration
}

// Migrator applies the migrations of one source to one database. It is for one
// goroutine; any number of Migrators, in any number of processes, may work on
// one database at once: the driver's lock lets one step happen at a time.
type Migrator struct {
	known   []Migration
	migrate *migrate.Migrate
	driver  *recorder
}

// New returns a Migrator that applies src through driver, which it owns from
// then on, also when New fails. Every driver of an engine must take the same
// lock: with golang-migrate's Postgres driver the lock's id derives from the
// database's name as that driver was told it, so all of ours are made the same
// way.
func New(src Source, driver database.Driver) (*Migrator, error) {
	files, err := iofs.New(src.files, src.dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrations: %w", err), driver.Close())
	}
	known, err := src.Migrations()
	if err != nil {
		return nil, errors.Join(err, driver.Close())
	}
	r := &recorder{Driver: driver}
	m, err := migrate.NewWithInstance("embedded", files, src.dir, r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrations: %w", err), driver.Close())
	}
	return &Migrator{known: known, migrate: m, driver: r}, nil
}

// recorder remembers the version that the last step left behind.
type recorder struct {
	database.Driver
	version int
}

func (r *recorder) SetVersion(version int, dirty bool) error {
	err := r.Driver.SetVersion(version, dirty)
	if err == nil && !dirty {
		r.version = version
	}
	return err
}

// Up applies every pending migration, one locked step each, and calls progress
// (if not nil) after each that this Migrator applied; other migrators at work
// are waited for. A database that is up to date, or newer than this binary, is
// left alone. When ctx ends, Up returns its error before the next step: no step
// is interrupted.
func (m *Migrator) Up(ctx context.Context, progress func(Migration)) error {
	for {
		before, err := m.Status(ctx)
		if err != nil {
			return err
		}
		if len(before.Pending) == 0 && !before.Dirty {
			return nil
		}
		switch err := m.step(ctx, 1); {
		case err == nil:
			if progress != nil {
				progress(m.lookUp(m.driver.version))
			}
		case errors.Is(err, fs.ErrNotExist):
			// Nothing was left to do once we had the lock, unless nothing
			// has changed: then it is a real failure.
			after, statusErr := m.Status(ctx)
			if statusErr != nil || after.Version == before.Version && after.Dirty == before.Dirty {
				return errors.Join(err, statusErr)
			}
		default:
			return err
		}
	}
}

// Down reverts the newest n migrations, one locked step each, or all when
// there are fewer. It refuses a database that is newer than this binary,
// which cannot know how.
func (m *Migrator) Down(ctx context.Context, n int) error {
	for range n {
		status, err := m.Status(ctx)
		if err != nil {
			return err
		}
		if status.Version == 0 && !status.Dirty {
			return nil
		}
		if status.Version > status.Newest {
			return fmt.Errorf("migrations: version %d is newer than this binary, which knows %d", status.Version, status.Newest)
		}
		if err := m.step(ctx, -1); err != nil {
			return err
		}
	}
	return nil
}

// step applies (1) or reverts (-1) one migration under the lock.
func (m *Migrator) step(ctx context.Context, direction int) error {
	m.migrate.LockTimeout = lockPatience
	if deadline, ok := ctx.Deadline(); ok {
		m.migrate.LockTimeout = time.Until(deadline)
	}
	err := m.migrate.Steps(direction)
	if dirty, ok := errors.AsType[migrate.ErrDirty](err); ok {
		return fmt.Errorf("%w: version %d", ErrDirty, dirty.Version)
	}
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// Status reads where the database stands, without waiting for a running
// migration.
func (m *Migrator) Status(ctx context.Context) (Status, error) {
	if err := ctx.Err(); err != nil {
		return Status{}, err
	}
	version, dirty, err := m.migrate.Version()
	if err != nil && !errors.Is(err, migrate.ErrNilVersion) {
		return Status{}, fmt.Errorf("migrations: %w", err)
	}
	status := Status{Version: version, Dirty: dirty}
	for _, step := range m.known {
		status.Newest = step.Version
		if step.Version > version {
			status.Pending = append(status.Pending, step)
		}
	}
	return status, nil
}

// Close releases the driver and its connection.
func (m *Migrator) Close() error {
	sourceErr, driverErr := m.migrate.Close()
	return errors.Join(sourceErr, driverErr)
}

// lookUp names a version.
func (m *Migrator) lookUp(version int) Migration {
	i := slices.IndexFunc(m.known, func(step Migration) bool { return int(step.Version) == version })
	if i < 0 {
		return Migration{Version: uint(max(version, 0))}
	}
	return m.known[i]
}
