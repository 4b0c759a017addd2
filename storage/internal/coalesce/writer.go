package coalesce

import (
	"context"
	"errors"
	"slices"
	"sync"
)

var (
	// ErrClosed is what Do returns after Close.
	ErrClosed = errors.New("coalesce: writer is closed")

	// ErrItem marks a write that failed, and left nothing behind, because of
	// what an item is and not because the engine was unable: only then does
	// writing the items of the batch one by one help. Without the mark a batch
	// is never tried again, so that an engine that is down is not asked once
	// per item.
	ErrItem = errors.New("coalesce: an item was refused")
)

// Writer writes items of concurrent callers together. Make one with [New].
type Writer[T any] struct {
	maxBatch int
	write    func(ctx context.Context, items []T) error
	drainers sync.WaitGroup

	mu      sync.Mutex
	waiting []*call[T]
	writing bool // a drain is running; it alone takes from waiting
	closed  bool
}

// call is one caller's item and where its outcome goes.
type call[T any] struct {
	ctx  context.Context
	item T
	done chan error // capacity 1: the writer never waits for a caller that left
}

// New returns a Writer that hands at most maxBatch items (at least one) to
// write, one write at a time. write stores all items or none and returns when
// they are durable. Its context carries the values of one caller and the
// cancellation of none; write must bound itself in time. It does not keep the
// slice.
func New[T any](maxBatch int, write func(ctx context.Context, items []T) error) *Writer[T] {
	return &Writer[T]{maxBatch: max(1, maxBatch), write: write}
}

// Do writes item, at once when no write is under way and otherwise together
// with all that arrive until that write has ended, and returns the outcome of
// the batch. When ctx ends first, Do returns ctx's error: an item whose batch
// had not begun is then not written, and of one whose batch had it is unknown,
// so the caller must not read what write may be storing into it.
func (w *Writer[T]) Do(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &call[T]{ctx: ctx, item: item, done: make(chan error, 1)}
	if !w.enqueue(c) {
		return ErrClosed
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close refuses further items and returns when those accepted are written.
func (w *Writer[T]) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.drainers.Wait()
}

// enqueue hands c to the running drain, or starts one. The drain is a
// goroutine of its own because no caller's context may end a write that others
// wait for.
func (w *Writer[T]) enqueue(c *call[T]) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.waiting = append(w.waiting, c)
	if !w.writing {
		w.writing = true
		w.drainers.Go(w.drain)
	}
	return true
}

// drain writes batches until nobody waits.
func (w *Writer[T]) drain() {
	for {
		batch := w.take()
		if len(batch) == 0 {
			return
		}
		w.flush(batch)
	}
}

// take removes the next batch from the queue, without the items whose callers
// have left. When there is none it ends the drain under the same lock, so that
// the next caller starts another.
func (w *Writer[T]) take() []*call[T] {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(c *call[T]) bool { return c.ctx.Err() != nil })
	n := min(len(w.waiting), w.maxBatch)
	batch := w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	w.writing = n > 0
	return batch
}

// flush writes one batch and tells its callers.
func (w *Writer[T]) flush(batch []*call[T]) {
	items := make([]T, len(batch))
	for i, c := range batch {
		items[i] = c.item
	}
	err := w.write(context.WithoutCancel(batch[0].ctx), items)
	if len(batch) > 1 && errors.Is(err, ErrItem) {
		for i, c := range batch {
			c.done <- w.write(context.WithoutCancel(c.ctx), items[i:i+1])
		}
		return
	}
	for _, c := range batch {
		c.done <- err
	}
}
