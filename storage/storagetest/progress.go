package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func progressTests() []test {
	return []test{
		{"Progress_OfAnInteractionWithItsSessionAndUser", progressSession},
		{"Progress_ErrNotFound", progressNotFound},
		{"Progress_LeavesOutASessionThatIsNotInForce", progressNoSession},
		{"Progress_ConsentedAreSortedScopesWithoutRepetition", progressConsented},
		{"Progress_ConsentedIsThisUsersToThisClientForThisResource", progressConsentedOthers},
		{"Progress_ConsentedIsOfLivingGrants", progressConsentedLiving},
		{"Progress_ConsentedDigestIsOfTheNewestGrant", progressDigest},
		{"Progress_ConsentedIsToWhatTheClientWasLast", progressChanged},
		{"Progress_ReturnsCopies", progressCopies},
	}
}

// inProgress has user u1 signed in with session s1 in the midst of interaction
// i1, which asks for what [code] has.
func inProgress(t *testing.T, db *database) {
	t.Helper()
	settle(t, db)
	begin(t, db, interaction("i1"))
	signIn(t, db, session("s1"))
}

// progress asks for what [inProgress] arranged, as of at.
func progress(t *testing.T, db *database, at time.Time) storage.Progress {
	t.Helper()
	got, err := db.Progress(db.ctx, interaction("i1").Hash, session("s1").Hash, at)
	must(t, err)
	return got
}

// wantConsented fails unless the scopes that u1 has consented to are want.
func wantConsented(t *testing.T, db *database, at time.Time, want ...string) {
	t.Helper()
	got := progress(t, db, at)
	if !slices.Equal(got.Consented, want) {
		t.Fatalf("consented is %q, want %q", got.Consented, want)
	}
	if len(want) == 0 {
		wantEqual(t, got.ConsentedDigest, []byte(nil))
	}
}

func progressSession(t *testing.T, db *database) {
	other, _ := db.second(t)
	inProgress(t, db)
	want := storage.Progress{Interaction: interaction("i1"), SignedIn: session("s1"), User: user("u1")}
	for _, s := range []storage.Store{db, other} {
		got, err := s.Progress(db.ctx, interaction("i1").Hash, session("s1").Hash, now())
		must(t, err)
		wantEqual(t, got, want)
	}
	// The cookie's session counts, not the one that the interaction names.
	theirs := session("s2")
	theirs.UserID = "u2"
	signIn(t, db, theirs)
	i := interaction("i2")
	i.UserID, i.Session = "u2", theirs.Hash
	begin(t, db, i)
	got, err := db.Progress(db.ctx, i.Hash, session("s1").Hash, now())
	must(t, err)
	wantEqual(t, got, storage.Progress{Interaction: i, SignedIn: session("s1"), User: user("u1")})
}

func progressNotFound(t *testing.T, db *database) {
	inProgress(t, db)
	i := interaction("i1")
	for _, tc := range []struct {
		hash [32]byte
		at   time.Time
	}{
		{hash("unknown"), now()},
		{[32]byte{}, now()},
		{i.Hash, i.ExpiresAt},
		{i.Hash, i.ExpiresAt.Add(time.Hour)},
	} {
		_, err := db.Progress(db.ctx, tc.hash, session("s1").Hash, tc.at)
		wantErr(t, err, storage.ErrNotFound)
	}
	wantEqual(t, progress(t, db, i.ExpiresAt.Add(-time.Microsecond)).Interaction, i)
}

func progressNoSession(t *testing.T, db *database) {
	inProgress(t, db)
	granted(t, db, "g1")
	short := session("short")
	short.ExpiresAt = now().Add(time.Minute)
	signIn(t, db, short)
	want := storage.Progress{Interaction: interaction("i1")}
	ask := func(session [32]byte, at time.Time) storage.Progress {
		got, err := db.Progress(db.ctx, interaction("i1").Hash, session, at)
		must(t, err)
		return got
	}
	wantEqual(t, ask([32]byte{}, now()), want)
	wantEqual(t, ask(hash("unknown"), now()), want)
	wantEqual(t, ask(short.Hash, short.ExpiresAt.Add(-time.Microsecond)).SignedIn, short)
	wantEqual(t, ask(short.Hash, short.ExpiresAt), want)
	setDisabled(t, db, true)
	wantEqual(t, ask(session("s1").Hash, now()), want)
	setDisabled(t, db, false)
	wantEqual(t, ask(session("s1").Hash, now()).SignedIn, session("s1"))
}

func progressConsented(t *testing.T, db *database) {
	inProgress(t, db)
	wantConsented(t, db, now())
	granted(t, db, "g1", func(c *storage.Code) { c.Scopes = []string{"b", "é", "a"} })
	wantConsented(t, db, now(), "a", "b", "é")
	granted(t, db, "g2", func(c *storage.Code) { c.Scopes = []string{"Z", "b", "a:b", "c"} })
	wantConsented(t, db, now(), "Z", "a", "a:b", "b", "c", "é")
	granted(t, db, "g3", func(c *storage.Code) { c.Scopes = nil })
	wantConsented(t, db, now(), "Z", "a", "a:b", "b", "c", "é")
	wantEqual(t, progress(t, db, now()).ConsentedDigest, code("").ClientDigest)
}

