package storagetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func refreshRaceTests() []test {
	return []test{
		{"Race_RotateRefreshToken_WithAWindowAllGetTheSameGeneration", raceRotateWindow},
		{"Race_RotateRefreshToken_WithoutWindowOneWinnerAndTheGrantIsDead", raceRotateStrict},
		{"Race_RotateRefreshToken_ManyGrantsWithoutWindow", raceRotateTrap},
		{"Race_RotateRefreshToken_AroundTheEndOfTheWindow", raceRotateBoundary},
		{"Race_RotateRefreshToken_ChainsDoNotFork", raceRotateChain},
		{"Race_RotateRefreshToken_NoneAfterRevokeGrant", raceRotateRevoke},
		{"Race_RotateRefreshToken_BadRequestsSpendNothing", raceRotateBad},
	}
}

// rotateAtOnce has n racers present the first token of g and returns what they
// got.
func rotateAtOnce(t *testing.T, db *database, store func(i int) storage.Store, g storage.Grant, n int, window time.Duration) ([]storage.Grant, []error) {
	t.Helper()
	got := make([]storage.Grant, n)
	errs := race(n, func(i int) (err error) {
		r := presented(g, 1, time.Minute)
		r.Window, r.AccessToken = window, racersToken(g, i)
		got[i], _, err = store(i).RotateRefreshToken(db.ctx, r)
		return err
	})
	return got, errs
}

// racersToken is the access token that racer i would get.
func racersToken(g storage.Grant, i int) storage.TokenToStore {
	return token(fmt.Sprint(g.ID, " of racer ", i), now())
}

func raceRotateWindow(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	for round := range 5 {
		g := granted(t, db, fmt.Sprint("g", round))
		want := rotatedBy(g, presented(g, 1, time.Minute))
		got, errs := rotateAtOnce(t, db, store, g, racers, time.Minute)
		for i, err := range errs {
			must(t, err)
			wantEqual(t, got[i], want)
			wantGrantToken(t, db, g, racersToken(g, i), g.Scopes...)
		}
		wantGrant(t, db, want)
	}
	wantRevocations(t, db)
}

// wantStrict fails unless one racer rotated g and the others killed it.
func wantStrict(t *testing.T, db *database, g storage.Grant, got []storage.Grant, errs []error) {
	t.Helper()
	r := presented(g, 1, time.Minute)
	winner := wantOneWinner(t, errs, storage.ErrSpent)
	wantEqual(t, got[winner], rotatedBy(g, r))
	wantGrant(t, db, revokedFor(rotatedBy(g, r), "refresh_reuse", r.Now))
	for i := range errs {
		if i == winner {
			wantGrantToken(t, db, g, racersToken(g, i), g.Scopes...)
		} else {
			wantNoGrantToken(t, db, racersToken(g, i))
		}
	}
}

func raceRotateStrict(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	var ids []string
	for round := range 5 {
		g := granted(t, db, fmt.Sprint("g", round))
		got, errs := rotateAtOnce(t, db, store, g, racers, 0)
		wantStrict(t, db, g, got, errs)
		ids = append(ids, g.ID)
	}
	wantRevocations(t, db, ids...)
}

// raceRotateTrap has callers of many grants interleave, with whom a window of
// zero length that is compared with the time of rotation lets losers pass.
func raceRotateTrap(t *testing.T, db *database) {
	const grants, each = 25, 6
	store := either(t, db)
	settle(t, db)
	var all []storage.Grant
	for i := range grants {
		all = append(all, granted(t, db, fmt.Sprint("g", i)))
	}
	got, errs := make([][]storage.Grant, grants), make([][]error, grants)
	for _, err := range race(grants, func(i int) error {
		got[i], errs[i] = rotateAtOnce(t, db, store, all[i], each, 0)
		return nil
	}) {
		must(t, err)
	}
	for i, g := range all {
		wantStrict(t, db, g, got[i], errs[i])
	}
	wantEqual(t, len(events(t, db.ctx, db, now())), grants)
}

