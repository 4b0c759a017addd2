package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func revokeTests() []test {
	return []test{
		{"Grant_ErrNotFound", grantNotFound},
		{"ListGrants_TheUsersInForceTheOneUsedLastFirst", listGrants},
		{"RevokeGrant_RevokesAndAppends", revokeGrant},
		{"RevokeGrant_ErrNotFound", revokeGrantNotFound},
		{"RevokeGrant_AgainIsNoErrorAndChangesNothing", revokeGrantAgain},
		{"RevokeGrant_OfAnybodyWithoutAUser", revokeGrantAny},
		{"RevokeGrant_MakesADisconnectionFinal", revokeGrantDisconnected},
		{"RevokeGrants_RevokesWhatTheEventCovers", revokeGrants},
		{"RevokeGrants_MakesADisconnectionFinal", revokeGrantsDisconnected},
		{"RevokeGrants_EndsWhatDevicesHaveYetToCollect", revokeGrantsDevices},
		{"Race_RevokeGrants_AgainstADevice", raceRevokeDevice},
		{"RestoreGrant_TakesBackARevocationByTheUser", restoreGrant},
		{"RestoreGrant_NotOlderThanSince", restoreGrantSince},
		{"RestoreGrant_ErrNotFound", restoreGrantNotFound},
		{"NarrowGrant_ReplacesTheScopesAndAppends", narrowGrant},
		{"NarrowGrant_ErrScopeChangesNothing", narrowGrantScope},
		{"NarrowGrant_ErrNotFound", narrowGrantNotFound},
		{"DeleteClient_WhilePeopleUseIt", deleteClientWithGrants},
		{"Race_RevokeGrant_IsToldOnce", raceRevokeGrant},
		{"Race_RestoreGrant_NeverTakesBackAnother", raceRestoreGrant},
		{"Race_NarrowGrant_ScopesNeverComeBack", raceNarrowGrant},
	}
}

// later is a while after the grants of the suite were made.
func later() time.Time { return now().Add(time.Hour) }

func grantNotFound(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	wantNoGrant(t, db, "g2")
	wantNoGrant(t, db, "")
	wantNoGrant(t, db, "G1")
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "operator", grantRevoked("g1"), later()))
	wantGrant(t, db, revokedFor(g, "operator", later())) // in whatever state
}

func wantGrants(t *testing.T, db *database, userID string, at time.Time, want ...string) {
	t.Helper()
	got, err := db.ListGrants(db.ctx, userID, at)
	must(t, err)
	var names []string
	for _, g := range got {
		names = append(names, g.ID)
		wantGrant(t, db, g)
	}
	wantEqual(t, names, want)
}

func listGrants(t *testing.T, db *database) {
	settle(t, db)
	wantGrants(t, db, "u1", now())
	for i, name := range []string{"b", "c", "a", "d"} {
		r := redemption(name)
		r.Now = now().Add(time.Duration(i+1) * time.Second)
		r.GrantExpiresAt = now().Add(time.Duration(4-i) * time.Hour)
		issue(t, db, code(name))
		_, _, err := db.RedeemCode(db.ctx, r)
		must(t, err)
	}
	granted(t, db, "theirs", func(c *storage.Code) { c.UserID = "u2" })
	at := now().Add(10 * time.Minute)
	wantGrants(t, db, "u1", at, "d", "a", "c", "b")
	wantGrants(t, db, "u2", at, "theirs")
	wantGrants(t, db, "nobody", at)
	g, err := db.Grant(db.ctx, "b")
	must(t, err)
	r := presented(g, 1, time.Minute)
	r.GrantExpiresAt = g.ExpiresAt
	_, _, err = db.RotateRefreshToken(db.ctx, r)
	must(t, err)
	wantGrants(t, db, "u1", at, "b", "d", "a", "c")
	must(t, db.RevokeGrant(db.ctx, "a", "u1", "user", grantRevoked("a"), at))
	wantGrants(t, db, "u1", at, "b", "d", "c")
	wantGrants(t, db, "u1", now().Add(time.Hour-time.Microsecond), "b", "d", "c")
	wantGrants(t, db, "u1", now().Add(time.Hour), "b", "c")
	wantGrants(t, db, "u1", now().Add(4*time.Hour))
}

