package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// session returns a session of user u1 with every field set, as a store
// returns it.
func session(name string) storage.Session {
	return storage.Session{
		Hash: hash("session " + name), UserID: "u1", Methods: []string{"pwd", "otp", "mfa"},
		AuthTime: now().Add(-time.Minute), CreatedAt: now(), LastSeenAt: now().Add(time.Second),
		ExpiresAt: now().Add(time.Hour), UserAgent: "Browser/1.0 (X11)", Address: "2001:db8::1",
	}
}

func sessionTests() []test {
	return []test{
		{"SignIn_KeepsEveryField", signInKeeps},
		{"SignIn_RemovesTheSessionItReplaces", signInReplaces},
		{"SignIn_WritesTheUserIntoTheInteraction", signInInteraction},
		{"SignIn_ErrNotFoundWithoutTheInteraction", signInNotFound},
		{"SignIn_KeepsNothingOfTheCaller", signInKeepsNothing},
		{"Session_ErrNotFound", sessionNotFound},
		{"Session_ErrNotFoundWhileTheUserIsDisabled", sessionDisabled},
		{"Session_ReturnsCopies", sessionCopies},
		{"Session_TextComesBackAsItWas", sessionText},
		{"TouchSession_MovesLastSeenAtAndExpiresAt", touchSession},
		{"Sessions_ThoseInForceTheOneSeenLastFirst", sessionsOrder},
		{"DeleteSession_RemovesOneOfTheUser", deleteSession},
		{"DeleteSessions_AllButTheKept", deleteSessions},
		{"DeleteSessions_EverybodysWithoutAUser", deleteSessionsAll},
		{"Race_SignIn_AllGetTheirSession", raceSignIn},
	}
}

// signIn stores sessions.
func signIn(t *testing.T, db *database, sessions ...storage.Session) {
	t.Helper()
	for _, s := range sessions {
		_, err := db.SignIn(db.ctx, s, [32]byte{}, [32]byte{})
		must(t, err)
	}
}

func wantSession(t *testing.T, db *database, want storage.Session) {
	t.Helper()
	got, u, err := db.Session(db.ctx, want.Hash, now())
	must(t, err)
	wantEqual(t, got, want)
	wantEqual(t, u.ID, want.UserID)
}

func wantNoSession(t *testing.T, db *database, s storage.Session) {
	t.Helper()
	_, _, err := db.Session(db.ctx, s.Hash, now())
	wantErr(t, err, storage.ErrNotFound)
}

func signInKeeps(t *testing.T, db *database) {
	signUp(t, db, "u1")
	given := session("s1")
	zone := time.FixedZone("east", 60*60)
	given.AuthTime, given.CreatedAt = given.AuthTime.Add(999).In(zone), given.CreatedAt.Add(1).In(zone)
	given.LastSeenAt, given.ExpiresAt = given.LastSeenAt.Add(1).In(zone), given.ExpiresAt.Add(1).In(zone)
	i, err := db.SignIn(db.ctx, given, [32]byte{}, [32]byte{})
	must(t, err)
	wantEqual(t, i, storage.Interaction{})
	got, u, err := db.Session(db.ctx, given.Hash, now())
	must(t, err)
	wantEqual(t, got, session("s1"))
	wantEqual(t, u, user("u1"))
}

func signInReplaces(t *testing.T, db *database) {
	signUp(t, db, "u1")
	signIn(t, db, session("s1"), session("s2"))
	_, err := db.SignIn(db.ctx, session("s3"), session("s1").Hash, [32]byte{})
	must(t, err)
	wantNoSession(t, db, session("s1"))
	wantSession(t, db, session("s2"))
	wantSession(t, db, session("s3"))
	_, err = db.SignIn(db.ctx, session("s4"), hash("unknown"), [32]byte{})
	must(t, err)
	wantSession(t, db, session("s4"))
}