// raceRotateBoundary has racers present a rotated token, half of them at the
// last instant of its window, half an instant later.
func raceRotateBoundary(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	g := granted(t, db, "g1")
	first := presented(g, 1, time.Minute)
	want := wantRotation(t, db, first, rotatedBy(g, first))
	in, out := presented(g, 1, 2*time.Minute), presented(g, 1, 2*time.Minute+time.Microsecond)
	got := make([]storage.Grant, racers)
	errs := race(racers, func(i int) (err error) {
		r := in
		if i%4 > 1 {
			r = out
		}
		r.AccessToken = racersToken(g, i)
		got[i], _, err = store(i).RotateRefreshToken(db.ctx, r)
		return err
	})
	for i, err := range errs {
		switch {
		case err == nil && i%4 > 1:
			t.Errorf("racer %d was accepted after the window", i)
		case err == nil:
			wantEqual(t, got[i], retriedBy(want, in))
		case i%4 > 1:
			wantErr(t, err, storage.ErrSpent)
		case !errors.Is(err, storage.ErrSpent): // it came after the grant was revoked
			wantErr(t, err, storage.ErrNotFound)
		}
	}
	after, err := db.Grant(db.ctx, "g1")
	must(t, err)
	wantEqual(t, after.Generation, int64(2))
	wantEqual(t, after.RevokeReason, "refresh_reuse")
	wantRevocations(t, db, "g1")
}

// raceRotateChain has racers follow the chain, each at its own pace; nobody
// ever sees a generation that does not follow from the one it presented.
func raceRotateChain(t *testing.T, db *database) {
	const steps = 8
	store := either(t, db)
	settle(t, db)
	g := granted(t, db, "g1", func(c *storage.Code) { c.TokenFormat = storage.FormatJWT })
	for step := int64(1); step <= steps; step++ {
		errs := race(racers, func(i int) error {
			got, _, err := store(i).RotateRefreshToken(db.ctx, presented(g, step, time.Duration(step)*time.Second))
			if err == nil && got.Generation != step+1 {
				err = fmt.Errorf("generation %d came after %d", got.Generation, step)
			}
			return err
		})
		for _, err := range errs {
			must(t, err)
		}
	}
	after, err := db.Grant(db.ctx, "g1")
	must(t, err)
	wantEqual(t, after, rotatedBy(g, presented(g, steps, steps*time.Second)))
}

// raceRotateRevoke: after RevokeGrant has returned no refresh succeeds.
func raceRotateRevoke(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	for round := range 5 {
		g := granted(t, db, fmt.Sprint("g", round), func(c *storage.Code) { c.TokenFormat = storage.FormatJWT })
		var revoked atomic.Bool
		errs := race(racers, func(i int) error {
			if i == 0 {
				err := store(round).RevokeGrant(db.ctx, g.ID, "u1", "user", grantRevoked(g.ID), now().Add(time.Minute))
				revoked.Store(true)
				return err
			}
			for {
				before := revoked.Load()
				_, _, err := store(i).RotateRefreshToken(db.ctx, presented(g, 1, time.Minute))
				switch {
				case err == nil && before:
					return errors.New("a refresh succeeded after the revocation")
				case err != nil:
					return err
				}
			}
		})
		must(t, errs[0])
		for _, err := range errs[1:] {
			wantErr(t, err, storage.ErrNotFound)
		}
		after, err := db.Grant(db.ctx, g.ID)
		must(t, err)
		wantEqual(t, after.RevokedAt, now().Add(time.Minute))
		wantRefused(t, db, presented(g, after.Generation, time.Minute), storage.ErrNotFound)
	}
}

func raceRotateBad(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	g := granted(t, db, "g1")
	good := presented(g, 1, time.Minute)
	errs := race(racers, func(i int) error {
		r := good
		r.Window, r.AccessToken = 0, racersToken(g, i)
		switch {
		case i == racers/2:
			r.AccessToken = good.AccessToken
		case i%2 == 0:
			r.Scopes = []string{"mcp:admin"}
		default:
			r.TagHash[5] ^= 1
		}
		_, _, err := store(i).RotateRefreshToken(db.ctx, r)
		return err
	})
	must(t, errs[racers/2])
	for i, err := range errs {
		switch {
		case i == racers/2:
		case i%2 == 1:
			wantErr(t, err, storage.ErrNotFound)
		case errors.Is(err, storage.ErrSpent), errors.Is(err, storage.ErrNotFound): // it came after the rotation
		default:
			wantErr(t, err, storage.ErrScope)
		}
	}
}