func revokeGrant(t *testing.T, db *database) {
	settle(t, db)
	g, sibling := granted(t, db, "g1"), granted(t, db, "g2")
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "client", grantRevoked("g1"), later().Add(999)))
	wantGrant(t, db, revokedFor(g, "client", later()))
	wantGrant(t, db, sibling)
	wantRevocations(t, db, "g1")
	wantRefused(t, db, presented(g, 1, 2*time.Hour), storage.ErrNotFound)
}

func revokeGrantNotFound(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	for _, who := range [][2]string{{"g2", "u1"}, {"g2", ""}, {"", ""}, {"g1", "u2"}, {"g1", "nobody"}} {
		wantErr(t, db.RevokeGrant(db.ctx, who[0], who[1], "user", grantRevoked(who[0]), later()), storage.ErrNotFound)
	}
	wantGrant(t, db, g)
	wantRevocations(t, db)
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), later()))
	wantErr(t, db.RevokeGrant(db.ctx, "g1", "u2", "user", grantRevoked("g1"), later()), storage.ErrNotFound)
	wantRevocations(t, db, "g1")
}

func revokeGrantAgain(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	disconnected := granted(t, db, "g2")
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "client", grantRevoked("g1"), later()))
	must(t, db.RevokeGrant(db.ctx, "g2", "u1", "user", grantRevoked("g2"), later()))
	for _, userID := range []string{"u1", ""} {
		for _, reason := range []string{"user", "client", "operator"} {
			must(t, db.RevokeGrant(db.ctx, "g1", userID, reason, grantRevoked("g1"), later().Add(time.Hour)))
		}
		must(t, db.RevokeGrant(db.ctx, "g2", userID, "user", grantRevoked("g2"), later().Add(time.Hour)))
	}
	wantGrant(t, db, revokedFor(g, "client", later()))
	wantGrant(t, db, revokedFor(disconnected, "user", later()))
	wantRevocations(t, db, "g1", "g2")
}

func revokeGrantAny(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	must(t, db.RevokeGrant(db.ctx, "g1", "", "operator", grantRevoked("g1"), later()))
	wantGrant(t, db, revokedFor(g, "operator", later()))
	wantRevocations(t, db, "g1")
}

func restoreGrant(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), later()))
	must(t, db.RestoreGrant(db.ctx, "g1", "u1", later().Add(-time.Minute)))
	wantGrant(t, db, g)
	wantRevocations(t, db, "g1") // its access tokens stay revoked
	r := presented(g, 1, 2*time.Hour)
	wantRotation(t, db, r, rotatedBy(g, r))
	// It can be revoked again, which is told again.
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), later()))
	wantRevocations(t, db, "g1", "g1")
}

func restoreGrantSince(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), later()))
	wantErr(t, db.RestoreGrant(db.ctx, "g1", "u1", later().Add(time.Microsecond)), storage.ErrNotFound)
	wantGrant(t, db, revokedFor(g, "user", later()))
	must(t, db.RestoreGrant(db.ctx, "g1", "u1", later()))
	wantGrant(t, db, g)
}

func restoreGrantNotFound(t *testing.T, db *database) {
	settle(t, db)
	long := now().Add(-time.Hour)
	g := granted(t, db, "g1")
	wantErr(t, db.RestoreGrant(db.ctx, "g1", "u1", long), storage.ErrNotFound) // in force
	wantErr(t, db.RestoreGrant(db.ctx, "g2", "u1", long), storage.ErrNotFound)
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), later()))
	wantErr(t, db.RestoreGrant(db.ctx, "g1", "u2", long), storage.ErrNotFound)
	wantGrant(t, db, revokedFor(g, "user", later()))
	must(t, db.RestoreGrant(db.ctx, "g1", "u1", long))
	wantErr(t, db.RestoreGrant(db.ctx, "g1", "u1", long), storage.ErrNotFound)
	for _, reason := range []string{"code_reuse", "refresh_reuse", "client", "operator"} {
		g := granted(t, db, reason)
		must(t, db.RevokeGrant(db.ctx, reason, "", reason, grantRevoked(reason), later()))
		wantErr(t, db.RestoreGrant(db.ctx, reason, "u1", long), storage.ErrNotFound)
		wantGrant(t, db, revokedFor(g, reason, later()))
	}
}

