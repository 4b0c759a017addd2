package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser  = "postgres"
	startLimit = 60 * time.Second // initdb included, on a busy machine
	stopLimit  = 30 * time.Second
)

// guard is the shell program that runs the server and outlives whoever started
// it: the end of its standard input means that the starter is gone, by
// whatever end, and then it stops the server and removes the directory. A line
// on it names the signal that stops the server and keeps the data. (A parent
// death signal would do the first half only, and would also fire when no more
// than the starter's thread has ended.)
const guard = `
bin=$1 dir=$2
shift 2
exec 3<&0 </dev/null
if [ ! -f "$dir/data/PG_VERSION" ]; then
	"$bin/initdb" --pgdata="$dir/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >"$dir/initdb.log" || exit 1
fi
"$bin/postgres" -D "$dir/data" -k "$dir" "$@" 3<&- &
server=$!
{
	read -r signal <&3 || : >"$dir/abandoned"
	kill -s "${signal:-QUIT}" $server
} &
watcher=$!
wait $server
kill $watcher 2>/dev/null
if [ -e "$dir/abandoned" ]; then rm -rf "$dir"; fi
`

// settings trade durability, which a throw-away server does not need, for
// speed. What a client can observe of a commit stays as in production. The
// zone is one that no code can mistake for UTC or for its own.
func settings() []string {
	var args []string
	for _, s := range []string{
		"listen_addresses=", "max_connections=300", "shared_buffers=64MB",
		"fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
		"jit=off", "timezone=<+1245>-12:45",
	} {
		args = append(args, "-c", s)
	}
	return args
}

// Server is a throw-away Postgres server. Make one with [NewServer] or
// [Launch]. Its methods are not for concurrent use.
type Server struct {
	bin, dir string
	owner    *syscall.Credential

	stdin  io.WriteCloser // of the guard; nil while the server is stopped
	exited chan struct{}  // closed when the guard has ended
}

// NewServer starts a server for this test alone and disposes of it at the
// test's end.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s, err := Launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Launch starts a server; the caller closes it. Should the process end
// without that, by a panic or a signal, the server ends with it.
func Launch(ctx context.Context) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	owner, err := account()
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(owner)
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, owner: owner}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// URL of a database of the server; empty means the maintenance database.
func (s *Server) URL(database string) string {
	if database == "" {
		database = superuser
	}
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database,
		RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}

// Start starts the stopped server with the data it had and returns when it
// accepts connections.
func (s *Server) Start(ctx context.Context) error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer func() { _ = log.Close() }() // the guard has its own handle
	cmd := exec.Command("/bin/sh", append([]string{"-c", guard, "pgtest", s.bin, s.dir}, settings()...)...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = log, log
	// Own group: an interrupt typed at the terminal is for the tests, which
	// then end and take the server with them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.owner}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }() // how it ended is in the log
	s.stdin, s.exited = stdin, exited
	return s.awaitReady(ctx)
}

// awaitReady polls until the server answers, the guard has given up, or time
// is over.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL(""))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-poll.C:
		case <-s.exited:
			return fmt.Errorf("pgtest: the server did not start:\n%s", s.tail())
		case <-ctx.Done():
			return fmt.Errorf("pgtest: the server did not answer in time: %w\n%s", err, s.tail())
		}
	}
}

// Stop ends the server's connections and stops it; its data stay.
func (s *Server) Stop() error { return s.end("INT\n") }

// Close stops the server and removes all it had. Closing twice is no error.
func (s *Server) Close() error {
	return errors.Join(s.end(""), os.RemoveAll(s.dir))
}

// end tells the guard to end and waits for it. That the guard cannot be told
// means that it has ended already, which exited tells better.
func (s *Server) end(word string) error {
	if s.stdin == nil {
		return nil
	}
	_, _ = io.WriteString(s.stdin, word)
	_ = s.stdin.Close()
	s.stdin = nil
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopLimit):
		return fmt.Errorf("pgtest: the server in %s did not stop within %s", s.dir, stopLimit)
	}
}

func (s *Server) log() string { return filepath.Join(s.dir, "server.log") }

// tail returns the last lines of the server's log.
func (s *Server) tail() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// sharedServer returns the maintenance database of the server that tests
// share; without TEST_DATABASE_URL it starts one on first use. Nobody closes
// that: its guard does when the process ends, which no deferred call could
// promise.
var sharedServer = sync.OnceValues(func() (string, error) {
	if u := os.Getenv("TEST_DATABASE_URL"); u != "" {
		return u, nil
	}
	s, err := Launch(context.Background())
	if err != nil {
		return "", err
	}
	return s.URL(""), nil
})
