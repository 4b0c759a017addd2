package storagetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// hash is the SHA-256 by which a store knows the secret value called name.
func hash(name string) [32]byte { return sha256.Sum256([]byte(name)) }

// bytesOf is a hash as a slice.
func bytesOf(h [32]byte) []byte { return h[:] }

// user returns an enabled user with every other field set, as a store returns
// it.
func user(id string) storage.User {
	return storage.User{
		ID: id, Username: "name of " + id, Name: "Ada Lovelace", Email: "ada@example.org", EmailVerified: true,
		PasswordHash:  "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
		TOTPSecret:    []byte{0, 1, 0xff, '"', '\\'},
		RecoveryCodes: [][]byte{bytesOf(hash("r1")), bytesOf(hash("r2"))},
		Revision:      1, CreatedAt: now(), UpdatedAt: now().Add(time.Microsecond),
	}
}

func identity(name string) storage.Identity {
	return storage.Identity{Issuer: "https://idp.example/", Subject: name}
}

func userTests() []test {
	return []test{
		{"CreateUser_KeepsEveryField", createUserKeeps},
		{"CreateUser_StoresRevision1", createUserRevision},
		{"CreateUser_ErrExistsWhenIDUsernameOrIdentityIsTaken", createUserExists},
		{"CreateUser_KeepsNothingOfTheCaller", createUserKeepsNothing},
		{"CreateUser_EmailNeedNotBeUnique", createUserEmail},
		{"User_ErrNotFound", userNotFound},
		{"User_IsFoundWhenDisabled", userDisabled},
		{"User_ReturnsACopy", userCopy},
		{"User_TimesAreMicrosecondsInUTC", userTimes},
		{"User_ZeroValuesStayZero", userZero},
		{"User_TextComesBackAsItWas", userText},
		{"User_NamesAreComparedByteByByte", userBytes},
		{"User_IsVisibleToOtherStoresAtOnce", userElsewhere},
		{"ListUsers_ByUsernameAfterTheGivenOne", listUsers},
		{"Race_CreateUser_OneWinnerPerUsername", raceCreateUser},
		{"Race_CreateUser_OneWinnerPerIdentity", raceCreateUserIdentity},
	}
}

// signUp stores users that are as [user] makes them.
func signUp(t *testing.T, db *database, ids ...string) {
	t.Helper()
	for _, id := range ids {
		must(t, db.CreateUser(db.ctx, user(id), storage.Identity{}))
	}
}

func wantUser(t *testing.T, db *database, want storage.User) {
	t.Helper()
	got, err := db.User(db.ctx, want.ID)
	must(t, err)
	wantEqual(t, got, want)
}

// setDisabled disables or enables u1 and returns it.
func setDisabled(t *testing.T, db *database, disabled bool) storage.User {
	t.Helper()
	u, err := db.User(db.ctx, "u1")
	must(t, err)
	u.Disabled = disabled
	u, err = db.UpdateUser(db.ctx, u, nil, now())
	must(t, err)
	return u
}

func createUserKeeps(t *testing.T, db *database) {
	must(t, db.CreateUser(db.ctx, user("u1"), identity("ada")))
	wantUser(t, db, user("u1"))
	byName, err := db.UserByUsername(db.ctx, user("u1").Username)
	must(t, err)
	wantEqual(t, byName, user("u1"))
	byIdentity, err := db.UserByIdentity(db.ctx, identity("ada"))
	must(t, err)
	wantEqual(t, byIdentity, user("u1"))
}

func createUserRevision(t *testing.T, db *database) {
	u := user("u1")
	u.Revision = 41
	must(t, db.CreateUser(db.ctx, u, storage.Identity{}))
	wantUser(t, db, user("u1"))
}

