package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func devicePollTests() []test {
	return []test{
		{"PollDevice_AnApprovalBecomesAGrant", pollApproved},
		{"PollDevice_WithoutRefreshIsGeneration0", pollNoRefresh},
		{"PollDevice_StoresOpaqueAccessTokensOnly", pollFormat},
		{"PollDevice_TheClientNoLongerExpires", pollClient},
		{"PollDevice_ErrPendingAtTheInterval", pollPending},
		{"PollDevice_ErrSlowDownAddsFiveSeconds", pollSlowDown},
		{"PollDevice_ADecisionIsNotSlowedDown", pollDecided},
		{"PollDevice_ErrDenied", pollDenied},
		{"PollDevice_ErrExpired", pollExpired},
		{"PollDevice_ErrSpentOnceHandedOut", pollSpent},
		{"PollDevice_ErrNotFound", pollNotFound},
		{"PollDevice_ErrNotFoundWhenTheUserIsDisabled", pollDisabled},
		{"PollDevice_ReturnsCopies", pollCopies},
		{"Race_PollDevice_OneGrant", racePoll},
		{"Race_PollDevice_AgainstTheDecision", racePollDecide},
	}
}

// wantPoll fails unless p is answered with want.
func wantPoll(t *testing.T, db *database, p storage.DevicePoll, want error) {
	t.Helper()
	_, _, err := db.PollDevice(db.ctx, p)
	wantErr(t, err, want)
}

// approved has the request of a device approved.
func approved(t *testing.T, db *database, d storage.DeviceAuthorization, decided storage.DeviceDecision) {
	t.Helper()
	startDevice(t, db, d)
	decide(t, db, decided)
}

func pollApproved(t *testing.T, db *database) {
	other, _ := db.second(t)
	settle(t, db)
	approved(t, db, device("d1"), approval("d1"))
	p := poll("d1", time.Minute)
	got, u, err := other.PollDevice(db.ctx, p)
	must(t, err)
	want := grantByDevice(device("d1"), approval("d1"), p)
	wantEqual(t, got, want)
	wantEqual(t, u, user("u1"))
	wantGrant(t, db, want)
	wantGrantToken(t, db, want, p.AccessToken, "mcp:read")
	wantRevocations(t, db)
	r := presented(want, 1, time.Minute)
	wantRotation(t, db, r, rotatedBy(want, r))
}

func pollNoRefresh(t *testing.T, db *database) {
	settle(t, db)
	d := device("d1")
	d.Refresh = false
	approved(t, db, d, approval("d1"))
	p := poll("d1", time.Minute)
	got, _, err := db.PollDevice(db.ctx, p)
	must(t, err)
	wantEqual(t, got, grantByDevice(d, approval("d1"), p))
	wantEqual(t, got.Generation, int64(0))
}

func pollFormat(t *testing.T, db *database) {
	settle(t, db)
	d := device("d1")
	d.TokenFormat = storage.FormatJWT
	approved(t, db, d, approval("d1"))
	p := poll("d1", time.Minute)
	got, _, err := db.PollDevice(db.ctx, p)
	must(t, err)
	wantEqual(t, got, grantByDevice(d, approval("d1"), p))
	wantNoGrantToken(t, db, p.AccessToken)
}

func pollClient(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	wantPoll(t, db, poll("d1", time.Second), storage.ErrPending)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.ExpiresAt, client("c1").ExpiresAt)
	decide(t, db, approval("d1"))
	_, _, err = db.PollDevice(db.ctx, poll("d1", time.Minute))
	must(t, err)
	got, err = db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.ExpiresAt, time.Time{})
	got, err = db.Client(db.ctx, "c2")
	must(t, err)
	wantEqual(t, got.ExpiresAt, client("c2").ExpiresAt)
}

func pollPending(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	for _, second := range []int{0, 5, 10, 16, 60, 65} {
		wantPoll(t, db, poll("d1", time.Duration(second)*time.Second), storage.ErrPending)
	}
	wantDevice(t, db, device("d1"))
	wantNoGrantToken(t, db, poll("d1", 0).AccessToken)
}

// pollSlowDown: every poll is the last one, and each that came too early
// lengthens the interval for good.
func pollSlowDown(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	wantPoll(t, db, poll("d1", 0), storage.ErrPending)
	var at time.Duration
	for _, step := range []struct {
		after time.Duration // the poll before
		want  error
	}{
		{5*time.Second - time.Microsecond, storage.ErrSlowDown}, // 10 s from now on
		{10*time.Second - time.Microsecond, storage.ErrSlowDown},
		{15 * time.Second, storage.ErrPending},
		{15 * time.Second, storage.ErrPending},
		{0, storage.ErrSlowDown},
		{19 * time.Second, storage.ErrSlowDown},
		{25 * time.Second, storage.ErrPending},
	} {
		at += step.after
		wantPoll(t, db, poll("d1", at), step.want)
	}
}

// pollDecided: slow_down is a variant of authorization_pending (RFC 8628
// §3.5), so it is no answer once there is another.
func pollDecided(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"), device("d2"))
	wantPoll(t, db, poll("d1", time.Minute), storage.ErrPending)
	wantPoll(t, db, poll("d2", time.Minute), storage.ErrPending)
	decide(t, db, approval("d1"), storage.DeviceDecision{UserCode: device("d2").UserCode})
	_, _, err := db.PollDevice(db.ctx, poll("d1", time.Minute+time.Second))
	must(t, err)
	wantPoll(t, db, poll("d2", time.Minute+time.Second), storage.ErrDenied)
}

