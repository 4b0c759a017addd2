package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func refreshTests() []test {
	return []test{
		{"RotateRefreshToken_IncrementsTheGeneration", rotate},
		{"RotateRefreshToken_TheHundredthIsAsTheFirst", rotateMany},
		{"RotateRefreshToken_StoresTheScopesAskedFor", rotateScopes},
		{"RotateRefreshToken_StoresOpaqueAccessTokensOnly", rotateFormat},
		{"RotateRefreshToken_ErrNotFoundChangesNothing", rotateNotFound},
		{"RotateRefreshToken_ErrNotFoundOfAnEarlierOneRevokesNothing", rotateNotFoundEarlier},
		{"RotateRefreshToken_ErrNotFoundWhenExpired", rotateExpired},
		{"RotateRefreshToken_ErrNotFoundWhenRevoked", rotateRevoked},
		{"RotateRefreshToken_ErrNotFoundWithoutRefresh", rotateNoRefresh},
		{"RotateRefreshToken_ErrNotFoundWhileTheUserIsDisabled", rotateDisabled},
		{"RotateRefreshToken_ErrScopeDoesNotSpendTheToken", rotateScope},
		{"RotateRefreshToken_ErrResourceDoesNotSpendTheToken", rotateResource},
		{"RotateRefreshToken_ReturnsCopies", rotateCopies},
		{"RotateRefreshToken_TimesAreMicrosecondsInUTC", rotateTimes},
	}
}

// wantRotation fails unless r is accepted and leaves the grant as want.
func wantRotation(t *testing.T, db *database, r storage.Rotation, want storage.Grant) storage.Grant {
	t.Helper()
	got, u, err := db.RotateRefreshToken(db.ctx, r)
	must(t, err)
	wantEqual(t, got, want)
	wantEqual(t, u.ID, want.UserID)
	wantGrant(t, db, want)
	return got
}

// wantRefused fails unless r is refused with refusal and changes nothing.
func wantRefused(t *testing.T, db *database, r storage.Rotation, refusal error) {
	t.Helper()
	before, beforeErr := db.Grant(db.ctx, r.GrantID)
	log := len(events(t, db.ctx, db, now()))
	_, _, err := db.RotateRefreshToken(db.ctx, r)
	wantErr(t, err, refusal)
	after, afterErr := db.Grant(db.ctx, r.GrantID)
	wantEqual(t, afterErr == nil, beforeErr == nil)
	wantEqual(t, after, before)
	wantEqual(t, len(events(t, db.ctx, db, now())), log)
	wantNoGrantToken(t, db, r.AccessToken)
}

func rotate(t *testing.T, db *database) {
	other, _ := db.second(t)
	settle(t, db)
	g, sibling := granted(t, db, "g1"), granted(t, db, "g2")
	r := presented(g, 1, time.Minute)
	got, u, err := other.RotateRefreshToken(db.ctx, r)
	must(t, err)
	want := rotatedBy(g, r)
	wantEqual(t, got, want)
	wantEqual(t, u, user("u1"))
	wantGrant(t, db, want)
	wantGrantToken(t, db, g, r.AccessToken, g.Scopes...)
	wantGrant(t, db, sibling)
	wantRevocations(t, db)
}

func rotateMany(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1", func(c *storage.Code) { c.TokenFormat = storage.FormatJWT })
	want := g
	for n := int64(1); n <= 100; n++ {
		r := presented(g, n, time.Duration(n)*time.Minute)
		want = rotatedBy(want, r)
		got, _, err := db.RotateRefreshToken(db.ctx, r)
		must(t, err)
		wantEqual(t, got, want)
	}
	// An ancient one is still recognised.
	old := presented(g, 3, 101*time.Minute)
	_, _, err := db.RotateRefreshToken(db.ctx, old)
	wantErr(t, err, storage.ErrSpent)
	wantGrant(t, db, revokedFor(want, "refresh_reuse", old.Now))
	wantRevocations(t, db, "g1")
}

