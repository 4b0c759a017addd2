package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	neturl "net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	driver "github.com/golang-migrate/migrate/v4/database/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

func migrator(t *testing.T, url string) *migrations.Migrator {
	t.Helper()
	m, err := postgres.Migrator(t.Context(), postgres.Config{URL: url})
	must(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestMigrations_UpDownUp(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyDatabase(t)
	s, m, conn := open(t, postgres.Config{URL: url}), migrator(t, url), session(t, url)
	const leftovers = `SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace
			AND relname NOT LIKE 'schema_migrations%')
		+ (SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace)`
	for range 2 {
		wantErr(t, s.Ready(t.Context()), storage.ErrSchema)
		must(t, m.Up(t.Context(), nil))
		must(t, s.Ready(t.Context()))
		must(t, s.Maintain(t.Context(), noon, 48*time.Hour))
		for _, step := range steps() {
			if err := step.run(t.Context(), s); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		}
		must(t, m.Down(t.Context(), 1000))
		if n := value[int](t, conn, leftovers); n != 0 {
			t.Errorf("down leaves %d objects: %q", n, tables(t, conn))
		}
	}
}

func TestMigrations_SeveralAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyDatabase(t)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			m, err := postgres.Migrator(t.Context(), postgres.Config{URL: url})
			if err == nil {
				err = errors.Join(m.Up(t.Context(), nil), m.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	must(t, errors.Join(errs...))
	must(t, open(t, postgres.Config{URL: url}).Ready(t.Context()))
}

// TestMigrations_ExcludeTheMigrateCommand: golang-migrate derives the lock from
// the database's name, which its command and a program that embeds it spell
// differently by default.
func TestMigrations_ExcludeTheMigrateCommand(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyDatabase(t)
	command, err := new(driver.Postgres).Open(strings.Replace(url, "postgres://", "pgx5://", 1))
	must(t, err)
	t.Cleanup(func() { _ = command.Close() })
	must(t, command.Lock())
	result := make(chan error, 1)
	go func() {
		m, err := postgres.Migrator(t.Context(), postgres.Config{URL: url})
		if err == nil {
			err = errors.Join(m.Up(t.Context(), nil), m.Close())
		}
		result <- err
	}()
	conn := session(t, url)
	const waiting = `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted)`
	eventually(t, "our migrator waits", func() bool { return value[bool](t, conn, waiting) })
	select {
	case err := <-result:
		t.Fatalf("our migrator did not wait: %v", err)
	default:
	}
	must(t, command.Unlock())
	must(t, await(t, result))
}

func TestReady_SchemaVersions(t *testing.T) {
	t.Parallel()
	newest, err := migrations.Postgres().Newest()
	must(t, err)
	url := pgtest.Database(t)
	s, conn := open(t, postgres.Config{URL: url}), session(t, url)
	for _, tc := range []struct {
		name  string
		sql   string
		ready bool
	}{
		{"newest", "SELECT", true},
		{"newest, half done", "UPDATE schema_migrations SET dirty = true", false},
		{"a newer one being made", fmt.Sprintf("UPDATE schema_migrations SET version = %d", newest+1), true},
		{"a newer one", "UPDATE schema_migrations SET dirty = false", true},
		{"an older one", fmt.Sprintf("UPDATE schema_migrations SET version = %d", newest-1), false},
		{"none", "DELETE FROM schema_migrations", false},
		{"not even a table", "DROP TABLE schema_migrations", false},
	} {
		execute(t, conn, tc.sql)
		err := s.Ready(t.Context())
		if tc.ready != (err == nil) || err != nil && !errors.Is(err, storage.ErrSchema) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestMigrator_ContextThatHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := postgres.Migrator(ctx, postgres.Config{URL: "postgres://nobody@127.0.0.1:1/none"})
	wantErr(t, err, context.Canceled)
}

// TestMigrations_AServerOfVersion1RunsBeside writes what it writes, and the
// way back leaves it its columns.
func TestMigrations_AServerOfVersion1RunsBeside(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, conn := open(t, postgres.Config{URL: url}), session(t, url)
	//nolint:dupword // columns of one row may be alike
	const create = `
		INSERT INTO client (client_id, client_name, auth_method, grant_types, redirect_uris, scopes, default_scopes,
			resources, default_resource, introspect, disabled, revision, created_at, updated_at)
		VALUES ('%s', '', 'none', '{}', '{}', '{}', '{}', '{}', '', false, false, 1, '2031-05-06T12:00:00Z', '2031-05-06T12:00:00Z')`
	execute(t, conn, fmt.Sprintf(create, "c"))
	got, err := s.Client(t.Context(), "c")
	must(t, err)
	want := client("c")
	want.Registration = storage.RegisteredByOperator
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	m := migrator(t, url)
	must(t, m.Down(t.Context(), 1))
	execute(t, conn, fmt.Sprintf(create, "d"))
	must(t, m.Up(t.Context(), nil))
	clients, err := s.ListClients(t.Context(), "", 9)
	must(t, err)
	if len(clients) != 2 {
		t.Errorf("%d clients, want those from before and between", len(clients))
	}
}

// TestUnprivilegedRole does everything, from the first migration on, as a role
// that owns one schema and nothing else.
func TestUnprivilegedRole(t *testing.T) {
	t.Parallel()
	admin := pgtest.EmptyDatabase(t)
	conn := session(t, admin)
	role := "gatehouse_test_" + strings.ToLower(rand.Text())
	execute(t, conn, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'x' NOSUPERUSER NOCREATEDB NOCREATEROLE", role))
	t.Cleanup(func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), fmt.Sprintf("DROP OWNED BY %[1]s CASCADE; DROP ROLE %[1]s", role))
		if err != nil {
			t.Error(err)
		}
	})
	execute(t, conn, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
	execute(t, conn, "CREATE SCHEMA AUTHORIZATION "+role)

	u, err := neturl.Parse(admin)
	must(t, err)
	u.User = neturl.UserPassword(role, "x")
	must(t, migrator(t, u.String()).Up(t.Context(), nil))
	s := open(t, postgres.Config{URL: u.String()})
	must(t, s.Maintain(t.Context(), noon, 48*time.Hour))
	for _, step := range steps() {
		if err := step.run(t.Context(), s); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	must(t, s.Maintain(t.Context(), noon.Add(100*day), 0))
	if got := tables(t, session(t, u.String())); slices.Contains(got, "event_20310506") {
		t.Errorf("expired partitions are left: %q", got)
	}
}