func createUserExists(t *testing.T, db *database) {
	must(t, db.CreateUser(db.ctx, user("u1"), identity("ada")))
	sameID, sameName := user("u1"), user("u2")
	sameID.Username, sameName.Username = "another", user("u1").Username
	wantErr(t, db.CreateUser(db.ctx, sameID, identity("eve")), storage.ErrExists)
	wantErr(t, db.CreateUser(db.ctx, sameName, identity("eve")), storage.ErrExists)
	wantErr(t, db.CreateUser(db.ctx, user("u2"), identity("ada")), storage.ErrExists)
	wantUser(t, db, user("u1"))
	// A refusal stores neither half.
	_, err := db.User(db.ctx, "u2")
	wantErr(t, err, storage.ErrNotFound)
	_, err = db.UserByIdentity(db.ctx, identity("eve"))
	wantErr(t, err, storage.ErrNotFound)
	must(t, db.CreateUser(db.ctx, user("u2"), identity("eve")))
	// Users without an identity do not share one.
	signUp(t, db, "u3", "u4")
	_, err = db.UserByIdentity(db.ctx, storage.Identity{})
	wantErr(t, err, storage.ErrNotFound)
}

// scribbleUser overwrites everything a user's slices point to.
func scribbleUser(u storage.User) {
	clear(u.TOTPSecret)
	for _, code := range u.RecoveryCodes {
		clear(code)
	}
	clear(u.RecoveryCodes)
}

func createUserKeepsNothing(t *testing.T, db *database) {
	u := user("u1")
	must(t, db.CreateUser(db.ctx, u, storage.Identity{}))
	scribbleUser(u)
	wantUser(t, db, user("u1"))
}

func createUserEmail(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	wantUser(t, db, user("u1"))
	wantUser(t, db, user("u2"))
}

func userNotFound(t *testing.T, db *database) {
	must(t, db.CreateUser(db.ctx, user("u1"), identity("ada")))
	_, err := db.User(db.ctx, "u2")
	wantErr(t, err, storage.ErrNotFound)
	_, err = db.UserByUsername(db.ctx, "u1")
	wantErr(t, err, storage.ErrNotFound)
	for _, stranger := range []storage.Identity{
		{Issuer: identity("").Issuer, Subject: "eve"}, {Issuer: "https://evil.example/", Subject: "ada"},
		{Subject: identity("").Issuer + "ada"}, {},
	} {
		_, err = db.UserByIdentity(db.ctx, stranger)
		wantErr(t, err, storage.ErrNotFound)
	}
}

func userDisabled(t *testing.T, db *database) {
	u := user("u1")
	u.Disabled = true
	must(t, db.CreateUser(db.ctx, u, identity("ada")))
	wantUser(t, db, u)
	got, err := db.UserByUsername(db.ctx, u.Username)
	must(t, err)
	wantEqual(t, got, u)
	got, err = db.UserByIdentity(db.ctx, identity("ada"))
	must(t, err)
	wantEqual(t, got, u)
}

func userCopy(t *testing.T, db *database) {
	must(t, db.CreateUser(db.ctx, user("u1"), identity("ada")))
	for range 2 {
		one, err := db.User(db.ctx, "u1")
		must(t, err)
		wantEqual(t, one, user("u1"))
		byName, err := db.UserByUsername(db.ctx, user("u1").Username)
		must(t, err)
		wantEqual(t, byName, user("u1"))
		byIdentity, err := db.UserByIdentity(db.ctx, identity("ada"))
		must(t, err)
		wantEqual(t, byIdentity, user("u1"))
		list, err := db.ListUsers(db.ctx, "", 1)
		must(t, err)
		wantEqual(t, list, []storage.User{user("u1")})
		for _, u := range append(list, one, byName, byIdentity) {
			scribbleUser(u)
		}
	}
}

