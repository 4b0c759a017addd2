package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
	"github.com/gatehouse-mcp/gatehouse/storage/storagetest"
)

// TestMain runs the tests or, as the child of TestKill, the writer to kill.
func TestMain(m *testing.M) {
	if path := os.Getenv(writerPath); path != "" {
		os.Exit(writeUntilKilled(path))
	}
	os.Exit(m.Run())
}

func TestStore_File(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		t.Helper()
		path := migrated(t)
		return open(t, path), func() storage.Store { return open(t, path) }
	})
}

func TestStore_Memory(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		t.Helper()
		return open(t, sqlite.Memory), nil
	})
}

// migrated makes a database with the current schema and returns its path.
func migrated(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	migrate(t, path)
	return path
}

func migrate(t *testing.T, path string) {
	t.Helper()
	m, err := sqlite.Migrator(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// open opens a store that is closed with the test, unless that closes it.
func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.WithoutCancel(t.Context()), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
