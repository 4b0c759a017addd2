package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func cancelTests() []test {
	return []test{
		{"Cancelled_BeforeTheCallNothingChanges", cancelBefore},
		{"Cancelled_AtAnyMomentAClientAndItsEventStayTogether", cancelUpdate},
		{"Cancelled_AtAnyMomentAKeyAndItsEventStayTogether", cancelKey},
		{"Cancelled_AnAnswerOfNilIsStored", cancelAnswered},
	}
}

func cancelBefore(t *testing.T, db *database) {
	furnish(t, db)
	cancelled, cancel := context.WithCancel(db.ctx)
	cancel()
	late, cancelLate := context.WithDeadline(db.ctx, time.Unix(0, 0))
	defer cancelLate()
	for _, ctx := range []context.Context{cancelled, late} {
		for _, call := range calls() {
			err := call.run(ctx, db)
			if !stopped(err) {
				t.Errorf("%s: error is %v, want a context error or ErrUnavailable", call.name, err)
			}
		}
	}
	wantFurniture(t, db)
	must(t, db.UseJTI(db.ctx, "iss", "free", now().Add(time.Hour), now()))
}

// moments are deadlines that end calls early, late and midway.
func moments(yield func(i int, d time.Duration) bool) {
	for i := range 80 {
		if !yield(i, time.Duration(i)*25*time.Microsecond) {
			return
		}
	}
}

func cancelUpdate(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	for i, d := range moments {
		c, err := db.Client(db.ctx, "c1")
		must(t, err)
		c.Name = fmt.Sprint(i)
		ctx, cancel := context.WithTimeout(db.ctx, d)
		_, err = db.UpdateClient(ctx, c, now())
		cancel()
		if err != nil && !errors.Is(err, storage.ErrConflict) {
			wantStopped(t, err)
		}
	}
	// A last change without a deadline waits for whatever still runs.
	c, err := db.Client(db.ctx, "c1")
	must(t, err)
	c, err = db.UpdateClient(db.ctx, c, now())
	must(t, err)
	wantEqual(t, len(events(t, db.ctx, db, now())), int(c.Revision-1))
}

func cancelKey(t *testing.T, db *database) {
	for i, d := range moments {
		ctx, cancel := context.WithTimeout(db.ctx, d)
		if err := db.CreateKey(ctx, key(fmt.Sprint("k", i), int64(i+1))); err != nil {
			wantStopped(t, err)
		}
		cancel()
	}
	must(t, db.CreateKey(db.ctx, key("last", 1000)))
	keys, err := db.Keys(db.ctx)
	must(t, err)
	wantEqual(t, len(events(t, db.ctx, db, now())), len(keys))
}

func cancelAnswered(t *testing.T, db *database) {
	var kept []storage.AccessToken
	var seqs []int64
	for i, d := range moments {
		ctx, cancel := context.WithTimeout(db.ctx, d)
		tok := accessToken(fmt.Sprint(i))
		if err := db.CreateAccessToken(ctx, tok); err == nil {
			kept = append(kept, tok)
		} else {
			wantStopped(t, err)
		}
		if seq, err := db.AppendEvent(ctx, event(fmt.Sprint(i))); err == nil {
			seqs = append(seqs, seq)
		} else {
			wantStopped(t, err)
		}
		cancel()
	}
	for _, tok := range kept {
		wantToken(t, db, db, tok)
	}
	stored := map[int64]bool{}
	for _, e := range events(t, db.ctx, db, now()) {
		stored[e.Seq] = true
	}
	for _, seq := range seqs {
		if !stored[seq] {
			t.Errorf("event %d was answered and is lost", seq)
		}
	}
}
