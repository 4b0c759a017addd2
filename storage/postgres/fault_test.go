package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

const password = "correct-horse-battery"

// withPassword names a password that the server does not ask for.
func withPassword(url string) string { return strings.Replace(url, "@", ":"+password+"@", 1) }

func TestServerStopsAndStarts(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	url := withPassword(server.Database(t))
	var log bytes.Buffer
	config := postgres.Config{URL: url, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s := open(t, config)
	must(t, s.Maintain(t.Context(), noon, 48*time.Hour))
	listening, result := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		result <- s.Listen(t.Context(), func() { listening <- struct{}{} })
	}()
	await(t, listening)

	must(t, server.Stop())
	wantErr(t, await(t, result), storage.ErrUnavailable)
	late := open(t, config) // a server that is down is no reason not to start
	for _, s := range []*postgres.Store{s, late} {
		for _, step := range steps() {
			wantUnavailable(t, step.name, step.run(t.Context(), s))
		}
		wantUnavailable(t, "Maintain", s.Maintain(t.Context(), noon, 48*time.Hour))
		wantUnavailable(t, "Listen", s.Listen(t.Context(), func() {}))
	}
	_, err := postgres.Migrator(t.Context(), config)
	wantUnavailable(t, "Migrator", err)

	must(t, server.Start(t.Context()))
	for _, s := range []*postgres.Store{s, late} {
		eventually(t, "the pool has recovered", func() bool { return s.Ready(t.Context()) == nil })
	}
	for _, step := range steps() {
		if err := step.run(t.Context(), late); err != nil {
			t.Errorf("%s after the restart: %v", step.name, err)
		}
	}
	if strings.Contains(log.String(), password) {
		t.Errorf("the log tells the password: %s", &log)
	}
}

// wantUnavailable checks an error's kind, that nothing of the driver is in it,
// that it tells the cause and that it keeps the password.
func wantUnavailable(t *testing.T, step string, err error) {
	t.Helper()
	if !errors.Is(err, storage.ErrUnavailable) {
		t.Fatalf("%s: error is %v, want ErrUnavailable", step, err)
	}
	if errors.As(err, new(*pgconn.ConnectError)) || errors.As(err, new(*pgconn.PgError)) {
		t.Errorf("%s: an error of the driver is inside: %v", step, err)
	}
	if len(err.Error()) < len(storage.ErrUnavailable.Error())+20 {
		t.Errorf("%s: no cause: %v", step, err)
	}
	if strings.Contains(err.Error(), password) {
		t.Errorf("%s: the password is in %v", step, err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: more than one line: %q", step, err)
	}
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("timed out")
		panic("unreachable")
	}
}

func TestOpen_KeepsThePasswordOfAMalformedURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://user:" + password + "/x@host/db",
		"postgres://user:%zz" + password + "@host/db",
		"postgres://user:" + password + "@host:port/db",
		"postgres://user:" + password + "@host/db?sslmode=perhaps",
		"host=h password='" + password,
		"postgres://user:" + password + "@host/db?pool_max_conns=many",
		"mysql://user:" + password + "@host/db",
	} {
		s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err == nil {
			must(t, s.Close())
			t.Errorf("a malformed URL was taken: %s", url)
			continue
		}
		if strings.Contains(err.Error(), password) {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestOpen_RefusesAStatementTimeoutBeyondTheCommitWindow(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{-1, time.Microsecond, storage.CommitWindow, time.Hour} {
		if _, err := postgres.Open(t.Context(), postgres.Config{StatementTimeout: timeout}); err == nil {
			t.Errorf("%s was taken", timeout)
		}
	}
}

func TestConnection_NamesItselfAndBoundsItsStatements(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url, StatementTimeout: time.Second})
	must(t, s.Ready(t.Context()))
	conn := session(t, url)
	const connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'"
	if n := value[int](t, conn, connections); n != 1 {
		t.Errorf("%d connections named gatehouse, want 1", n)
	}
	pid := "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'"
	before := value[int](t, conn, pid)

	tx, err := conn.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE client")
	must(t, err)
	wantErr(t, s.CreateClient(t.Context(), client("c")), storage.ErrUnavailable)
	must(t, tx.Rollback(t.Context()))
	must(t, s.CreateClient(t.Context(), client("c")))
	if after := value[int](t, conn, pid); after != before {
		t.Error("the connection did not outlive a statement that was given up")
	}
}

// TestCancel_EndsTheStatementAndKeepsTheConnection: clients that hang up cost
// no connections, and a call that has returned no longer runs.
func TestCancel_EndsTheStatementAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url, MaxConns: 1})
	must(t, s.Ready(t.Context()))
	conn, holder := session(t, url), session(t, url)
	const pid = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'"
	const running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gatehouse' AND datname = current_database() AND state <> 'idle'"
	before := value[int](t, conn, pid)
	tx, err := holder.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE client")
	must(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.CreateClient(ctx, client("c")) }()
	eventually(t, "the statement runs", func() bool { return value[int](t, conn, running) == 1 })
	cancel()
	wantErr(t, await(t, result), context.Canceled)
	if n := value[int](t, conn, running); n != 0 {
		t.Error("the statement still runs")
	}
	must(t, tx.Rollback(t.Context()))
	_, err = s.Client(t.Context(), "c")
	wantErr(t, err, storage.ErrNotFound)
	if after := value[int](t, conn, pid); after != before {
		t.Error("the connection was given up")
	}
}

// TestServerThatNeverAnswers accepts connections and says nothing.
func TestServerThatNeverAnswers(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	s := open(t, postgres.Config{
		URL:              "postgres://u:" + password + "@" + listener.Addr().String() + "/db?sslmode=disable",
		StatementTimeout: 50 * time.Millisecond,
	})
	wantUnavailable(t, "Ready", s.Ready(t.Context()))
	wantUnavailable(t, "CreateAccessToken", s.CreateAccessToken(t.Context(), token("t", noon)))
}

func TestListen_OutlivesSilence(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url})
	s.SetProbe(time.Millisecond)
	woken := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Listen(ctx, func() { woken <- struct{}{} }) }()
	await(t, woken)
	conn := session(t, url)
	// The server's clock of the connection's last statement tells of pings.
	const pings = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'
		AND query NOT LIKE 'LISTEN%'`
	eventually(t, "the silent connection is asked", func() bool { return value[int](t, conn, pings) > 0 })
	execute(t, conn, "NOTIFY gatehouse_event")
	await(t, woken)
	cancel()
	wantErr(t, await(t, result), context.Canceled)
}

func TestListen_WakesForAnEventThatAPersonAppends(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url})
	must(t, s.Maintain(t.Context(), noon, 0))
	woken := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = s.Listen(ctx, func() { woken <- struct{}{} }) }()
	await(t, woken)
	execute(t, session(t, url), `INSERT INTO event (kind, target, audience, created_at, expires_at)
		VALUES ('all', '', '{}', '2031-05-06T12:00:00Z', '2031-05-06T13:00:00Z')`)
	await(t, woken)
}

func TestListen_BrokenConnection(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url})
	woken, result := make(chan struct{}, 10), make(chan error, 1)
	go func() { result <- s.Listen(t.Context(), func() { woken <- struct{}{} }) }()
	await(t, woken)
	execute(t, session(t, url), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'gatehouse'`)
	wantErr(t, await(t, result), storage.ErrUnavailable)
}