func rotateScopes(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	for i, scopes := range [][]string{
		{"mcp:read"}, {"mcp:read", "mcp:write"}, {"mcp:tools", "mcp:read", "mcp:write"}, nil, {},
	} {
		n := int64(i + 1)
		r := presented(g, n, time.Duration(n)*time.Minute)
		r.Scopes, r.Resource = scopes, g.Resource
		g = wantRotation(t, db, r, rotatedBy(g, r)) // the grant keeps all of its scopes
		if len(scopes) == 0 {
			scopes = g.Scopes
		}
		wantGrantToken(t, db, g, r.AccessToken, scopes...)
	}
}

func rotateFormat(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1", func(c *storage.Code) { c.TokenFormat = storage.FormatJWT })
	r := presented(g, 1, time.Second)
	r.Scopes = []string{"mcp:read"}
	wantRotation(t, db, r, rotatedBy(g, r))
	wantNoGrantToken(t, db, r.AccessToken)
}

// forgeries turn a presentation into one that must not be found.
func forgeries() []func(r *storage.Rotation) {
	return []func(r *storage.Rotation){
		func(r *storage.Rotation) { r.GrantID = "nobody" },
		func(r *storage.Rotation) { r.GrantID = "g2" },
		func(r *storage.Rotation) { r.ClientID = "c2" },
		func(r *storage.Rotation) { r.ClientID = "" },
		func(r *storage.Rotation) { r.Inner[31] ^= 1 },
		func(r *storage.Rotation) { r.TagHash[0] ^= 1 },
		func(r *storage.Rotation) { r.TagHash = [32]byte{} },
		func(r *storage.Rotation) { r.Inner, r.TagHash = [32]byte{}, [32]byte{} },
		func(r *storage.Rotation) { r.Allowed = nil },
		func(r *storage.Rotation) { r.Allowed = []string{"https://other.example/"} },
		func(r *storage.Rotation) { r.Allowed = []string{code("").Audience, r.Resource + "/"} },
	}
}

func rotateNotFound(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	granted(t, db, "g2")
	for _, forge := range forgeries() {
		r := presented(g, 1, time.Minute)
		forge(&r)
		wantRefused(t, db, r, storage.ErrNotFound)
	}
	// Generations that were never reached, although nobody could make them.
	for _, n := range []int64{2, 3, 1 << 40} {
		wantRefused(t, db, presented(g, n, time.Minute), storage.ErrNotFound)
	}
	r := presented(g, 1, time.Minute)
	wantRotation(t, db, r, rotatedBy(g, r))
}

// rotateNotFoundEarlier: only an authentic token of its own client is a proof
// of reuse; anybody can make up an old generation.
func rotateNotFoundEarlier(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	granted(t, db, "g2")
	for n := int64(1); n <= 3; n++ {
		r := presented(g, n, time.Duration(n)*time.Minute)
		wantRotation(t, db, r, rotatedBy(g, r))
	}
	for _, forge := range forgeries() {
		for n := int64(1); n <= 4; n++ {
			r := presented(g, n, time.Hour)
			forge(&r)
			wantRefused(t, db, r, storage.ErrNotFound)
		}
	}
}

func rotateExpired(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	for _, after := range []time.Duration{0, time.Microsecond, time.Hour} {
		wantRefused(t, db, presented(g, 1, g.ExpiresAt.Sub(g.CreatedAt)+after), storage.ErrNotFound)
	}
	r := presented(g, 1, g.ExpiresAt.Sub(g.CreatedAt)-time.Microsecond)
	r.AccessToken = token("in reach", now()) // engines need not have room a month ahead
	want := wantRotation(t, db, r, rotatedBy(g, r))
	// Each refresh moves the end.
	late := presented(g, 2, g.ExpiresAt.Sub(g.CreatedAt)+time.Hour)
	late.AccessToken = token("in reach as well", now())
	wantRotation(t, db, late, rotatedBy(want, late))
}