func pollDenied(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	denial := approval("d1")
	denial.Approved = false // whatever else it says
	decide(t, db, denial)
	for i := range 3 {
		wantPoll(t, db, poll("d1", time.Duration(i+1)*time.Minute), storage.ErrDenied)
	}
	wantNoGrant(t, db, "d1")
	wantNoGrantToken(t, db, poll("d1", 0).AccessToken)
}

func pollExpired(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("undecided"))
	approved(t, db, device("approved"), approval("approved"))
	lifetime := device("").ExpiresAt.Sub(now())
	for _, name := range []string{"undecided", "approved"} {
		wantPoll(t, db, poll(name, lifetime), storage.ErrExpired)
		wantPoll(t, db, poll(name, lifetime+time.Hour), storage.ErrExpired)
	}
	wantNoGrant(t, db, "approved")
	approved(t, db, device("in time"), approval("in time"))
	_, _, err := db.PollDevice(db.ctx, poll("in time", lifetime-time.Microsecond))
	must(t, err)
	startDevice(t, db, device("waiting"))
	wantPoll(t, db, poll("waiting", lifetime-time.Microsecond), storage.ErrPending)
}

func pollSpent(t *testing.T, db *database) {
	settle(t, db)
	approved(t, db, device("d1"), approval("d1"))
	want, _, err := db.PollDevice(db.ctx, poll("d1", time.Minute))
	must(t, err)
	again := poll("d1", 2*time.Minute)
	again.AccessToken, again.Secret = token("again", now()), hash("again")
	for range 2 {
		wantPoll(t, db, again, storage.ErrSpent)
	}
	wantGrant(t, db, want)
	wantNoGrantToken(t, db, again.AccessToken)
	wantRevocations(t, db)
}

func pollNotFound(t *testing.T, db *database) {
	settle(t, db)
	startDevice(t, db, device("d1"))
	approved(t, db, device("d2"), approval("d2"))
	wantPoll(t, db, poll("d3", time.Minute), storage.ErrNotFound)
	for _, name := range []string{"d1", "d2"} {
		byUserCode, stranger := poll(name, time.Minute), poll(name, time.Minute)
		byUserCode.DeviceCode = device(name).UserCode
		wantPoll(t, db, byUserCode, storage.ErrNotFound)
		for _, stranger.ClientID = range []string{"c2", "", "C1"} {
			wantPoll(t, db, stranger, storage.ErrNotFound)
		}
	}
	// A stranger's polls neither slow the device down nor spend its approval.
	wantPoll(t, db, poll("d1", time.Minute+time.Second), storage.ErrPending)
	_, _, err := db.PollDevice(db.ctx, poll("d2", time.Minute+time.Second))
	must(t, err)
}

func pollDisabled(t *testing.T, db *database) {
	settle(t, db)
	approved(t, db, device("d1"), approval("d1"))
	setDisabled(t, db, true)
	wantPoll(t, db, poll("d1", time.Minute), storage.ErrNotFound)
	wantNoGrant(t, db, "d1")
	wantNoGrantToken(t, db, poll("d1", 0).AccessToken)
}

func pollCopies(t *testing.T, db *database) {
	settle(t, db)
	approved(t, db, device("d1"), approval("d1"))
	got, u, err := db.PollDevice(db.ctx, poll("d1", time.Minute))
	must(t, err)
	want := got.Clone()
	scribbleGrant(got)
	scribbleUser(u)
	wantGrant(t, db, want)
	wantUser(t, db, user("u1"))
}

func racePoll(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	for round := range 5 {
		name := fmt.Sprint("d", round)
		approved(t, db, device(name), approval(name))
		mine := func(i int) storage.DevicePoll {
			p := poll(name, time.Minute)
			p.AccessToken = token(fmt.Sprint(name, "/", i), now())
			return p
		}
		got := make([]storage.Grant, racers)
		errs := race(racers, func(i int) (err error) {
			got[i], _, err = store(i).PollDevice(db.ctx, mine(i))
			return err
		})
		winner := wantOneWinner(t, errs, storage.ErrSpent)
		want := grantByDevice(device(name), approval(name), mine(winner))
		wantEqual(t, got[winner], want)
		wantGrant(t, db, want)
		for i := range racers {
			if i == winner {
				wantGrantToken(t, db, want, mine(i).AccessToken, want.Scopes...)
			} else {
				wantNoGrantToken(t, db, mine(i).AccessToken)
			}
		}
	}
	wantRevocations(t, db)
}

// racePollDecide has a device ask while it is being approved: what it is told
// before does not cost it the grant.
func racePollDecide(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	for round := range 5 {
		name := fmt.Sprint("d", round)
		startDevice(t, db, device(name))
		begin(t, db, interaction(name))
		handedOut := make([]int, racers)
		errs := race(racers, func(i int) error {
			if i == 0 {
				return store(round).DecideDevice(db.ctx, approval(name), interaction(name).Hash, now())
			}
			_, _, err := store(i).PollDevice(db.ctx, poll(name, time.Duration(i)*time.Minute/racers))
			if err == nil {
				handedOut[i] = 1
			}
			return nil
		})
		must(t, errs[0])
		n := 0
		for _, one := range handedOut {
			n += one
		}
		_, _, err := db.PollDevice(db.ctx, poll(name, 9*time.Minute))
		if n > 0 {
			wantErr(t, err, storage.ErrSpent)
		} else {
			must(t, err)
		}
		wantEqual(t, n <= 1, true)
	}
}