func userTimes(t *testing.T, db *database) {
	u := user("u1")
	u.CreatedAt = now().Add(999).In(time.FixedZone("east", 5*60*60+30*60))
	u.UpdatedAt = time.Date(1999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	must(t, db.CreateUser(db.ctx, u, storage.Identity{}))
	u.CreatedAt, u.UpdatedAt = now(), time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	wantUser(t, db, u)
}

func userZero(t *testing.T, db *database) {
	want := storage.User{ID: "u1", Username: "ada", Revision: 1, CreatedAt: now(), UpdatedAt: now()}
	given := want
	given.TOTPSecret, given.RecoveryCodes = []byte{}, [][]byte{}
	must(t, db.CreateUser(db.ctx, given, storage.Identity{}))
	wantUser(t, db, want)
	want.Revision = 2
	got, err := db.UpdateUser(db.ctx, storage.User{
		ID: "u1", Username: "ada", TOTPSecret: []byte{}, RecoveryCodes: [][]byte{}, Revision: 1,
	}, nil, now())
	must(t, err)
	wantEqual(t, got, want)
	wantUser(t, db, want)
}

func userText(t *testing.T, db *database) {
	long := strings.Repeat("日本語 ", 500)
	for i, text := range append(awkward(), long) {
		u := user(fmt.Sprint(i, text))
		u.Username, u.Name, u.Email, u.PasswordHash = fmt.Sprint(i, text), text, text, text
		who := storage.Identity{Issuer: fmt.Sprint(i, text), Subject: "s" + text}
		must(t, db.CreateUser(db.ctx, u, who))
		wantUser(t, db, u)
		got, err := db.UserByUsername(db.ctx, u.Username)
		must(t, err)
		wantEqual(t, got, u)
		got, err = db.UserByIdentity(db.ctx, who)
		must(t, err)
		wantEqual(t, got, u)
	}
}

func userBytes(t *testing.T, db *database) {
	for _, name := range byteOrdered() {
		u := user(name)
		u.Username = name
		must(t, db.CreateUser(db.ctx, u, identity(name)))
	}
	for _, name := range byteOrdered() {
		got, err := db.UserByUsername(db.ctx, name)
		must(t, err)
		wantEqual(t, got.ID, name)
		got, err = db.UserByIdentity(db.ctx, identity(name))
		must(t, err)
		wantEqual(t, got.ID, name)
	}
}

func userElsewhere(t *testing.T, db *database) {
	other, _ := db.second(t)
	signUp(t, db, "u1")
	u, err := other.User(db.ctx, "u1")
	must(t, err)
	u.Name = "Changed elsewhere"
	u, err = other.UpdateUser(db.ctx, u, nil, now())
	must(t, err)
	wantUser(t, db, u)
}

func usernames(users []storage.User) []string {
	var out []string
	for _, u := range users {
		out = append(out, u.Username)
	}
	return out
}

func listUsers(t *testing.T, db *database) {
	none, err := db.ListUsers(db.ctx, "", 10)
	must(t, err)
	wantEqual(t, len(none), 0)
	all := byteOrdered()
	for i, name := range all {
		u := user(fmt.Sprint(len(all) - i)) // ids in another order
		u.Username, u.Disabled = name, i%3 == 0
		must(t, db.CreateUser(db.ctx, u, storage.Identity{}))
	}
	for _, tc := range []struct {
		after string
		limit int
		want  []string
	}{
		{"", 100, all},
		{"", 3, all[:3]},
		{all[2], 3, all[3:6]},
		{all[2] + "\x01", 3, all[3:6]}, // after need not exist
		{all[len(all)-1], 3, nil},
		{"", 0, nil},
		{"", -1, nil},
	} {
		got, err := db.ListUsers(db.ctx, tc.after, tc.limit)
		must(t, err)
		if !slices.Equal(usernames(got), tc.want) {
			t.Errorf("after %q limit %d: %q, want %q", tc.after, tc.limit, usernames(got), tc.want)
		}
	}
}

func raceCreateUser(t *testing.T, db *database) {
	store := either(t, db)
	errs := race(racers, func(i int) error {
		u := user(fmt.Sprint(i))
		u.Username = "ada"
		return store(i).CreateUser(db.ctx, u, identity(u.ID))
	})
	winner := wantOneWinner(t, errs, storage.ErrExists)
	all, err := db.ListUsers(db.ctx, "", racers)
	must(t, err)
	wantEqual(t, len(all), 1)
	wantEqual(t, all[0].ID, fmt.Sprint(winner))
}

func raceCreateUserIdentity(t *testing.T, db *database) {
	store := either(t, db)
	errs := race(racers, func(i int) error {
		return store(i).CreateUser(db.ctx, user(fmt.Sprint(i)), identity("ada"))
	})
	winner := wantOneWinner(t, errs, storage.ErrExists)
	all, err := db.ListUsers(db.ctx, "", racers)
	must(t, err)
	wantEqual(t, all, []storage.User{user(fmt.Sprint(winner))})
}
