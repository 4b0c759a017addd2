package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
)

// limit bounds what is done to a server for one test.
const limit = 60 * time.Second

// Database returns the connection URL of a database of its own for this test,
// with the current schema and no data. It is dropped at the test's end.
func Database(t testing.TB) string {
	t.Helper()
	return clone(t, sharedServer, sharedTemplate)
}

// EmptyDatabase is [Database] without a schema.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return clone(t, sharedServer, func() (string, error) { return "template0", nil })
}

// Database returns the connection URL of a database of its own, with the
// current schema, on this server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return clone(t,
		func() (string, error) { return s.URL(""), nil },
		func() (string, error) { return template(s.URL("")) })
}

// sharedTemplate makes the template once per process.
var sharedTemplate = sync.OnceValues(func() (string, error) {
	server, err := sharedServer()
	if err != nil {
		return "", err
	}
	return template(server)
})

// clone makes a database from a template and drops it when the test ends.
func clone(t testing.TB, server, from func() (string, error)) string {
	t.Helper()
	maintenance, err := server()
	if err != nil {
		t.Fatal(err)
	}
	source, err := from()
	if err != nil {
		t.Fatal(err)
	}
	name := "gatehouse_test_" + strings.ToLower(rand.Text())
	if err := onServer(maintenance, func(ctx context.Context, conn *pgx.Conn) error {
		return create(ctx, conn, name, source)
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := onServer(maintenance, func(ctx context.Context, conn *pgx.Conn) error { return drop(ctx, conn, name) })
		// A server that the test has stopped takes its databases with it.
		if err != nil && !errors.Is(err, errUnreachable) {
			t.Error(err)
		}
	})
	u, err := sibling(maintenance, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// template returns the name of a migrated database to clone, and makes it
// when the server has none of this schema yet. Test processes that come at
// once take turns; a template has its final name only when it is complete.
func template(maintenance string) (string, error) {
	digest, err := migrations.Postgres().Digest()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("gatehouse_template_%x", digest[:8])
	return name, onServer(maintenance, func(ctx context.Context, conn *pgx.Conn) error {
		// Released with the connection.
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
			return err
		}
		var exists bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
			return err
		}
		unfinished := name + "_new"
		if err := drop(ctx, conn, unfinished); err != nil {
			return err
		}
		if err := create(ctx, conn, unfinished, "template0"); err != nil {
			return err
		}
		if err := migrated(ctx, maintenance, unfinished); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", unfinished, name))
		return err
	})
}

// migrated brings the schema of a database up to date.
func migrated(ctx context.Context, maintenance, name string) error {
	u, err := sibling(maintenance, name)
	if err != nil {
		return err
	}
	m, err := postgres.Migrator(ctx, postgres.Config{URL: u})
	if err != nil {
		return err
	}
	return errors.Join(m.Up(ctx, nil), m.Close())
}

var errUnreachable = errors.New("pgtest: the server cannot be reached")

// onServer runs f on a connection to the maintenance database.
func onServer(maintenance string, f func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, maintenance)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return errors.Join(f(ctx, conn), conn.Close(ctx))
}

// create clones a template by copying its files, which for a small one is
// several times faster than copying through the log, the default since
// version 15.
func create(ctx context.Context, conn *pgx.Conn, name, template string) error {
	sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template)
	if conn.PgConn().ParameterStatus("server_version") >= "15" { // 14 is the oldest we serve, so text compares as numbers
		sql += " STRATEGY file_copy"
	}
	_, err := conn.Exec(ctx, sql)
	return err
}

func drop(ctx context.Context, conn *pgx.Conn, name string) error {
	_, err := conn.Exec(ctx, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name))
	return err
}

// sibling returns the URL of another database of the same server.
func sibling(maintenance, name string) (string, error) {
	u, err := url.Parse(maintenance)
	if err != nil || u.Scheme == "" {
		return "", errors.New("pgtest: TEST_DATABASE_URL must be a URL, postgres://user@host:port/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}
