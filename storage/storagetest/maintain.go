package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// slack is how long after their expiry all engines have dropped records.
const slack = 48 * time.Hour

func maintainTests() []test {
	return []test{
		{"Ready_NilWithTheCurrentSchema", readyNil},
		{"Maintain_PreparesRoomUpToTheHorizon", maintainPrepares},
		{"Maintain_DropsExpiredAccessTokens", maintainDropsTokens},
		{"Maintain_DropsExpiredJTIs", maintainDropsJTIs},
		{"Maintain_DropsExpiredEvents", maintainDropsEvents},
		{"Maintain_KeepsClientsAndKeys", maintainKeeps},
		{"Maintain_IsIdempotent", maintainIdempotent},
		{"Maintain_ToleratesASlowClock", maintainSlowClock},
		{"Maintain_DayAfterDay", maintainDays},
		{"Race_Maintain_AmongWriters", raceMaintain},
	}
}

func readyNil(t *testing.T, db *database) {
	must(t, db.Ready(db.ctx))
	other, _ := db.second(t)
	must(t, other.Ready(db.ctx))
}

func maintainPrepares(t *testing.T, db *database) {
	for i, d := range []time.Duration{time.Second, time.Hour, horizon / 2, horizon - time.Second, horizon} {
		tok := accessToken(fmt.Sprint(i))
		tok.ExpiresAt = wholeSecond().Add(d)
		must(t, db.CreateAccessToken(db.ctx, tok))
		wantToken(t, db, db, tok)
		must(t, db.UseJTI(db.ctx, "iss", fmt.Sprint(i), now().Add(d), now()))
		e := event(fmt.Sprint(i))
		e.ExpiresAt = now().Add(d)
		appendOne(t, db, db, e)
	}
}

func maintainDropsTokens(t *testing.T, db *database) {
	var old []storage.AccessToken
	for i := range 50 {
		tok := accessToken(fmt.Sprint(i))
		old = append(old, tok)
		must(t, db.CreateAccessToken(db.ctx, tok))
		wantToken(t, db, db, tok)
	}
	later := old[0].ExpiresAt.Add(slack)
	must(t, db.Maintain(db.ctx, later, horizon))
	fresh := accessToken("fresh")
	fresh.ExpiresAt = later.Add(time.Second)
	must(t, db.CreateAccessToken(db.ctx, fresh))
	must(t, db.Maintain(db.ctx, later, horizon))
	for _, tok := range old {
		_, err := db.AccessToken(db.ctx, tok.Hash, tok.ExpiresAt)
		wantErr(t, err, storage.ErrNotFound)
	}
	wantToken(t, db, db, fresh)
}

// maintainDropsJTIs asks as of the past: whether an expired jti is still
// stored shows only to someone for whom it has not expired.
func maintainDropsJTIs(t *testing.T, db *database) {
	expires, later := now().Add(time.Hour), now().Add(time.Hour+slack)
	must(t, db.UseJTI(db.ctx, "iss", "old", expires, now()))
	must(t, db.UseJTI(db.ctx, "iss", "live", later.Add(-slack+horizon), now()))
	must(t, db.Maintain(db.ctx, expires.Add(-time.Minute), horizon))
	wantErr(t, db.UseJTI(db.ctx, "iss", "old", expires, now()), storage.ErrSpent)
	must(t, db.UseJTI(db.ctx, "iss", "fresh", later.Add(time.Hour), now()))
	must(t, db.Maintain(db.ctx, later, horizon))
	must(t, db.UseJTI(db.ctx, "iss", "old", later.Add(time.Hour), now()))
	wantErr(t, db.UseJTI(db.ctx, "iss", "fresh", later.Add(time.Hour), now()), storage.ErrSpent)
}

func maintainDropsEvents(t *testing.T, db *database) {
	for i := range 50 {
		appendOne(t, db, db, event(fmt.Sprint(i)))
	}
	later := event("").ExpiresAt.Add(slack)
	must(t, db.Maintain(db.ctx, event("").ExpiresAt.Add(-time.Minute), horizon))
	wantEqual(t, len(events(t, db.ctx, db, now())), 50)
	must(t, db.Maintain(db.ctx, later, horizon))
	fresh := event("fresh")
	fresh.ExpiresAt = later.Add(time.Minute)
	fresh = appendOne(t, db, db, fresh)
	must(t, db.Maintain(db.ctx, later, horizon))
	wantEqual(t, events(t, db.ctx, db, now()), []storage.Event{fresh})
}

