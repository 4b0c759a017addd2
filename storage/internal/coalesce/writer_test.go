package coalesce_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gatehouse-mcp/gatehouse/storage/internal/coalesce"
)

// gate is a write function that records its batches and, when held, ends each
// write only when the test says so.
type gate struct {
	mu      sync.Mutex
	batches [][]int
	running int
	release chan error // nil: writes end at once
	overlap bool
}

func (g *gate) write(_ context.Context, items []int) error {
	g.mu.Lock()
	g.batches = append(g.batches, slices.Clone(items))
	g.running++
	g.overlap = g.overlap || g.running > 1
	g.mu.Unlock()
	defer func() { g.mu.Lock(); g.running--; g.mu.Unlock() }()
	if g.release == nil {
		return nil
	}
	return <-g.release
}

func (g *gate) written() [][]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.batches)
}

// start runs Do in a goroutine and waits until it is blocked, so that calls
// arrive in the order of the test.
func start(ctx context.Context, w *coalesce.Writer[int], item int) <-chan error {
	result := make(chan error, 1)
	go func() { result <- w.Do(ctx, item) }()
	synctest.Wait()
	return result
}

func TestDo_LoneCallerIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{release: make(chan error)}
		w := coalesce.New(10, g.write)
		done := start(t.Context(), w, 1)
		if got := g.written(); len(got) != 1 {
			t.Fatalf("batches begun = %v, want one", got)
		}
		select {
		case err := <-done:
			t.Fatalf("Do returned %v before its write had ended", err)
		default:
		}
		g.release <- nil
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestDo_LateComersShareOneWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{release: make(chan error)}
		w := coalesce.New(3, g.write)
		var done []<-chan error
		for item := range 5 {
			done = append(done, start(t.Context(), w, item))
		}
		for range 3 {
			g.release <- nil
		}
		for _, d := range done {
			if err := <-d; err != nil {
				t.Fatal(err)
			}
		}
		want := "[[0] [1 2 3] [4]]"
		if got := fmt.Sprint(g.written()); got != want {
			t.Fatalf("batches = %s, want %s", got, want)
		}
	})
}

func TestDo_ErrorGoesToItsBatchOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		g := &gate{release: make(chan error)}
		w := coalesce.New(2, g.write)
		first := start(t.Context(), w, 0)
		second, third := start(t.Context(), w, 1), start(t.Context(), w, 2)
		fourth := start(t.Context(), w, 3)
		g.release <- nil
		g.release <- down
		g.release <- nil
		if err := errors.Join(<-first, <-fourth); err != nil {
			t.Fatalf("other batches: %v", err)
		}
		if a, b := <-second, <-third; !errors.Is(a, down) || !errors.Is(b, down) {
			t.Fatalf("failed batch: %v, %v, want %v for both", a, b, down)
		}
		if n := len(g.written()); n != 3 {
			t.Fatalf("%d writes, want 3: a batch that failed is not written again", n)
		}
	})
}

func TestDo_BadItemDoesNotFailItsBatchMates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bad = 2
		hold := make(chan struct{})
		var writes int
		w := coalesce.New(10, func(_ context.Context, items []int) error {
			if writes++; writes == 1 {
				<-hold
			}
			if slices.Contains(items, bad) {
				return fmt.Errorf("%w: %v", coalesce.ErrItem, items)
			}
			return nil
		})
		var done []<-chan error
		for item := range 4 {
			done = append(done, start(t.Context(), w, item))
		}
		close(hold)
		for item, d := range done {
			if err := <-d; (err != nil) != (item == bad) {
				t.Errorf("item %d: %v", item, err)
			}
		}
		if writes != 1+1+3 {
			t.Errorf("%d writes, want 5", writes)
		}
	})
}

func TestDo_CallerWhoseContextEndsStopsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{release: make(chan error)}
		w := coalesce.New(10, g.write)
		ctx, cancel := context.WithCancel(t.Context())
		writing, waiting := start(ctx, w, 0), start(ctx, w, 1)
		mate := start(t.Context(), w, 2)
		cancel()
		for _, d := range []<-chan error{writing, waiting} {
			if err := <-d; !errors.Is(err, context.Canceled) {
				t.Fatalf("err = %v, want context.Canceled", err)
			}
		}
		g.release <- nil
		g.release <- nil
		if err := <-mate; err != nil {
			t.Fatalf("batch mate: %v", err)
		}
		if got := fmt.Sprint(g.written()); got != "[[0] [2]]" {
			t.Fatalf("batches = %s: an item given up before its batch began is not written", got)
		}
	})
}

func TestDo_ContextThatHasEndedWritesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := &gate{}
	if err := coalesce.New(1, g.write).Do(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
	if got := g.written(); got != nil {
		t.Fatalf("written: %v", got)
	}
}

type valueKey struct{}

func TestDo_WriteCarriesValuesButNotCancellation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), valueKey{}, "trace"))
		gone := make(chan struct{})
		seen := make(chan error, 1)
		w := coalesce.New(1, func(ctx context.Context, _ []int) error {
			<-gone
			if ctx.Value(valueKey{}) != "trace" {
				seen <- errors.New("the caller's values are gone")
			} else {
				seen <- ctx.Err()
			}
			return nil
		})
		done := start(ctx, w, 1)
		cancel()
		<-done
		close(gone)
		if err := <-seen; err != nil {
			t.Fatal(err)
		}
	})
}

func TestClose_WaitsForAcceptedItemsAndRefusesLaterOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{release: make(chan error)}
		w := coalesce.New(1, g.write)
		a, b := start(t.Context(), w, 1), start(t.Context(), w, 2)
		closed := make(chan struct{})
		go func() { w.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("Close returned while a write was under way")
		default:
		}
		if err := w.Do(t.Context(), 3); !errors.Is(err, coalesce.ErrClosed) {
			t.Fatalf("Do after Close: %v", err)
		}
		g.release <- nil
		g.release <- nil
		<-closed
		if err := errors.Join(<-a, <-b); err != nil {
			t.Fatal(err)
		}
		w.Close()
	})
}

// TestDo_Race has many callers, some of whom leave, and checks that every
// item whose caller was told of success was written exactly once, that writes
// never overlapped and that the batch limit held.
func TestDo_Race(t *testing.T) {
	t.Parallel()
	const callers, each, maxBatch = 64, 50, 16
	g := &gate{}
	w := coalesce.New(maxBatch, g.write)
	var acknowledged sync.Map
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range each {
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == 0 {
					go cancel()
				}
				item := caller*each + i
				if w.Do(ctx, item) == nil {
					acknowledged.Store(item, true)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	w.Close()
	count := g.count(t, maxBatch)
	for item := range callers * each {
		if _, ok := acknowledged.Load(item); count[item] > 1 || ok && count[item] == 0 {
			t.Fatalf("item %d was written %d times, acknowledged %v", item, count[item], ok)
		}
	}
	if g.overlap {
		t.Fatal("two writes ran at once")
	}
}

// count tells how often each item was written.
func (g *gate) count(t *testing.T, maxBatch int) map[int]int {
	t.Helper()
	count := map[int]int{}
	for _, batch := range g.written() {
		if len(batch) == 0 || len(batch) > maxBatch {
			t.Fatalf("batch of %d items", len(batch))
		}
		for _, item := range batch {
			count[item]++
		}
	}
	return count
}

func BenchmarkDo(b *testing.B) {
	b.ReportAllocs()
	w := coalesce.New(128, func(context.Context, []int) error { return nil })
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := w.Do(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
