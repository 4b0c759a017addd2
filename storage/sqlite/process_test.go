package sqlite_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// `gatehouse client create` runs while `gatehouse dev` serves: another process
// writes and so does this one, which is woken by the other's events.
func TestProcesses_ShareOneFile(t *testing.T) {
	t.Parallel()
	path := migrated(t)
	s := open(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	woken := make(chan struct{}, 1)
	listening := make(chan error, 1)
	go func() {
		listening <- s.Listen(ctx, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
	}()
	<-woken // the start
	child, lines := startWriter(ctx, t, path)
	select {
	case <-woken: // nothing was written here yet: it was the other process
	case <-ctx.Done():
		t.Fatal("not woken by another process")
	}
	for n := 0; n < 30 && lines.Scan(); n++ {
		var theirs int
		if _, err := fmt.Sscanf(lines.Text(), "%d", &theirs); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client(ctx, fmt.Sprint("c", theirs)); err != nil {
			t.Fatalf("client of the other process: %v", err)
		}
		if err := writeNumbered(ctx, s, -n-1); err != nil {
			t.Fatalf("writing beside another process: %v", err)
		}
	}
	// This process may change what the other one made.
	c, err := s.Client(ctx, "c0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateClient(ctx, c, moment()); err != nil {
		t.Fatal(err)
	}
	wantErr(t, s.CreateClient(ctx, c), storage.ErrExists)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	cancel()
	<-listening
}