func maintainKeeps(t *testing.T, db *database) {
	want := client("c1")
	want.ExpiresAt = time.Time{}
	must(t, db.CreateClient(db.ctx, want))
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	must(t, db.Maintain(db.ctx, now().Add(10000*time.Hour), horizon))
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, want)
	wantKeys(t, db, key("k1", 1))
}

func maintainIdempotent(t *testing.T, db *database) {
	other, _ := db.second(t)
	must(t, db.CreateAccessToken(db.ctx, accessToken("t1")))
	must(t, db.UseJTI(db.ctx, "iss", "jti", now().Add(time.Hour), now()))
	e := appendOne(t, db, db, event("g1"))
	for range 3 {
		must(t, db.Maintain(db.ctx, now(), horizon))
		must(t, other.Maintain(db.ctx, now(), horizon))
	}
	wantToken(t, db, db, accessToken("t1"))
	wantErr(t, db.UseJTI(db.ctx, "iss", "jti", now().Add(time.Hour), now()), storage.ErrSpent)
	wantEqual(t, events(t, db.ctx, db, now()), []storage.Event{e})
}

// maintainSlowClock: replicas' clocks differ, and the slow one comes last.
func maintainSlowClock(t *testing.T, db *database) {
	must(t, db.Maintain(db.ctx, now().Add(horizon+slack), horizon))
	must(t, db.Maintain(db.ctx, now(), horizon))
	must(t, db.CreateAccessToken(db.ctx, accessToken("t1")))
	wantToken(t, db, db, accessToken("t1"))
	must(t, db.UseJTI(db.ctx, "iss", "jti", now().Add(time.Hour), now()))
	appendOne(t, db, db, event("g1"))
}

func maintainDays(t *testing.T, db *database) {
	var tokens []storage.AccessToken
	for day := range 8 {
		today := now().Add(time.Duration(day) * 24 * time.Hour)
		must(t, db.Maintain(db.ctx, today, horizon))
		tok := accessToken(fmt.Sprint(day))
		tok.ExpiresAt = today.Truncate(time.Second).Add(25 * time.Hour)
		must(t, db.CreateAccessToken(db.ctx, tok))
		tokens = append(tokens, tok)
		wantToken(t, db, db, tok)
		if day > 0 {
			wantToken(t, db, db, tokens[day-1])
		}
	}
	_, err := db.AccessToken(db.ctx, tokens[0].Hash, tokens[0].ExpiresAt)
	wantErr(t, err, storage.ErrNotFound)
}

// raceMaintain has several stores maintain while others write: nobody fails,
// nothing alive is lost.
func raceMaintain(t *testing.T, db *database) {
	store := either(t, db)
	for i := range 20 {
		tok := accessToken(fmt.Sprint("old", i))
		tok.ExpiresAt = wholeSecond().Add(time.Second)
		must(t, db.CreateAccessToken(db.ctx, tok))
	}
	later := now().Add(slack + time.Minute)
	live := func(i, j int) storage.AccessToken {
		tok := accessToken(fmt.Sprint(i, "/", j))
		tok.ExpiresAt = later.Truncate(time.Second).Add(time.Hour)
		return tok
	}
	must(t, db.Maintain(db.ctx, now().Add(slack/2), horizon))
	errs := race(8, func(i int) error {
		for j := range 5 {
			var err error
			if i < 4 {
				err = store(i).Maintain(db.ctx, later, horizon)
			} else {
				err = store(i).CreateAccessToken(db.ctx, live(i, j))
			}
			if err != nil {
				return fmt.Errorf("racer %d: %w", i, err)
			}
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	for i := 4; i < 8; i++ {
		for j := range 5 {
			wantToken(t, db, db, live(i, j))
		}
	}
}
