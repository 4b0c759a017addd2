package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// openWriter opens the one connection that writes. A file is created when it
// is missing, made private and put into WAL mode, which it then keeps.
func openWriter(ctx context.Context, cfg Config) (*sql.DB, error) {
	switch cfg.Path {
	case "":
		return nil, errors.New("a path is required")
	case Memory:
	default:
		if err := makePrivate(cfg.Path, cfg.Logger); err != nil {
			return nil, err
		}
	}
	db, err := openPool(cfg.Path, 1, 10*time.Millisecond, "_txlock=immediate") // see whileBusy
	if err != nil {
		return nil, err
	}
	if err := startLog(ctx, db, cfg.Path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openPool prepares at most n connections, which wait for locks as long as
// busy, with the settings that all have in common and those given.
func openPool(path string, n int, busy time.Duration, settings ...string) (*sql.DB, error) {
	settings = append(settings,
		fmt.Sprintf("_busy_timeout=%d", busy.Milliseconds()),
		"_synchronous=FULL", "_foreign_keys=1",
		"_defensive=1", "_dqs=0", "_pragma=trusted_schema(0)", // nothing but what we mean
		"_pragma=journal_size_limit(67108864)", // give back the log of a large write
	)
	dsn := Memory
	if path != Memory {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		// The file exists by now: one that was deleted under a running
		// server must not silently come back empty.
		dsn = (&url.URL{Scheme: "file", Path: absolute}).String()
		settings = append(settings, "mode=rw")
	}
	db, err := sql.Open("sqlite", dsn+"?"+strings.Join(settings, "&"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// makePrivate creates the file with mode 0600, or takes other people's access
// from an existing one and its companions; SQLite gives new companions the
// mode of the file. An existing file is never opened here: closing it again
// would release the locks that other connections of this process hold on it.
func makePrivate(path string, log *slog.Logger) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		if info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(name, 0o600); err != nil {
			return err
		}
		log.Warn("database file was open to others and is private now", "path", name, "mode", info.Mode().Perm().String())
	}
	return nil
}

// startLog turns the write-ahead log on. Two processes that open a new file
// together may find each other in the way.
func startLog(ctx context.Context, db *sql.DB, path string) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var mode string
	err := whileBusy(ctx, func() error {
		return db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
	})
	if err == nil && mode != "wal" && path != Memory {
		err = fmt.Errorf("no write-ahead log on this file system (journal mode is %s)", mode)
	}
	return err
}

// whileBusy runs f again while another connection holds the lock it needs and
// ctx has not ended. SQLite's own waiting looks ever more rarely, so that a
// process which writes all the time would starve the others; this looks every
// few milliseconds.
func whileBusy(ctx context.Context, f func() error) error {
	for {
		err := f()
		if !isBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Millisecond):
		}
	}
}
