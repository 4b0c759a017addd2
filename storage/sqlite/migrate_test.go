package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/storage"
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

// A server of the version before runs on while the schema is already newer:
// the clients that it stores are what it means.
func TestMigrator_TheVersionBeforeStillStoresClients(t *testing.T) {
	t.Parallel()
	s := memory(t)
	if _, err := s.writer.ExecContext(t.Context(), `
		INSERT INTO client (client_name, auth_method, secret_hash, previous_secret_hash,
			previous_secret_expires_at, jwks, grant_types, redirect_uris, scopes, default_scopes,
			resources, default_resource, token_format, introspect, disabled, updated_at,
			client_id, created_at, revision)
		VALUES ('One', 'none', zeroblob(32), NULL, 7, NULL, '[]', '["a"]', '[]', '[]', '[]', '', NULL, 0, 0, 7, 'c1', 7, 1)
		ON CONFLICT DO NOTHING`); err != nil {
		t.Fatal(err)
	}
	got, err := s.Client(t.Context(), "c1")
	then := time.UnixMicro(7).UTC()
	want := storage.Client{
		ID: "c1", Name: "One", AuthMethod: "none", RedirectURIs: []string{"a"},
		SecretHash: make([]byte, 32), PreviousSecretExpiresAt: then,
		Registration: storage.RegisteredByOperator, Revision: 1, CreatedAt: then, UpdatedAt: then,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v (%v), want %+v", got, err, want)
	}
}
