package storagetest

import (
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func refreshWindowTests() []test {
	return []test{
		{"RotateRefreshToken_WithinTheWindowTheSameSuccessor", windowRetry},
		{"RotateRefreshToken_TheWindowEndsAfterItsLastInstant", windowEnds},
		{"RotateRefreshToken_RetriesDoNotProlongTheWindow", windowFixed},
		{"RotateRefreshToken_OnlyTheOneBeforeHasAWindow", windowOlder},
		{"RotateRefreshToken_WithoutWindowTheSecondIsReuse", windowZero},
		{"RotateRefreshToken_ReuseRevokesTheGrantOnce", reuseOnce},
		{"RotateRefreshToken_ReuseLeavesSiblings", reuseSiblings},
	}
}

// wantReuse fails unless r is ErrSpent and leaves g revoked.
func wantReuse(t *testing.T, db *database, g storage.Grant, r storage.Rotation) {
	t.Helper()
	_, _, err := db.RotateRefreshToken(db.ctx, r)
	wantErr(t, err, storage.ErrSpent)
	wantGrant(t, db, revokedFor(g, "refresh_reuse", r.Now))
	wantNoGrantToken(t, db, r.AccessToken)
	wantRevocations(t, db, g.ID)
}

func windowRetry(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	r := presented(g, 1, time.Minute)
	want := wantRotation(t, db, r, rotatedBy(g, r))
	for _, d := range []time.Duration{0, time.Microsecond, time.Second, 30 * time.Second} {
		again := presented(g, 1, time.Minute+d)
		again.AccessToken = token("retry after "+d.String(), again.Now)
		again.Scopes = []string{"mcp:read"}
		want = wantRotation(t, db, again, retriedBy(want, again))
		wantGrantToken(t, db, g, again.AccessToken, "mcp:read")
	}
	next := presented(g, 2, 2*time.Minute)
	wantRotation(t, db, next, rotatedBy(want, next))
	wantRevocations(t, db)
}

func windowEnds(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	r := presented(g, 1, time.Minute)
	want := wantRotation(t, db, r, rotatedBy(g, r))
	last := presented(g, 1, 2*time.Minute) // RotatedAt plus Window is within
	want = wantRotation(t, db, last, retriedBy(want, last))
	wantReuse(t, db, want, presented(g, 1, 2*time.Minute+time.Microsecond))
}

func windowFixed(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	r := presented(g, 1, time.Minute)
	want := wantRotation(t, db, r, rotatedBy(g, r))
	for _, second := range []int{80, 100, 119} {
		again := presented(g, 1, time.Duration(second)*time.Second)
		want = wantRotation(t, db, again, retriedBy(want, again))
	}
	wantReuse(t, db, want, presented(g, 1, 121*time.Second))
}

// windowOlder: once the successor was used, its predecessor is reuse even
// within the window.
func windowOlder(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	want := g
	for n := int64(1); n <= 2; n++ {
		r := presented(g, n, time.Minute+time.Duration(n)*time.Second)
		want = wantRotation(t, db, r, rotatedBy(want, r))
	}
	wantReuse(t, db, want, presented(g, 1, time.Minute+3*time.Second))
}

func windowZero(t *testing.T, db *database) {
	settle(t, db)
	for _, window := range []time.Duration{0, -1, -time.Hour} {
		g := granted(t, db, "g"+window.String())
		r := presented(g, 1, time.Minute)
		r.Window = window
		want := wantRotation(t, db, r, rotatedBy(g, r))
		// Not even at the same instant, which clocks of two servers may read.
		r.AccessToken = token("again "+g.ID, r.Now)
		_, _, err := db.RotateRefreshToken(db.ctx, r)
		wantErr(t, err, storage.ErrSpent)
		wantGrant(t, db, revokedFor(want, "refresh_reuse", r.Now))
		wantNoGrantToken(t, db, r.AccessToken)
	}
	wantRevocations(t, db, "g0s", "g-1ns", "g-1h0m0s")
}

func reuseOnce(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	want := g
	for n := int64(1); n <= 3; n++ {
		r := presented(g, n, time.Duration(n)*time.Minute)
		want = wantRotation(t, db, r, rotatedBy(want, r))
	}
	stolen := presented(g, 1, time.Hour)
	wantReuse(t, db, want, stolen)
	// From then on every token of the grant is refused, and nothing changes.
	for n := int64(1); n <= 4; n++ {
		r := presented(g, n, time.Hour+time.Minute)
		if _, _, err := db.RotateRefreshToken(db.ctx, r); err == nil {
			t.Fatalf("generation %d lives on", n)
		}
		wantNoGrantToken(t, db, r.AccessToken)
	}
	wantGrant(t, db, revokedFor(want, "refresh_reuse", stolen.Now))
	wantRevocations(t, db, "g1")
}

func reuseSiblings(t *testing.T, db *database) {
	settle(t, db)
	g, sibling := granted(t, db, "g1"), granted(t, db, "g2")
	r := presented(g, 1, time.Minute)
	want := wantRotation(t, db, r, rotatedBy(g, r))
	wantReuse(t, db, want, presented(g, 1, time.Hour))
	r = presented(sibling, 1, time.Hour)
	wantRotation(t, db, r, rotatedBy(sibling, r))
}
