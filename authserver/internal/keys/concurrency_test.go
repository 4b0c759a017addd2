package keys

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// counted is a store that sees how many are reading it at once, and that can
// be out of reach.
type counted struct {
	*rows
	reading, overlaps atomic.Int32
	down              atomic.Bool
}

func (s *counted) Keys(ctx context.Context) ([]storage.Key, error) {
	if s.down.Load() {
		return nil, storage.ErrUnavailable
	}
	if s.reading.Add(1) > 1 {
		s.overlaps.Add(1)
	}
	defer s.reading.Add(-1)
	all, err := s.rows.Keys(ctx)
	runtime.Gosched() // somebody else may change the rows now
	return all, err
}

func TestRing_ConcurrentUse(t *testing.T) {
	t.Parallel()
	db := &counted{rows: newRows(t)}
	r := open(t, config(db, EdDSA), start)
	errs := make(chan error, 8)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				now := start.Add(time.Duration(i) * time.Minute)
				token, err := r.Sign("at+jwt", claims{"alice"}, now)
				errs <- errors.Join(err, verify(r, token, "at+jwt", now, &claims{}))
				_, _ = r.JWKS(now), r.Algs(now)
			}
		})
		wg.Go(func() {
			for i := range 25 {
				now := start.Add(time.Duration(i) * time.Minute)
				_, err := r.Rotate(t.Context(), now, now)
				errs <- errors.Join(err, r.Refresh(t.Context(), now))
			}
		})
	}
	go func() { wg.Wait(); close(errs) }()
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if db.overlaps.Load() != 0 {
		t.Error("two loads overlap: the older view may replace the newer one")
	}
}

func TestRefresh_StoreOutOfReach(t *testing.T) {
	t.Parallel()
	db := &counted{rows: newRows(t)}
	r := open(t, config(db, ES256), start)
	db.down.Store(true)
	due := start.Add(rotation)
	if err := r.Refresh(t.Context(), due); !errors.Is(err, storage.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if _, err := r.Rotate(t.Context(), due, due); !errors.Is(err, storage.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if _, err := Open(t.Context(), config(db, ES256), due); !errors.Is(err, storage.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	must(t, verify(r, signed(t, r, due), "at+jwt", due, nil)) // it goes on with what it knows
	db.down.Store(false)
	must(t, r.Refresh(t.Context(), due))
	if len(stored(t, db.rows)) != 2 {
		t.Fatal("the successor was not made up for")
	}
}