func rotateRevoked(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	r := presented(g, 1, time.Minute)
	wantRotation(t, db, r, rotatedBy(g, r))
	must(t, db.RevokeGrant(db.ctx, "g1", "u1", "user", grantRevoked("g1"), r.Now))
	for n := int64(1); n <= 2; n++ {
		wantRefused(t, db, presented(g, n, 90*time.Second), storage.ErrNotFound)
	}
}

func rotateNoRefresh(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1", func(c *storage.Code) { c.Refresh = false })
	for n := range int64(3) {
		wantRefused(t, db, presented(g, n, time.Minute), storage.ErrNotFound)
		wantRefused(t, db, presented(g, n-1, time.Hour), storage.ErrNotFound)
	}
}

func rotateDisabled(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	first := presented(g, 1, time.Minute)
	g = wantRotation(t, db, first, rotatedBy(g, first))
	first.Now, first.AccessToken = first.Now.Add(time.Hour), token("again", now())
	setDisabled(t, db, true)
	wantRefused(t, db, presented(g, 2, time.Minute), storage.ErrNotFound)
	wantRefused(t, db, first, storage.ErrNotFound)
	want := setDisabled(t, db, false)
	r := presented(g, 2, time.Minute)
	_, u, err := db.RotateRefreshToken(db.ctx, r)
	must(t, err)
	wantEqual(t, u, want)
}

func rotateScope(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	for i, scopes := range [][]string{
		{"mcp:admin"}, {"mcp:read", "mcp:admin"}, {"mcp:read mcp:write"}, {"mcp"}, {"mcp:"}, {"MCP:READ"}, {""}, {"%"}, {"mcp:read", ""},
	} {
		r := presented(g, 1, time.Minute)
		r.Scopes, r.AccessToken = scopes, token(fmt.Sprint("more", i), now())
		wantRefused(t, db, r, storage.ErrScope)
	}
	first := presented(g, 1, time.Minute)
	g = wantRotation(t, db, first, rotatedBy(g, first))
	// A retry within the window is held to the same rule.
	first.Scopes, first.AccessToken = []string{"mcp:admin"}, token("retried", now())
	wantRefused(t, db, first, storage.ErrScope)
	r := presented(g, 2, 2*time.Minute)
	wantRotation(t, db, r, rotatedBy(g, r))
}

func rotateResource(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	for i, resource := range []string{"https://other.example/", g.Audience, g.Resource + "/", g.Resource[:10], "%"} {
		r := presented(g, 1, time.Minute)
		r.Resource, r.AccessToken = resource, token(fmt.Sprint("elsewhere", i), now())
		wantRefused(t, db, r, storage.ErrResource)
	}
	r := presented(g, 1, time.Minute)
	r.Resource = g.Resource
	wantRotation(t, db, r, rotatedBy(g, r))
}

func rotateCopies(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	r := presented(g, 1, time.Minute)
	r.Scopes = []string{"mcp:read"}
	got, u, err := db.RotateRefreshToken(db.ctx, r)
	must(t, err)
	clear(r.Scopes)
	clear(r.Allowed)
	scribbleGrant(got)
	scribbleUser(u)
	wantGrant(t, db, rotatedBy(g, r))
	wantUser(t, db, user("u1"))
	wantGrantToken(t, db, g, r.AccessToken, "mcp:read")
}

func rotateTimes(t *testing.T, db *database) {
	settle(t, db)
	g := granted(t, db, "g1")
	want := presented(g, 1, time.Minute)
	zone := time.FixedZone("west", -7*60*60)
	given := want
	given.Now, given.GrantExpiresAt = want.Now.Add(999).In(zone), want.GrantExpiresAt.Add(1).In(zone)
	given.AccessToken.IssuedAt = want.AccessToken.IssuedAt.In(zone)
	given.AccessToken.ExpiresAt = want.AccessToken.ExpiresAt.In(zone)
	wantRotation(t, db, given, rotatedBy(g, want))
	wantGrantToken(t, db, g, want.AccessToken, g.Scopes...)
}