func narrowGrant(t *testing.T, db *database) {
	settle(t, db)
	g, sibling := granted(t, db, "g1"), granted(t, db, "g2")
	for _, scopes := range [][]string{{"mcp:tools", "mcp:read", "mcp:write"}, {"mcp:read", "mcp:write"}, {"mcp:read"}} {
		must(t, db.NarrowGrant(db.ctx, "g1", "u1", scopes, grantRevoked("g1"), later()))
		g.Scopes = scopes
		wantGrant(t, db, g)
	}
	wantGrant(t, db, sibling)
	wantRevocations(t, db, "g1", "g1", "g1")
	r := presented(g, 1, 2*time.Hour)
	r.Scopes = []string{"mcp:write"}
	wantRefused(t, db, r, storage.ErrScope)
	r.Scopes = nil
	wantRotation(t, db, r, rotatedBy(g, r))
	wantGrantToken(t, db, g, r.AccessToken, "mcp:read")
}

func narrowGrantScope(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	for _, scopes := range [][]string{
		nil, {}, {"mcp:admin"}, {"mcp:read", "mcp:admin"}, {"mcp:read mcp:write"}, {"MCP:read"}, {""}, {"mcp:read", ""},
	} {
		wantErr(t, db.NarrowGrant(db.ctx, "g1", "u1", scopes, grantRevoked("g1"), later()), storage.ErrScope)
	}
	wantGrant(t, db, g)
	wantRevocations(t, db)
}

func narrowGrantNotFound(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	less := []string{"mcp:read"}
	for _, who := range [][2]string{{"g2", "u1"}, {"g1", "u2"}, {"g1", "nobody"}} {
		wantErr(t, db.NarrowGrant(db.ctx, who[0], who[1], less, grantRevoked("g1"), later()), storage.ErrNotFound)
	}
	wantErr(t, db.NarrowGrant(db.ctx, "g1", "u1", less, grantRevoked("g1"), g.ExpiresAt), storage.ErrNotFound)
	wantGrant(t, db, g)
	wantRevocations(t, db)
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), later()))
	wantErr(t, db.NarrowGrant(db.ctx, "g1", "u1", less, grantRevoked("g1"), later()), storage.ErrNotFound)
	wantGrant(t, db, revokedFor(g, "user", later()))
	wantRevocations(t, db, "g1")
}

// deleteClientWithGrants: clients may go while people use them; the server
// answers for an unknown client, so grants need not go with it at once.
func deleteClientWithGrants(t *testing.T, db *database) {
	settle(t, db)
	granted(t, db, "g1")
	issue(t, db, code("g2"))
	begin(t, db, interaction("i1"))
	must(t, db.DeleteClient(db.ctx, "c1", clientRevoked("c1")))
	_, err := db.Client(db.ctx, "c1")
	wantErr(t, err, storage.ErrNotFound)
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventClientRevoked)
}

func raceRevokeGrant(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	g := granted(t, db, "g1")
	errs := race(racers, func(i int) error {
		return store(i).RevokeGrant(db.ctx, "g1", "u1", fmt.Sprint("reason", i), grantRevoked("g1"), later().Add(time.Duration(i)*time.Second))
	})
	for _, err := range errs {
		must(t, err)
	}
	got, err := db.Grant(db.ctx, "g1")
	must(t, err)
	var winner int
	_, err = fmt.Sscanf(got.RevokeReason, "reason%d", &winner)
	must(t, err)
	wantEqual(t, got, revokedFor(g, got.RevokeReason, later().Add(time.Duration(winner)*time.Second)))
	wantRevocations(t, db, "g1")
}

// raceNarrowGrant has racers drop different scopes: once two of them are
// through, nobody has both what one and what the other left.
func raceNarrowGrant(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	granted(t, db, "g1")
	lists := [][]string{{"mcp:write", "mcp:read"}, {"mcp:read", "mcp:tools"}}
	errs := race(racers, func(i int) error {
		return store(i).NarrowGrant(db.ctx, "g1", "u1", lists[i%2], grantRevoked("g1"), later())
	})
	var narrowed []string
	for i, err := range errs {
		if err != nil {
			wantErr(t, err, storage.ErrScope)
			continue
		}
		if narrowed == nil {
			narrowed = lists[i%2]
		}
		wantEqual(t, lists[i%2], narrowed)
	}
	got, err := db.Grant(db.ctx, "g1")
	must(t, err)
	wantEqual(t, got.Scopes, narrowed)
	wantEqual(t, len(events(t, db.ctx, db, now())), racers/2)
}
