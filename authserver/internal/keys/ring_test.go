package keys

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func TestOpen_CreatesTheFirstKeyActiveAtOnce(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	first := open(t, config(db, ES256), start)
	kids := stored(t, db)
	equal(t, "published", published(t, first, start), kids...)
	equal(t, "signs", []string{signer(t, first, start)}, kids...)

	second := open(t, config(db, ES256), start.Add(time.Hour))
	equal(t, "published by the second", published(t, second, start.Add(time.Hour)), kids...)
	equal(t, "stored", stored(t, db), kids...)
	must(t, verify(second, signed(t, first, start), "at+jwt", start, nil))
}

func TestOpen_RefusesAConfigurationThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*Config){
		"no store":               func(c *Config) { c.Store = nil },
		"no seal key":            func(c *Config) { c.Seal = nil },
		"short seal key":         func(c *Config) { c.Seal = [][]byte{sealA, sealB[:31]} },
		"algorithm none":         func(c *Config) { c.Alg = "none" },
		"no overlap":             func(c *Config) { c.Overlap = 0 },
		"overlap as long as use": func(c *Config) { c.Overlap = c.Rotation },
		"no lifetime":            func(c *Config) { c.Lifetime = 0 },
	} {
		db := newRows(t)
		cfg := config(db, ES256)
		broken(&cfg)
		if _, err := Open(t.Context(), cfg, start); err == nil {
			t.Errorf("%s: accepted", name)
		}
		equal(t, name, stored(t, db))
	}
}

func TestRefresh_SuccessorIsPublishedBeforeItSigns(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	old := signer(t, r, start)

	must(t, r.Refresh(t.Context(), start.Add(rotation-overlap-time.Second)))
	equal(t, "before the overlap", stored(t, db), old)

	takeover := start.Add(rotation)
	must(t, r.Refresh(t.Context(), takeover.Add(-overlap)))
	must(t, r.Refresh(t.Context(), takeover.Add(-overlap+time.Minute)))
	both := stored(t, db)
	if len(both) != 2 || both[0] != old {
		t.Fatalf("in the overlap: stored %q", both)
	}
	equal(t, "in the overlap", published(t, r, takeover.Add(-overlap)), both...)
	if signer(t, r, takeover.Add(-time.Second)) != old {
		t.Fatal("the successor signs before its time")
	}
	if signer(t, r, takeover) != both[1] { // by the clock alone, without a refresh
		t.Fatal("the successor does not sign at its time")
	}
}

func TestRefresh_OldKeyStaysUntilItsLastTokenIsDead(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	takeover := start.Add(rotation)
	must(t, r.Refresh(t.Context(), takeover.Add(-overlap)))
	both := stored(t, db)
	last := signed(t, r, takeover.Add(-time.Second))

	alive, dead := takeover.Add(lifetime-time.Second), takeover.Add(lifetime)
	must(t, r.Refresh(t.Context(), alive))
	equal(t, "stored while its last token lives", stored(t, db), both...)
	equal(t, "published while its last token lives", published(t, r, alive), both...)
	must(t, verify(r, last, "at+jwt", alive, nil))

	equal(t, "published afterwards, without a refresh", published(t, r, dead), both[1])
	refused(t, verify(r, last, "at+jwt", dead, nil))
	must(t, r.Refresh(t.Context(), dead))
	equal(t, "stored afterwards", stored(t, db), both[1])
	equal(t, "published afterwards", published(t, r, dead), both[1])

	must(t, r.Refresh(t.Context(), takeover.Add(rotation)))
	all, err := db.Keys(t.Context())
	must(t, err)
	if len(all) != 2 || all[1].Generation != 3 { // generations are not used twice
		t.Fatalf("stored %d keys, the last of generation %d", len(all), all[len(all)-1].Generation)
	}
}