func signInInteraction(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	begin(t, db, interaction("i1"), interaction("i2"))
	want := interaction("i1")
	want.UserID, want.Session = "u1", session("s1").Hash
	got, err := db.SignIn(db.ctx, session("s1"), [32]byte{}, want.Hash)
	must(t, err)
	wantEqual(t, got, want)
	wantInteraction(t, db, want)
	wantInteraction(t, db, interaction("i2"))
	// Signing in again, as somebody else, for the same interaction.
	again := session("s2")
	again.UserID = "u2"
	want.UserID, want.Session = "u2", again.Hash
	got, err = db.SignIn(db.ctx, again, session("s1").Hash, want.Hash)
	must(t, err)
	wantEqual(t, got, want)
	wantInteraction(t, db, want)
	wantNoSession(t, db, session("s1"))
	wantSession(t, db, again)
}

func signInNotFound(t *testing.T, db *database) {
	signUp(t, db, "u1")
	i := interaction("i1")
	begin(t, db, i)
	signIn(t, db, session("old"))
	late := session("late")
	late.CreatedAt = i.ExpiresAt
	_, err := db.SignIn(db.ctx, late, session("old").Hash, i.Hash)
	wantErr(t, err, storage.ErrNotFound)
	_, err = db.SignIn(db.ctx, session("s1"), session("old").Hash, hash("unknown"))
	wantErr(t, err, storage.ErrNotFound)
	wantNoSession(t, db, late)
	wantNoSession(t, db, session("s1"))
	wantSession(t, db, session("old"))
	wantInteraction(t, db, i)
	late.CreatedAt = i.ExpiresAt.Add(-time.Microsecond)
	_, err = db.SignIn(db.ctx, late, [32]byte{}, i.Hash)
	must(t, err)
	wantSession(t, db, late)
}

func signInKeepsNothing(t *testing.T, db *database) {
	signUp(t, db, "u1")
	s := session("s1")
	signIn(t, db, s)
	clear(s.Methods)
	wantSession(t, db, session("s1"))
}

func sessionNotFound(t *testing.T, db *database) {
	signUp(t, db, "u1")
	s := session("s1")
	signIn(t, db, s)
	wantNoSession(t, db, session("s2"))
	_, _, err := db.Session(db.ctx, [32]byte{}, now())
	wantErr(t, err, storage.ErrNotFound)
	_, _, err = db.Session(db.ctx, s.Hash, s.ExpiresAt.Add(-time.Microsecond))
	must(t, err)
	_, _, err = db.Session(db.ctx, s.Hash, s.ExpiresAt)
	wantErr(t, err, storage.ErrNotFound)
}

func sessionDisabled(t *testing.T, db *database) {
	signUp(t, db, "u1")
	signIn(t, db, session("s1"))
	setDisabled(t, db, true)
	wantNoSession(t, db, session("s1"))
	setDisabled(t, db, false)
	wantSession(t, db, session("s1"))
}

func sessionCopies(t *testing.T, db *database) {
	signUp(t, db, "u1")
	signIn(t, db, session("s1"))
	got, u, err := db.Session(db.ctx, session("s1").Hash, now())
	must(t, err)
	clear(got.Methods)
	scribbleUser(u)
	list, err := db.Sessions(db.ctx, "u1", now())
	must(t, err)
	wantEqual(t, list, []storage.Session{session("s1")})
	clear(list[0].Methods)
	wantSession(t, db, session("s1"))
	wantUser(t, db, user("u1"))
}

func sessionText(t *testing.T, db *database) {
	signUp(t, db, "u1")
	for i, text := range awkward() {
		s := session(fmt.Sprint(i))
		s.UserAgent, s.Address, s.Methods = text, text, awkward()
		signIn(t, db, s)
		wantSession(t, db, s)
	}
	bare := session("bare")
	bare.Methods = []string{}
	signIn(t, db, bare)
	bare.Methods = nil
	wantSession(t, db, bare)
}

func touchSession(t *testing.T, db *database) {
	signUp(t, db, "u1")
	signIn(t, db, session("s1"), session("s2"))
	want, at := session("s1"), now().Add(time.Minute)
	want.LastSeenAt, want.ExpiresAt = at, at.Add(2*time.Hour)
	must(t, db.TouchSession(db.ctx, want.Hash, want.ExpiresAt.Add(999), at.Add(999)))
	wantSession(t, db, want)
	wantSession(t, db, session("s2"))
	must(t, db.TouchSession(db.ctx, hash("unknown"), want.ExpiresAt, at))
	wantNoSession(t, db, storage.Session{Hash: hash("unknown")})
}

