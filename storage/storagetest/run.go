package storagetest

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Open makes an empty database with the current schema that nothing else
// uses, and opens a store on it. another opens one more store on that same
// database, as a second process would; it is nil for an engine whose databases
// cannot be shared. The suite closes every store before t's own cleanups run.
type Open func(t *testing.T) (first storage.Store, another func() storage.Store)

// Run tests the engine behind open. Every subtest has its own database and
// runs in parallel with the others.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, group := range [][]test{
		clientTests(), clientChangeTests(), clientRaceTests(), registerTests(), documentTests(),
		accessTokenTests(), assertionTests(), keyTests(),
		eventTests(), followTests(), listenTests(),
		userTests(), userChangeTests(), passkeyTests(), sessionTests(), attemptTests(),
		interactionTests(), progressTests(),
		codeTests(), codeReuseTests(), refreshTests(), refreshWindowTests(), refreshRaceTests(), revokeTests(),
		deviceTests(), devicePollTests(),
		maintainTests(), maintainPeopleTests(), cancelTests(), closeTests(), statsTests(),
	} {
		for _, tc := range group {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				tc.run(t, openDatabase(t, open))
			})
		}
	}
}

// test is one sentence of the contract and its proof.
type test struct {
	name string
	run  func(t *testing.T, db *database)
}

// patience bounds every wait of the suite; it is never reached by an engine
// that works.
const patience = 20 * time.Second

// racers is how many goroutines compete in a race.
const racers = 16

// horizon is how far ahead the suite asks engines to prepare.
const horizon = 48 * time.Hour

// database is one empty database and the first store on it, maintained for
// records that expire until now plus horizon.
type database struct {
	storage.Store
	ctx     context.Context
	another func() storage.Store
}

func openDatabase(t *testing.T, open Open) *database {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	first, another := open(t)
	t.Cleanup(func() { _ = first.Close() })
	if err := first.Maintain(ctx, now(), horizon); err != nil {
		t.Fatalf("Maintain of an empty database: %v", err)
	}
	return &database{Store: first, ctx: ctx, another: another}
}

// second returns another store on the same database or, where an engine knows
// one only, that one. shared says which.
func (db *database) second(t *testing.T) (s storage.Store, shared bool) {
	t.Helper()
	if db.another == nil {
		return db.Store, false
	}
	s = db.another()
	t.Cleanup(func() { _ = s.Close() })
	return s, true
}

// now is the suite's present: a UTC instant with a full set of microseconds.
func now() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC) }

// wholeSecond is the suite's present in whole seconds, as token expiries are.
func wholeSecond() time.Time { return now().Truncate(time.Second) }

// race runs f n times at once and returns the errors by index.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// wantOneWinner fails unless exactly one error is nil and all others are lost.
// It returns the winner's index.
func wantOneWinner(t *testing.T, errs []error, lost error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("racers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		default:
			wantErr(t, err, lost)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won the race")
	}
	return winner
}

// events reads the whole log as of at, a few at a time.
func events(t *testing.T, ctx context.Context, s storage.Events, at time.Time) []storage.Event {
	t.Helper()
	var all []storage.Event
	for after := int64(0); ; {
		page, err := s.Events(ctx, after, 7, at)
		must(t, err)
		all = append(all, page...)
		if len(page) < 7 {
			return all
		}
		after = page[len(page)-1].Seq
	}
}

// kinds lists the kinds of events in their order.
func kinds(log []storage.Event) []storage.EventKind {
	out := make([]storage.EventKind, 0, len(log))
	for _, e := range log {
		out = append(out, e.Kind)
	}
	return out
}

func wantKinds(t *testing.T, log []storage.Event, want ...storage.EventKind) {
	t.Helper()
	if got := kinds(log); !slices.Equal(got, want) {
		t.Fatalf("events are %q, want %q", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// wantEqual compares deeply; a time in another zone than UTC is not equal.
func wantEqual(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}