func progressConsentedOthers(t *testing.T, db *database) {
	inProgress(t, db)
	for i, change := range []func(*storage.Code){
		func(c *storage.Code) { c.UserID = "u2" },
		func(c *storage.Code) { c.ClientID = "c2" },
		func(c *storage.Code) { c.Resource = "https://other.example/" },
		func(c *storage.Code) { c.Resource, c.Audience = c.Audience, c.Resource },
	} {
		granted(t, db, fmt.Sprint("g", i), change)
		wantConsented(t, db, now())
	}
	issue(t, db, code("not redeemed"))
	wantConsented(t, db, now())
	granted(t, db, "mine", func(c *storage.Code) { c.Scopes = []string{"mcp:read"} })
	wantConsented(t, db, now(), "mcp:read")
}

func progressConsentedLiving(t *testing.T, db *database) {
	inProgress(t, db)
	revoked := granted(t, db, "revoked", func(c *storage.Code) { c.Scopes = []string{"r"} })
	granted(t, db, "living", func(c *storage.Code) { c.Scopes = []string{"l"} })
	wantConsented(t, db, now(), "l", "r")
	must(t, db.RevokeGrant(db.ctx, revoked.ID, "u1", "user", grantRevoked(revoked.ID), now().Add(2*time.Second)))
	wantConsented(t, db, now().Add(2*time.Second), "l")
	issue(t, db, code("short"))
	r := redemption("short")
	r.GrantExpiresAt = now().Add(time.Minute)
	_, _, err := db.RedeemCode(db.ctx, r)
	must(t, err)
	all := append([]string{"l"}, slices.Sorted(slices.Values(code("").Scopes))...)
	wantConsented(t, db, r.GrantExpiresAt.Add(-time.Microsecond), all...)
	wantConsented(t, db, r.GrantExpiresAt, "l")
	must(t, db.NarrowGrant(db.ctx, "living", "u1", []string{"l"}, grantRevoked("living"), now().Add(2*time.Second)))
	wantConsented(t, db, r.GrantExpiresAt, "l")
}

func progressDigest(t *testing.T, db *database) {
	inProgress(t, db)
	// Neither the order of rows nor the last use decides, but when it was made.
	for i, name := range []string{"g2", "g3", "g1"} {
		c, r := code(name), redemption(name)
		c.ClientDigest = bytesOf(hash(name))
		r.Now = now().Add(time.Duration([]int{2, 3, 1}[i]) * time.Second)
		issue(t, db, c)
		_, _, err := db.RedeemCode(db.ctx, r)
		must(t, err)
	}
	g, err := db.Grant(db.ctx, "g2")
	must(t, err)
	_, _, err = db.RotateRefreshToken(db.ctx, presented(g, 1, time.Minute))
	must(t, err)
	at := now().Add(2 * time.Minute)
	for _, newest := range []string{"g3", "g2", "g1"} {
		wantEqual(t, progress(t, db, at).ConsentedDigest, bytesOf(hash(newest)))
		must(t, db.RevokeGrant(db.ctx, newest, "u1", "user", grantRevoked(newest), at))
	}
	wantConsented(t, db, at)
}

// What was granted before the client changed is no consent to what it is now.
func progressChanged(t *testing.T, db *database) {
	inProgress(t, db)
	for i, g := range []struct {
		digest []byte
		scope  string
		want   []string
	}{
		{bytesOf(hash("before")), "wide", []string{"wide"}},
		{bytesOf(hash("after")), "narrow", []string{"narrow"}},
		{bytesOf(hash("after")), "other", []string{"narrow", "other"}},
		{bytesOf(hash("before")), "back", []string{"back", "wide"}},
		{nil, "none", []string{"none"}},
	} {
		name := fmt.Sprint("g", i)
		c, r := code(name), redemption(name)
		c.ClientDigest, c.Scopes = g.digest, []string{g.scope}
		r.Now = now().Add(time.Duration(i) * time.Second)
		issue(t, db, c)
		_, _, err := db.RedeemCode(db.ctx, r)
		must(t, err)
		got := progress(t, db, now().Add(time.Minute))
		if !slices.Equal(got.Consented, g.want) {
			t.Errorf("%s: consented is %q, want %q", name, got.Consented, g.want)
		}
		wantEqual(t, got.ConsentedDigest, g.digest)
	}
}

func progressCopies(t *testing.T, db *database) {
	inProgress(t, db)
	granted(t, db, "g1")
	for range 2 {
		got := progress(t, db, now())
		want := storage.Progress{
			Interaction: interaction("i1"), SignedIn: session("s1"), User: user("u1"),
			Consented: slices.Sorted(slices.Values(code("").Scopes)), ConsentedDigest: code("").ClientDigest,
		}
		wantEqual(t, got, want)
		clear(got.Scopes)
		clear(got.Prompt)
		clear(got.SignedIn.Methods)
		scribbleUser(got.User)
		clear(got.Consented)
		clear(got.ConsentedDigest)
	}
}
