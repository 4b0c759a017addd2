package sqlite_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
)

// writerPath names the environment variable that turns the test binary into
// the writer of [TestKill_LosesNothingThatWasAnswered].
const writerPath = "GATEHOUSE_TEST_SQLITE_WRITER"

func moment() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC) }

func killToken(i int) storage.AccessToken {
	return storage.AccessToken{
		Hash: sha256.Sum256(fmt.Append(nil, i)), ExpiresAt: moment().Add(time.Hour),
		ClientID: fmt.Sprint("c", i), Scopes: []string{"mcp:read"}, IssuedAt: moment(),
	}
}

// writeUntilKilled writes with several goroutines, so that batches form, and
// prints the number of each record once it was answered.
func writeUntilKilled(path string) int {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	const writers = 4
	failed := make(chan error)
	for w := range writers {
		go func() {
			for i := w; ; i += writers {
				if err := writeNumbered(ctx, s, i); err != nil {
					failed <- err
					return
				}
				fmt.Printf("%d\n", i) // one write each: lines do not mix
			}
		}()
	}
	fmt.Fprintln(os.Stderr, <-failed)
	return 1
}

// writeNumbered writes records of each kind, numbered i.
func writeNumbered(ctx context.Context, s storage.Store, i int) error {
	id := fmt.Sprint("c", i)
	if err := s.CreateAccessToken(ctx, killToken(i)); err != nil {
		return err
	}
	if err := s.UseJTI(ctx, "iss", id, moment().Add(time.Hour), moment()); err != nil {
		return err
	}
	if err := s.CreateClient(ctx, storage.Client{ID: id, AuthMethod: "none"}); err != nil {
		return err
	}
	if _, err := s.AppendEvent(ctx, storage.Event{
		Kind: storage.EventTokenRevoked, Target: id, CreatedAt: moment(), ExpiresAt: moment().Add(time.Hour),
	}); err != nil {
		return err
	}
	if err := settle(ctx, s, id); err != nil {
		return err
	}
	_, _, err := s.RotateRefreshToken(ctx, rotation(id, 1))
	return err
}

func TestKill_LosesNothingThatWasAnswered(t *testing.T) {
	t.Parallel()
	path := migrated(t)
	answered := killAfter(t, path, 60)
	s := open(t, path)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	revoked := map[string]bool{}
	log, err := s.Events(t.Context(), 0, 1<<20, moment())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log {
		revoked[e.Target] = true
	}
	for _, i := range answered {
		id := fmt.Sprint("c", i)
		tok := killToken(i)
		if _, err := s.AccessToken(t.Context(), tok.Hash, tok.ExpiresAt); err != nil {
			t.Errorf("token %d: %v", i, err)
		}
		if _, err := s.Client(t.Context(), id); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
		if err := s.UseJTI(t.Context(), "iss", id, moment().Add(time.Hour), moment()); err == nil {
			t.Errorf("jti %d was lost", i)
		}
		if !revoked[id] {
			t.Errorf("event %d was lost", i)
		}
		wantSettled(t, s, id)
	}
	// The log goes on.
	if err := writeNumbered(t.Context(), s, 1<<30); err != nil {
		t.Fatal(err)
	}
}

// startWriter runs [writeUntilKilled] in another process, which the caller
// waits for, and returns its output.
func startWriter(ctx context.Context, t *testing.T, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), writerPath+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, bufio.NewScanner(out)
}

// killAfter runs the writer, kills it without warning after n answers and
// returns all that it gave.
func killAfter(t *testing.T, path string, n int) (answered []int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child, lines := startWriter(ctx, t, path)
	for lines.Scan() {
		var i int
		if _, err := fmt.Sscanf(lines.Text(), "%d", &i); err != nil {
			break // the line it died in
		}
		if answered = append(answered, i); len(answered) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(answered) < n {
		t.Fatalf("the writer ended by itself after %d answers: %v", len(answered), err)
	}
	return answered
}
