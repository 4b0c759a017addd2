package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func codeReuseTests() []test {
	return []test{
		{"RedeemCode_ErrSpentRevokesItsGrant", reuseCode},
		{"RedeemCode_ErrSpentWhateverElseIsSent", reuseCodeWrong},
		{"RedeemCode_ErrSpentAppendsOnce", reuseCodeTwice},
		{"RedeemCode_ErrSpentLeavesARevocationAsItIs", reuseCodeRevoked},
		{"RedeemCode_ErrSpentLongAfterItExpired", reuseCodeLate},
		{"RedeemCode_AnotherClientCannotRevokeByASpentCode", reuseCodeStranger},
		{"RedeemCode_ErrSpentEndsRefreshTokens", reuseCodeRefresh},
		{"Race_RedeemCode_OneGrantAndOneRevocation", raceRedeemCode},
		{"Race_RedeemCode_WrongChallengesChangeNothing", raceRedeemCodeWrong},
		{"Cancelled_AtAnyMomentACodeAndItsGrantStayTogether", cancelRedeem},
	}
}

// reuse presents the code of name again, as changes leave it.
func reuse(t *testing.T, db *database, name string, changes ...func(*storage.Redemption)) {
	t.Helper()
	r := redemption(name)
	r.Now, r.AccessToken = r.Now.Add(time.Minute), token("stolen from "+name, now())
	for _, change := range changes {
		change(&r)
	}
	_, _, err := db.RedeemCode(db.ctx, r)
	wantErr(t, err, storage.ErrSpent)
	wantNoGrantToken(t, db, r.AccessToken)
}

func reuseCode(t *testing.T, db *database) {
	settle(t, db)
	g, other := granted(t, db, "g1"), granted(t, db, "g2")
	reuse(t, db, "g1", func(r *storage.Redemption) { r.Revoked.Target = "g2" }) // the engine knows better
	wantGrant(t, db, revokedFor(g, "code_reuse", redemption("g1").Now.Add(time.Minute)))
	wantGrant(t, db, other)
	wantRevocations(t, db, "g1")
	wantGrantToken(t, db, g, redemption("g1").AccessToken, g.Scopes...) // the event ends it
}

func reuseCodeWrong(t *testing.T, db *database) {
	settle(t, db)
	for i, change := range []func(r *storage.Redemption){
		func(r *storage.Redemption) { r.RedirectURI = "http://evil.example/" },
		func(r *storage.Redemption) { r.CodeChallenge = "guess" },
		func(r *storage.Redemption) { r.CodeChallenge = "" },
		func(r *storage.Redemption) { r.Resource = "https://other.example/" },
	} {
		name := fmt.Sprint("g", i)
		g := granted(t, db, name)
		reuse(t, db, name, change)
		wantGrant(t, db, revokedFor(g, "code_reuse", redemption(name).Now.Add(time.Minute)))
	}
	wantRevocations(t, db, "g0", "g1", "g2", "g3")
}

func reuseCodeTwice(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	for i := range 3 {
		reuse(t, db, "g1", func(r *storage.Redemption) { r.Now = r.Now.Add(time.Duration(i) * time.Second) })
	}
	wantGrant(t, db, revokedFor(g, "code_reuse", redemption("g1").Now.Add(time.Minute)))
	wantRevocations(t, db, "g1")
}

func reuseCodeRevoked(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	at := now().Add(2 * time.Second)
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), at))
	reuse(t, db, "g1")
	wantGrant(t, db, revokedFor(g, "user", at))
	wantRevocations(t, db, "g1")
}

// reuseCodeLate: spent codes are remembered for at least an hour after they
// would have expired, whoever cleans up meanwhile.
func reuseCodeLate(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	at := code("g1").ExpiresAt.Add(time.Hour)
	must(t, db.Maintain(db.ctx, at, horizon))
	reuse(t, db, "g1", func(r *storage.Redemption) { r.Now = at })
	wantGrant(t, db, revokedFor(g, "code_reuse", at))
	wantRevocations(t, db, "g1")
}

func reuseCodeStranger(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	r := redemption("g1")
	r.ClientID = "c2"
	_, _, err := db.RedeemCode(db.ctx, r)
	wantErr(t, err, storage.ErrNotFound)
	wantGrant(t, db, g)
	wantRevocations(t, db)
}

func reuseCodeRefresh(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	_, _, err := db.RotateRefreshToken(db.ctx, presented(g, 1, time.Second))
	must(t, err)
	reuse(t, db, "g1")
	for n := int64(1); n <= 2; n++ {
		if _, _, err = db.RotateRefreshToken(db.ctx, presented(g, n, 2*time.Second)); err == nil {
			t.Fatalf("generation %d lives on", n)
		}
	}
	wantRevocations(t, db, "g1")
}

func raceRedeemCode(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	var names []string
	for round := range 6 {
		name := fmt.Sprint("g", round)
		names = append(names, name)
		issue(t, db, code(name))
		got := make([]storage.Grant, racers)
		errs := race(racers, func(i int) (err error) {
			r := redemption(name)
			r.AccessToken = token(fmt.Sprint(name, "/", i), now())
			got[i], _, err = store(i).RedeemCode(db.ctx, r)
			return err
		})
		winner := wantOneWinner(t, errs, storage.ErrSpent)
		want := grantBy(code(name), redemption(name))
		wantEqual(t, got[winner], want)
		wantGrant(t, db, revokedFor(want, "code_reuse", redemption(name).Now))
		for i := range racers {
			tok := token(fmt.Sprint(name, "/", i), now())
			if i == winner {
				wantGrantToken(t, db, want, tok, want.Scopes...)
			} else {
				wantNoGrantToken(t, db, tok)
			}
		}
	}
	wantRevocations(t, db, names...)
}

// raceRedeemCodeWrong: who lacks the verifier neither spends the code nor
// revokes, as long as it is not spent.
func raceRedeemCodeWrong(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	issue(t, db, code("g1"))
	var redeemed atomic.Bool
	errs := race(racers, func(i int) error {
		r := redemption("g1")
		if i == racers/2 {
			redeemed.Store(true)
			_, _, err := store(i).RedeemCode(db.ctx, r)
			return err
		}
		r.CodeChallenge = "guess"
		before := !redeemed.Load()
		_, _, err := store(i).RedeemCode(db.ctx, r)
		if before && !redeemed.Load() && errors.Is(err, storage.ErrSpent) {
			return errors.New("spent before anybody redeemed it")
		}
		return err
	})
	must(t, errs[racers/2])
	for i, err := range errs {
		if i != racers/2 && !errors.Is(err, storage.ErrSpent) {
			wantErr(t, err, storage.ErrNotFound)
		}
	}
}

func cancelRedeem(t *testing.T, db *database) {
	settle(t, db)
	for i, d := range moments {
		name := fmt.Sprint("g", i)
		issue(t, db, code(name))
		ctx, cancel := context.WithTimeout(db.ctx, d)
		_, _, err := db.RedeemCode(ctx, redemption(name))
		cancel()
		if err == nil {
			wantGrant(t, db, grantBy(code(name), redemption(name)))
			continue
		}
		wantStopped(t, err)
		// Now it either was redeemed, with its grant and token, or was not.
		g, _, err := db.RedeemCode(db.ctx, redemption(name))
		if err != nil {
			wantErr(t, err, storage.ErrSpent)
			g, err = db.Grant(db.ctx, name)
			must(t, err)
		}
		wantGrantToken(t, db, g, redemption(name).AccessToken, g.Scopes...)
	}
}