func sessionsOrder(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	var want []storage.Session
	for i := range 4 {
		s := session(fmt.Sprint(i))
		s.LastSeenAt, s.CreatedAt = now().Add(-time.Duration(i)*time.Microsecond), now().Add(time.Duration(i)*time.Minute)
		want = append(want, s)
	}
	want[1].ExpiresAt = now().Add(time.Minute)
	other := session("other")
	other.UserID = "u2"
	signIn(t, db, want[2], want[0], other, want[3], want[1])
	for _, tc := range []struct {
		at   time.Time
		want []storage.Session
	}{
		{now(), want},
		{want[1].ExpiresAt.Add(-time.Microsecond), want},
		{want[1].ExpiresAt, []storage.Session{want[0], want[2], want[3]}},
	} {
		got, err := db.Sessions(db.ctx, "u1", tc.at)
		must(t, err)
		wantEqual(t, got, tc.want)
	}
	none, err := db.Sessions(db.ctx, "u1", want[0].ExpiresAt)
	must(t, err)
	wantEqual(t, len(none), 0)
	none, err = db.Sessions(db.ctx, "nobody", now())
	must(t, err)
	wantEqual(t, len(none), 0)
}

func deleteSession(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	signIn(t, db, session("s1"), session("s2"))
	must(t, db.DeleteSession(db.ctx, "u2", session("s1").Hash)) // not theirs
	wantSession(t, db, session("s1"))
	for range 2 {
		must(t, db.DeleteSession(db.ctx, "u1", session("s1").Hash))
		wantNoSession(t, db, session("s1"))
	}
	must(t, db.DeleteSession(db.ctx, "nobody", session("s2").Hash))
	wantSession(t, db, session("s2"))
}

func deleteSessions(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	other := session("other")
	other.UserID = "u2"
	signIn(t, db, session("s1"), session("s2"), session("s3"), other)
	must(t, db.DeleteSessions(db.ctx, "u1", session("s2").Hash))
	wantNoSession(t, db, session("s1"))
	wantSession(t, db, session("s2"))
	wantNoSession(t, db, session("s3"))
	for range 2 {
		must(t, db.DeleteSessions(db.ctx, "u1", [32]byte{}))
		wantNoSession(t, db, session("s2"))
	}
	wantSession(t, db, other)
}

func deleteSessionsAll(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	other := session("other")
	other.UserID = "u2"
	signIn(t, db, session("s1"), session("s2"), other)
	must(t, db.DeleteSessions(db.ctx, "", other.Hash))
	wantNoSession(t, db, session("s1"))
	wantNoSession(t, db, session("s2"))
	wantSession(t, db, other)
	for range 2 {
		must(t, db.DeleteSessions(db.ctx, "", [32]byte{}))
		wantNoSession(t, db, other)
	}
}

// raceSignIn has many sign in for one interaction: nobody fails, the
// interaction has user and session of the same one.
func raceSignIn(t *testing.T, db *database) {
	store := either(t, db)
	begin(t, db, interaction("i1"))
	for i := range racers {
		signUp(t, db, fmt.Sprint(i))
	}
	theirs := func(i int) storage.Session {
		s := session(fmt.Sprint(i))
		s.UserID = fmt.Sprint(i)
		return s
	}
	errs := race(racers, func(i int) error {
		got, err := store(i).SignIn(db.ctx, theirs(i), [32]byte{}, interaction("i1").Hash)
		if err == nil && (got.UserID != theirs(i).UserID || got.Session != theirs(i).Hash) {
			err = fmt.Errorf("racer %d got %+v", i, got)
		}
		return err
	})
	for i, err := range errs {
		must(t, err)
		wantSession(t, db, theirs(i))
	}
	p, err := db.Progress(db.ctx, interaction("i1").Hash, [32]byte{}, now())
	must(t, err)
	wantEqual(t, p.Interaction.Session, hash("session "+p.UserID))
}
