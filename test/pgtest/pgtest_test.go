package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

// patience bounds every wait; it is not reached.
const patience = 30 * time.Second

// eventually polls until ok, for what another process does in its own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in %s", what, patience)
		}
	}
}

func query[T any](t *testing.T, url, sql string, args ...any) T {
	t.Helper()
	value, err := tryQuery[T](t.Context(), url, sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func tryQuery[T any](ctx context.Context, url, sql string, args ...any) (value T, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return value, err
	}
	err = conn.QueryRow(ctx, sql, args...).Scan(&value)
	return value, errors.Join(err, conn.Close(ctx))
}

const countTables = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ANY ($1)"

func TestDatabase_HasTheSchemaAndIsNobodyElses(t *testing.T) {
	t.Parallel()
	tables := []string{"client", "access_token", "event", "assertion_jti", "signing_key", "schema_migrations"}
	names := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			url := pgtest.Database(t)
			n, err := tryQuery[int](t.Context(), url, countTables, tables)
			if err != nil || n != len(tables) {
				t.Errorf("%d tables, %v", n, err)
			}
			mu.Lock()
			defer mu.Unlock()
			names[url] = true
		})
	}
	wg.Wait()
	if len(names) != 4 {
		t.Fatalf("4 calls gave %d databases", len(names))
	}
}

func TestEmptyDatabase_IsEmpty(t *testing.T) {
	t.Parallel()
	n := query[int](t, pgtest.EmptyDatabase(t), "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace")
	if n != 0 {
		t.Fatalf("%d relations", n)
	}
}

func TestDatabase_IsDroppedAtTheEndOfTheTest(t *testing.T) { //nolint:tparallel // its subtest has to have ended
	t.Parallel()
	other := pgtest.EmptyDatabase(t)
	var name string
	var forgotten *pgx.Conn // a connection that the test left open does not keep the database
	t.Run("lifetime", func(t *testing.T) {
		url := pgtest.Database(t)
		name = query[string](t, url, "SELECT current_database()::text")
		var err error
		if forgotten, err = pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	})
	_ = forgotten.Close(t.Context())
	if query[bool](t, other, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name) {
		t.Fatalf("%s is still there", name)
	}
}

func TestServer_KeepsItsDataOverStopAndStart(t *testing.T) {
	t.Parallel()
	s := pgtest.NewServer(t)
	url := s.URL("")
	name := query[string](t, s.Database(t), "SELECT current_database()::text")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryQuery[int](t.Context(), url, "SELECT 1"); err == nil {
		t.Fatal("a stopped server answered")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !query[bool](t, url, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name) {
		t.Fatalf("%s is gone", name)
	}
}

func TestServer_CloseRemovesEverything(t *testing.T) {
	t.Parallel()
	s, err := pgtest.Launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := query[string](t, s.URL(""), "SHOW data_directory")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("stat %s: %v", dir, err)
	}
}

func TestPgrun_ExitsWithTheCodeOfTheCommand(t *testing.T) {
	t.Parallel()
	pgrun := build(t)
	for script, want := range map[string]int{
		`case $TEST_DATABASE_URL in postgres://*) exit 0;; esac; exit 9`: 0,
		`exit 7`:        7,
		`kill -TERM $$`: 128 + 15,
	} {
		cmd := exec.CommandContext(t.Context(), pgrun, "--", "sh", "-c", script)
		cmd.Env = withoutServer()
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d: %v\n%s", script, got, want, err, out)
		}
	}
}

func TestPgrun_UsesAServerThatIsNamedAlready(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), build(t), "sh", "-c", `printf %s "$TEST_DATABASE_URL"`)
	cmd.Env = append(withoutServer(), "TEST_DATABASE_URL=postgres://elsewhere/db", "PATH="+os.Getenv("PATH"))
	if out, err := cmd.Output(); err != nil || string(out) != "postgres://elsewhere/db" {
		t.Fatalf("%s %v", out, err)
	}
}

func TestPgrun_HandsSignalsOnAndLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd, url := running(t, build(t), `trap 'exit 5' TERM; echo "$TEST_DATABASE_URL"; while :; do sleep 0.01; done`)
	dir := query[string](t, url, "SHOW data_directory")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 5 {
		t.Fatalf("exit code %d, want the command's 5", got)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("stat %s: %v", dir, err)
	}
}

// TestServer_DiesWithItsStarter kills the starter in the one way that it
// cannot answer.
func TestServer_DiesWithItsStarter(t *testing.T) {
	t.Parallel()
	cmd, url := running(t, build(t), `echo "$TEST_DATABASE_URL"; read -r _`)
	dir := query[string](t, url, "SHOW data_directory")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the server's directory is removed", func() bool {
		_, err := os.Stat(filepath.Dir(dir))
		return errors.Is(err, os.ErrNotExist)
	})
	if _, err := tryQuery[int](t.Context(), url, "SELECT 1"); err == nil {
		t.Fatal("the server still answers")
	}
}

// build compiles pgrun, so that its own exit code is seen and not go run's.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pgrun")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./pgrun").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// withoutServer is the environment as if no server were shared.
func withoutServer() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TEST_DATABASE_URL=") {
			env = append(env, e)
		}
	}
	return env
}

// running starts pgrun with a script that prints its server's URL first.
func running(t *testing.T, pgrun, script string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pgrun, "--", "sh", "-c", script)
	cmd.Env = withoutServer()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}
