package authserver

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// A restored database hands out numbers again. A resource server that follows
// the old log gets everything in force of the new one, whether that is behind it
// or has overtaken it, and what it has confirmed of the old one counts for
// nothing.
func TestFeed_D7_RestoredBackup(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	newLog := func(targets ...string) *eventLog {
		store := &latecomers{}
		for i, target := range targets {
			store.events = append(store.events, storage.Event{
				Seq: int64(i + 1), Kind: storage.EventTokenRevoked, Target: target, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			})
		}
		log := newEventLog(store, func(storage.Event) {}, slog.New(slog.DiscardHandler))
		for _, at := range []time.Time{now, now.Add(time.Minute)} { // the second poll moves the cursor
			if err := log.poll(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		return log
	}
	missing := func(log *eventLog, cursor string, confirmed map[string]struct{}) string {
		var targets []string
		for _, e := range log.after(cursor, confirmed, &client{}, 100, now).events {
			targets = append(targets, e.Target)
		}
		return strings.Join(targets, " ")
	}
	before := newLog("a", "b", "c", "d")
	batch := before.after("", nil, &client{}, 100, now)
	confirmed := map[string]struct{}{}
	for _, e := range batch.events {
		confirmed[e.id] = struct{}{}
	}
	if got := missing(before, batch.cursor, nil) + missing(before, "", confirmed); got != "" {
		t.Errorf("sent again: %s", got)
	}
	for _, test := range []struct {
		targets   []string
		confirmed map[string]struct{}
		want      string
	}{
		{[]string{"a", "b", "c", "d", "e"}, nil, "e"}, // the same log
		{[]string{"a", "b"}, nil, "a b"},
		{[]string{"a", "b", "x", "y", "z"}, nil, "a b x y z"},
		{[]string{"a", "b", "x", "y", "z"}, confirmed, "x y z"},
	} {
		if got := missing(newLog(test.targets...), batch.cursor, test.confirmed); got != test.want {
			t.Errorf("%v: sends %q, want %q", test.targets, got, test.want)
		}
	}
	for _, cursor := range []string{"4", "4.", "3." + batch.cursor[2:], "9" + batch.cursor[1:], "0.x", "4.4-AAAAAAAAAAAAAAAA"} {
		if got := missing(before, cursor, nil); got != "a b c d" {
			t.Errorf("cursor %q: sends %q", cursor, got)
		}
	}
}

// The cursor that a batch ends with covers all that was sent and nothing more,
// in pages too.
func TestFeed_CursorOfAPage(t *testing.T) {
	t.Parallel()
	store, now := &latecomers{}, time.Unix(1_800_000_000, 0)
	for i := range 10 {
		store.events = append(store.events, storage.Event{
			Seq: int64(3 * (i + 1)), Kind: storage.EventTokenRevoked, Target: fmt.Sprint(i), CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		})
	}
	log := newEventLog(store, func(storage.Event) {}, slog.New(slog.DiscardHandler))
	for _, at := range []time.Time{now, now.Add(time.Minute)} {
		if err := log.poll(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for cursor, more := "", true; more; {
		batch := log.after(cursor, nil, &client{}, 3, now)
		for _, e := range batch.events {
			got = append(got, e.Target)
		}
		cursor, more = batch.cursor, batch.more
	}
	if want := strings.Fields("0 1 2 3 4 5 6 7 8 9"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