func TestRefresh_LateRotationKeepsTheOverlap(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	old := signer(t, r, start)
	late := start.Add(3 * rotation) // the server was down
	must(t, r.Refresh(t.Context(), late))
	if len(published(t, r, late)) != 2 || signer(t, r, late.Add(overlap-time.Second)) != old {
		t.Fatal("the successor signs before every verifier can know it")
	}
	if signer(t, r, late.Add(overlap)) == old {
		t.Fatal("the successor does not take over")
	}
}

// racing is a store on which somebody else is always faster, once.
type racing struct {
	*rows
	faster func()
}

func (s *racing) CreateKey(ctx context.Context, k storage.Key) error {
	if f := s.faster; f != nil {
		s.faster = nil
		f()
	}
	return s.rows.CreateKey(ctx, k)
}

func TestRefresh_LoserOfTheRaceTakesTheWinnersKey(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	slow := &racing{rows: db}
	loser, winner := open(t, config(slow, ES256), start), open(t, config(db, ES256), start)
	due := start.Add(rotation - overlap)
	slow.faster = func() { must(t, winner.Refresh(t.Context(), due)) }
	must(t, loser.Refresh(t.Context(), due))
	if slow.faster != nil || len(stored(t, db)) != 2 {
		t.Fatalf("stored %q", stored(t, db))
	}
	equal(t, "the loser publishes", published(t, loser, due), published(t, winner, due)...)

	slow.faster = func() { _, err := winner.Rotate(t.Context(), due, due); must(t, err) }
	byHand, err := loser.Rotate(t.Context(), due, due)
	must(t, err)
	if byHand.Generation != 4 || signer(t, loser, due) != byHand.KID {
		t.Fatalf("rotation by hand is lost: generation %d", byHand.Generation)
	}
}

func TestRefresh_RacingReplicasAgree(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	rings := make([]*Ring, 8)
	together := func(f func(i int) error) {
		var wg sync.WaitGroup
		errs := make([]error, len(rings))
		for i := range rings {
			wg.Go(func() { errs[i] = f(i) })
		}
		wg.Wait()
		must(t, errors.Join(errs...))
	}
	agree := func(now time.Time, generations int) {
		t.Helper()
		kids := stored(t, db)
		if len(kids) != generations {
			t.Fatalf("stored %q, want %d", kids, generations)
		}
		for _, r := range rings {
			equal(t, "published", published(t, r, now), kids...)
			equal(t, "signs", []string{signer(t, r, now)}, signer(t, rings[0], now))
		}
	}
	together(func(i int) (err error) {
		clock := start.Add(time.Duration(i) * time.Second) // their clocks differ
		rings[i], err = Open(t.Context(), config(db, ES256), clock)
		return err
	})
	agree(start, 1)
	due := start.Add(rotation - overlap + time.Minute)
	together(func(i int) error { return rings[i].Refresh(t.Context(), due) })
	agree(due, 2)
	agree(due.Add(overlap), 2)
}

func TestRefresh_AlgorithmChange(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	before := open(t, config(db, ES256), start)
	now := start.Add(time.Hour)
	after := open(t, config(db, EdDSA), now)
	kids := stored(t, db)
	if len(kids) != 2 {
		t.Fatalf("stored %q", kids)
	}
	equal(t, "algorithms", after.Algs(now), ES256, EdDSA)
	equal(t, "published", published(t, after, now), kids...)
	equal(t, "signs first", []string{signer(t, after, now.Add(overlap-time.Second))}, kids[0])

	must(t, before.Refresh(t.Context(), now)) // still configured for the old one
	equal(t, "outbid", stored(t, db), kids...)
	for _, r := range []*Ring{before, after} {
		equal(t, "signs then", []string{signer(t, r, now.Add(overlap))}, kids[1])
	}
	must(t, verify(before, signed(t, after, now.Add(overlap)), "at+jwt", now.Add(overlap), nil))
	equal(t, "algorithms in the end", after.Algs(now.Add(overlap+lifetime)), EdDSA)
}
