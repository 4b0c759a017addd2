package storagetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func followTests() []test {
	return []test{
		{"Events_AFollowerMissesNothing", followConcurrent},
		{"Events_AFollowerSeesEveryCauseOfAnEvent", followCauses},
	}
}

// follower reads the log as servers do: its cursor only passes an event once
// that has been seen for [storage.CommitWindow], so that an event committed
// late with a lower Seq is still read.
type follower struct {
	cursor  int64
	seen    map[int64]storage.Event
	pending []sighting // by seq
}

type sighting struct {
	seq int64
	at  time.Time
}

func (f *follower) poll(ctx context.Context, s storage.Events) error {
	if f.seen == nil {
		f.seen = map[int64]storage.Event{}
	}
	for after := f.cursor; ; {
		page, err := s.Events(ctx, after, 16, now())
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.Seq <= after {
				return fmt.Errorf("seq %d follows %d", e.Seq, after)
			}
			after = e.Seq
			if _, known := f.seen[e.Seq]; !known {
				f.seen[e.Seq] = e
				f.pending = append(f.pending, sighting{e.Seq, time.Now()})
			}
		}
		if len(page) < 16 {
			break
		}
	}
	slices.SortFunc(f.pending, func(a, b sighting) int { return int(a.seq - b.seq) })
	for len(f.pending) > 0 && time.Since(f.pending[0].at) > storage.CommitWindow {
		f.cursor, f.pending = f.pending[0].seq, f.pending[1:]
	}
	return nil
}

func followConcurrent(t *testing.T, db *database) {
	const writers, each = 8, 15
	store := either(t, db)
	done := make(chan []error, 1)
	go func() {
		done <- race(writers, func(i int) error {
			for j := range each {
				if _, err := store(i).AppendEvent(db.ctx, event(fmt.Sprint(i, "/", j))); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	var f follower
	for writing := true; writing; {
		select {
		case errs := <-done:
			for _, err := range errs {
				must(t, err)
			}
			writing = false // what was committed before the next poll is in it
		default:
		}
		must(t, f.poll(db.ctx, store(len(f.seen))))
	}
	targets := map[string]bool{}
	for _, e := range f.seen {
		targets[e.Target] = true
	}
	wantEqual(t, len(targets), writers*each)
}

func followCauses(t *testing.T, db *database) {
	other, _ := db.second(t)
	var f follower
	var want []storage.EventKind
	for _, cause := range causes() {
		must(t, cause.prepare(db.ctx, other))
		must(t, cause.run(db.ctx, other))
		must(t, f.poll(db.ctx, db))
		want = append(want, cause.kinds...)
		if len(f.seen) != len(want) {
			t.Fatalf("%s: the follower has seen %d events, want %d", cause.name, len(f.seen), len(want))
		}
	}
	wantKinds(t, events(t, db.ctx, db, now()), want...)
}

// cause is a call that appends an event, after prepare which is part of the
// scene. kinds are the events of both.
type cause struct {
	name         string
	prepare, run func(ctx context.Context, s storage.Store) error
	kinds        []storage.EventKind
}

func causes() []cause {
	nothing := func(context.Context, storage.Store) error { return nil }
	return []cause{
		{"AppendEvent", nothing, func(ctx context.Context, s storage.Store) error {
			_, err := s.AppendEvent(ctx, event("g1"))
			return err
		}, []storage.EventKind{storage.EventGrantRevoked}},
		{"UpdateClient", func(ctx context.Context, s storage.Store) error {
			return s.CreateClient(ctx, client("c1"))
		}, func(ctx context.Context, s storage.Store) error {
			_, err := s.UpdateClient(ctx, client("c1"), now())
			return err
		}, []storage.EventKind{storage.EventClientChanged}},
		{"DeleteClient", nothing, func(ctx context.Context, s storage.Store) error {
			return s.DeleteClient(ctx, "c1", clientRevoked("c1"))
		}, []storage.EventKind{storage.EventClientRevoked}},
		{"CreateKey", nothing, func(ctx context.Context, s storage.Store) error {
			return s.CreateKey(ctx, key("k1", 1))
		}, []storage.EventKind{storage.EventKeysChanged}},
		{"RetireKey", nothing, func(ctx context.Context, s storage.Store) error {
			return s.RetireKey(ctx, "k1", now())
		}, []storage.EventKind{storage.EventKeysChanged}},
	}
}
