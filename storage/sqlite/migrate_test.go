package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/migrations"
)

func migratorOn(t *testing.T, path string) *migrations.Migrator {
	t.Helper()
	m, err := Migrator(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func schema(t *testing.T, path string) string {
	t.Helper()
	db, err := openWriter(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT coalesce(sql, name) FROM sqlite_schema
		WHERE name NOT LIKE 'sqlite_%' AND name NOT IN ('schema_migrations', 'version_unique') ORDER BY name`)
	all, err := collect(rows, err, func(row scanner) (s string, err error) {
		err = row.Scan(&s)
		return s, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func TestMigrator_UpDownUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	m := migratorOn(t, path)
	var applied []migrations.Migration
	up := func() {
		t.Helper()
		applied = nil
		if err := m.Up(t.Context(), func(step migrations.Migration) { applied = append(applied, step) }); err != nil {
			t.Fatal(err)
		}
	}
	up()
	known, err := migrations.SQLite().Migrations()
	if err != nil || len(applied) != len(known) || applied[0] != known[0] {
		t.Fatalf("applied %v of %v (%v)", applied, known, err)
	}
	first := schema(t, path)
	if err := m.Down(t.Context(), len(known)+3); err != nil {
		t.Fatal(err)
	}
	if left := schema(t, path); left != "" {
		t.Fatalf("down left behind:\n%s", left)
	}
	if status, err := m.Status(t.Context()); err != nil || status.Version != 0 || len(status.Pending) != len(known) {
		t.Fatalf("status is %+v (%v)", status, err)
	}
	up()
	if again := schema(t, path); again != first {
		t.Fatalf("up after down differs:\n%s\nfrom:\n%s", again, first)
	}
}

func TestMigrator_ManyAtOnceApplyEachStepOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	known, err := migrations.SQLite().Migrations()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	applied := 0
	for range 6 {
		m := migratorOn(t, path)
		wg.Go(func() {
			if err := m.Up(t.Context(), func(migrations.Migration) {
				mu.Lock()
				defer mu.Unlock()
				applied++
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if applied != len(known) {
		t.Fatalf("%d steps were applied, want %d", applied, len(known))
	}
}

// A step that fails leaves nothing: neither half a schema nor a dirty mark.
func TestMigrator_AStepIsOneTransaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	db, err := openWriter(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newMigrationDriver(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, err := range []error{
		d.Lock(), d.SetVersion(1, true), d.Run(strings.NewReader(`CREATE TABLE one (a TEXT)`)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Run(strings.NewReader(`CREATE TABLE two (a TEXT); CREATE TABLE two (a TEXT)`)); err == nil {
		t.Fatal("the same table was made twice")
	}
	if err := d.Unlock(); err != nil {
		t.Fatal(err)
	}
	if version, dirty, err := d.Version(); version != -1 || dirty || err != nil {
		t.Fatalf("version is %d, dirty %v (%v)", version, dirty, err)
	}
	var one string
	err = db.QueryRow(`SELECT name FROM sqlite_schema WHERE name IN ('one', 'two')`).Scan(&one)
	if !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("table %q was left behind (%v)", one, err)
	}
}
