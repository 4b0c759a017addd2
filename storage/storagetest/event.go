package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// event returns an event with every field set but Seq, as a store returns it.
func event(target string) storage.Event {
	return storage.Event{
		Kind: storage.EventGrantRevoked, Target: target,
		Audience:     []string{"http://localhost:3001/mcp", "https://other.example/"},
		IssuedBefore: now(), CreatedAt: now().Add(time.Second), ExpiresAt: now().Add(time.Hour),
	}
}

func eventTests() []test {
	return []test{
		{"AppendEvent_KeepsEveryField", appendEventKeeps},
		{"AppendEvent_SeqAscendsOverAllStores", appendEventAscends},
		{"AppendEvent_SeqIsNeverUsedAgain", appendEventNeverReuses},
		{"AppendEvent_KeepsNothingOfTheCaller", appendEventKeepsNothing},
		{"AppendEvent_IsVisibleToEveryStoreAtOnce", appendEventVisible},
		{"AppendEvent_ConcurrentCallsGetTheirOwnSeq", appendEventConcurrent},
		{"Events_AtMostLimitAfterTheCursor", eventsLimit},
		{"Events_LeavesOutWhatHasExpired", eventsExpired},
		{"Events_ReturnsCopies", eventsCopies},
		{"Events_TextComesBackAsItWas", eventsText},
		{"Events_ZeroTimesAndEmptyListsStayZero", eventsZero},
	}
}

// appendOne appends e and returns it with its sequence number.
func appendOne(t *testing.T, db *database, s storage.Events, e storage.Event) storage.Event {
	t.Helper()
	seq, err := s.AppendEvent(db.ctx, e)
	must(t, err)
	if seq <= 0 {
		t.Fatalf("seq is %d", seq)
	}
	e.Seq = seq
	return e
}

func appendEventKeeps(t *testing.T, db *database) {
	given := event("g1")
	zone := time.FixedZone("east", 60*60)
	given.IssuedBefore = given.IssuedBefore.Add(999).In(zone)
	given.CreatedAt = given.CreatedAt.Add(1).In(zone)
	given.ExpiresAt = given.ExpiresAt.Add(1).In(zone)
	given.Seq = 77 // the engine assigns it, not the caller
	want := event("g1")
	want.Seq = appendOne(t, db, db, given).Seq
	wantEqual(t, events(t, db.ctx, db, now()), []storage.Event{want})
}

func appendEventAscends(t *testing.T, db *database) {
	store := either(t, db)
	var want []storage.Event
	for i := range 20 {
		want = append(want, appendOne(t, db, store(i), event(fmt.Sprint(i))))
		if i > 0 && want[i].Seq <= want[i-1].Seq {
			t.Fatalf("seq %d came after %d", want[i].Seq, want[i-1].Seq)
		}
	}
	wantEqual(t, events(t, db.ctx, db, now()), want)
}

// appendEventNeverReuses: a follower keeps its cursor while the log empties.
func appendEventNeverReuses(t *testing.T, db *database) {
	last := appendOne(t, db, db, event("old"))
	later := now().Add(slack + horizon)
	must(t, db.Maintain(db.ctx, later, horizon))
	fresh := event("new")
	fresh.CreatedAt, fresh.ExpiresAt = later, later.Add(time.Hour)
	fresh = appendOne(t, db, db, fresh)
	if fresh.Seq <= last.Seq {
		t.Fatalf("seq %d was handed out after %d", fresh.Seq, last.Seq)
	}
	got, err := db.Events(db.ctx, last.Seq, 10, later)
	must(t, err)
	wantEqual(t, got, []storage.Event{fresh})
}

func appendEventKeepsNothing(t *testing.T, db *database) {
	e := event("g1")
	want := appendOne(t, db, db, e).Clone()
	clear(e.Audience)
	want.Audience = event("g1").Audience
	wantEqual(t, events(t, db.ctx, db, now()), []storage.Event{want})
}

func appendEventVisible(t *testing.T, db *database) {
	store := either(t, db)
	for i := range 10 {
		want := appendOne(t, db, store(i), event(fmt.Sprint(i)))
		for j := range 2 {
			got, err := store(j).Events(db.ctx, want.Seq-1, 1, now())
			must(t, err)
			wantEqual(t, got, []storage.Event{want})
		}
	}
}

func appendEventConcurrent(t *testing.T, db *database) {
	const each = 10
	store := either(t, db)
	mine := make([][]int64, racers)
	errs := race(racers, func(i int) error {
		for j := range each {
			seq, err := store(i).AppendEvent(db.ctx, event(fmt.Sprint(i, "/", j)))
			if err != nil {
				return err
			}
			mine[i] = append(mine[i], seq)
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	targets := map[int64]string{}
	for _, e := range events(t, db.ctx, db, now()) {
		targets[e.Seq] = e.Target
	}
	wantEqual(t, len(targets), racers*each)
	for i, seqs := range mine {
		for j, seq := range seqs {
			wantEqual(t, targets[seq], fmt.Sprint(i, "/", j))
		}
	}
}

func eventsLimit(t *testing.T, db *database) {
	var all []storage.Event
	for i := range 5 {
		all = append(all, appendOne(t, db, db, event(fmt.Sprint(i))))
	}
	for _, tc := range []struct {
		after int64
		limit int
		want  []storage.Event
	}{
		{0, 10, all},
		{0, 2, all[:2]},
		{all[1].Seq, 2, all[2:4]},
		{all[3].Seq, 10, all[4:]},
		{all[4].Seq, 10, nil},
		{0, 0, nil},
		{0, -1, nil},
	} {
		got, err := db.Events(db.ctx, tc.after, tc.limit, now())
		must(t, err)
		if len(got) == 0 && len(tc.want) == 0 {
			continue
		}
		wantEqual(t, got, tc.want)
	}
}

func eventsExpired(t *testing.T, db *database) {
	short, long := event("short"), event("long")
	short.ExpiresAt = now().Add(time.Minute)
	short, long = appendOne(t, db, db, short), appendOne(t, db, db, long)
	wantEqual(t, events(t, db.ctx, db, now()), []storage.Event{short, long})
	wantEqual(t, events(t, db.ctx, db, short.ExpiresAt.Add(-time.Microsecond)), []storage.Event{short, long})
	wantEqual(t, events(t, db.ctx, db, short.ExpiresAt), []storage.Event{long})
	// The limit counts what is returned, not what was looked at.
	got, err := db.Events(db.ctx, 0, 1, short.ExpiresAt)
	must(t, err)
	wantEqual(t, got, []storage.Event{long})
	wantKinds(t, events(t, db.ctx, db, long.ExpiresAt))
}

func eventsCopies(t *testing.T, db *database) {
	want := appendOne(t, db, db, event("g1"))
	got, err := db.Events(db.ctx, 0, 1, now())
	must(t, err)
	clear(got[0].Audience)
	wantEqual(t, events(t, db.ctx, db, now()), []storage.Event{want})
}

func eventsText(t *testing.T, db *database) {
	var want []storage.Event
	for _, text := range awkward() {
		e := event(text)
		e.Audience = append(awkward(), text)
		want = append(want, appendOne(t, db, db, e))
	}
	wantEqual(t, events(t, db.ctx, db, now()), want)
}

func eventsZero(t *testing.T, db *database) {
	want := storage.Event{Kind: storage.EventAllRevoked, CreatedAt: now(), ExpiresAt: now().Add(time.Hour)}
	given := want
	given.Audience = []string{}
	want.Seq = appendOne(t, db, db, given).Seq
	wantEqual(t, events(t, db.ctx, db, now()), []storage.Event{want})
}
