package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
)

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// raw runs SQL on the file as any other program would.
func raw(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_FilesArePrivate(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(path string) error{
		"new":          func(string) error { return nil },
		"old and open": func(path string) error { return os.WriteFile(path, nil, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data.db")
			if err := prepare(path); err != nil {
				t.Fatal(err)
			}
			migrate(t, path)
			s := open(t, path)
			if err := s.CreateClient(t.Context(), storage.Client{ID: "c1", AuthMethod: "none"}); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				info, err := os.Stat(path + suffix)
				if err != nil {
					t.Fatal(err)
				}
				if mode := info.Mode().Perm(); mode != 0o600 {
					t.Errorf("%s has mode %v", filepath.Base(path+suffix), mode)
				}
			}
		})
	}
}

func TestOpen_MakesMissingDirectoriesPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	open(t, filepath.Join(dir, "data.db"))
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o700 {
		t.Errorf("directory has mode %v", mode)
	}
}

// A path is a path, not a URL with parameters of its own.
func TestOpen_PathsAreTakenLiterally(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.db", "a?mode=memory", "a#b", "50%25.db", "käse.db", "a&b;c='d\"", ":memory:.db", "file:x"} {
		path := filepath.Join(t.TempDir(), name)
		migrate(t, path)
		open(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOpen_WhatCannotBeOpenedIsErrUnavailable(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte("this is no database, whatever its name says; it only looks long enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", t.TempDir(), garbage, filepath.Join(garbage, "below")} {
		_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		wantErr(t, err, storage.ErrUnavailable)
		_, err = sqlite.Migrator(t.Context(), sqlite.Config{Path: path})
		wantErr(t, err, storage.ErrUnavailable)
	}
}

// Processes that start together on a new file all get it open and migrated.
func TestOpen_ManyAtOnceOnANewFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			m, err := sqlite.Migrator(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			defer m.Close()
			if err := m.Up(t.Context(), nil); err != nil {
				t.Error(err)
			}
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpen_EachMemoryIsADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := open(t, sqlite.Memory), open(t, sqlite.Memory)
	if err := one.CreateClient(t.Context(), storage.Client{ID: "c1", AuthMethod: "none"}); err != nil {
		t.Fatal(err)
	}
	_, err := other.Client(t.Context(), "c1")
	wantErr(t, err, storage.ErrNotFound)
	if err := other.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReady_JudgesTheSchema(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		statement string
		want      error
	}{
		"current": {`SELECT 1`, nil},
		"newer":   {`UPDATE schema_migrations SET version = 999`, nil},
		"dirty":   {`UPDATE schema_migrations SET dirty = 1`, storage.ErrSchema},
		"older":   {`UPDATE schema_migrations SET version = 0`, storage.ErrSchema},
		"reset":   {`DELETE FROM schema_migrations`, storage.ErrSchema},
		"missing": {`DROP TABLE schema_migrations`, storage.ErrSchema},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := migrated(t)
			s := open(t, path)
			raw(t, path, tc.statement)
			err := s.Ready(t.Context())
			if !errors.Is(err, tc.want) {
				t.Fatalf("error is %v, want %v", err, tc.want)
			}
		})
	}
}

// A store opens on an empty file, so that migration can run beside it.
func TestReady_AfterMigrationBesideAnOpenStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	s := open(t, path)
	wantErr(t, s.Ready(t.Context()), storage.ErrSchema)
	wantErr(t, s.CreateClient(t.Context(), storage.Client{ID: "c1", AuthMethod: "none"}), storage.ErrUnavailable)
	migrate(t, path)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateClient(t.Context(), storage.Client{ID: "c1", AuthMethod: "none"}); err != nil {
		t.Fatal(err)
	}
}
