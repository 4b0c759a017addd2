package storagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func listenTests() []test {
	return []test{
		{"Listen_WakesWhenListeningBegins", listenBegins},
		{"Listen_WakesForEveryCauseInAnyStore", listenCauses},
		{"Listen_WakesEveryListener", listenEveryone},
		{"Listen_ReturnsWhenItsContextEnds", listenEnds},
	}
}

// listener is one running Listen.
type listener struct {
	woken  chan struct{}
	result chan error
	cancel context.CancelFunc
}

func listen(t *testing.T, db *database, s storage.Events) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(db.ctx)
	l := &listener{woken: make(chan struct{}, 1), result: make(chan error, 1), cancel: cancel}
	var wg sync.WaitGroup
	wg.Go(func() {
		l.result <- s.Listen(ctx, func() {
			select {
			case l.woken <- struct{}{}:
			default:
			}
		})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return l
}

// wait waits for one wake.
func (l *listener) wait(t *testing.T, what string) {
	t.Helper()
	select {
	case <-l.woken:
	case err := <-l.result:
		t.Fatalf("%s: Listen returned %v", what, err)
	case <-time.After(patience):
		t.Fatalf("%s: not woken", what)
	}
}

// end waits for Listen to return.
func (l *listener) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-l.result:
		return err
	case <-time.After(patience):
		t.Fatal("Listen did not return")
		return nil
	}
}

func listenBegins(t *testing.T, db *database) {
	for range 3 {
		l := listen(t, db, db)
		l.wait(t, "start")
		l.cancel()
		_ = l.end(t)
	}
}

func listenCauses(t *testing.T, db *database) {
	store := either(t, db)
	here, there := listen(t, db, db), listen(t, db, store(1))
	here.wait(t, "start")
	there.wait(t, "start elsewhere")
	for i, cause := range causes() {
		must(t, cause.prepare(db.ctx, store(i)))
		must(t, cause.run(db.ctx, store(i)))
		here.wait(t, cause.name)
		there.wait(t, cause.name+" elsewhere")
	}
}

func listenEveryone(t *testing.T, db *database) {
	other, _ := db.second(t)
	var all []*listener
	for range 4 {
		all = append(all, listen(t, db, db))
	}
	for _, l := range all {
		l.wait(t, "start")
	}
	all[0].cancel() // the end of one is not the end of others
	_ = all[0].end(t)
	for range 3 {
		_, err := other.AppendEvent(db.ctx, event("g1"))
		must(t, err)
		for _, l := range all[1:] {
			l.wait(t, "append")
		}
	}
}

func listenEnds(t *testing.T, db *database) {
	l := listen(t, db, db)
	l.wait(t, "start")
	l.cancel()
	wantErr(t, l.end(t), context.Canceled)
	ended, cancel := context.WithCancel(db.ctx)
	cancel()
	wantErr(t, db.Listen(ended, func() {}), context.Canceled)
}
