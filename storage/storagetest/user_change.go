package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func userChangeTests() []test {
	return []test{
		{"UpdateUser_ReplacesEveryFieldButIDAndCreatedAt", updateUserReplaces},
		{"UpdateUser_ErrConflictWhenSomeoneWasFaster", updateUserConflict},
		{"UpdateUser_ErrNotFound", updateUserNotFound},
		{"UpdateUser_ErrExistsWhenTheUsernameIsAnothers", updateUserExists},
		{"UpdateUser_AppendsTheRevocation", updateUserAppends},
		{"UpdateUser_KeepsNothingOfTheCaller", updateUserKeepsNothing},
		{"UpdateUser_TheIdentityStays", updateUserIdentity},
		{"SpendRecoveryCode_RemovesThatOne", spendRecoveryCode},
		{"SpendRecoveryCode_ErrSpent", spendRecoveryCodeSpent},
		{"SpendRecoveryCode_ChangesTheRevision", spendRecoveryCodeRevision},
		{"Race_UpdateUser_OneWinnerPerRevision", raceUpdateUser},
		{"Race_UpdateUser_OneWinnerPerUsername", raceUpdateUsername},
		{"Race_SpendRecoveryCode_OneWinner", raceSpendRecoveryCode},
		{"Race_SpendRecoveryCode_NoCodeIsLost", raceSpendRecoveryCodes},
	}
}

// subjectRevoked is the event that goes with the end of a user.
func subjectRevoked(id string) storage.Event {
	e := clientRevoked(id)
	e.Kind, e.Audience = storage.EventSubjectRevoked, nil
	return e
}

func updateUserReplaces(t *testing.T, db *database) {
	signUp(t, db, "u1")
	at := now().Add(time.Minute)
	for _, change := range []storage.User{
		{ID: "u1", Username: "n", Revision: 1, CreatedAt: at, UpdatedAt: at.Add(time.Hour)},
		{
			ID: "u1", Username: user("u1").Username, Name: "x", Email: "y", EmailVerified: true, PasswordHash: "z",
			TOTPSecret: []byte("s"), RecoveryCodes: [][]byte{bytesOf(hash("3"))}, Disabled: true, Revision: 2,
		},
	} {
		want := change.Clone()
		want.Revision, want.CreatedAt, want.UpdatedAt = change.Revision+1, now(), at
		got, err := db.UpdateUser(db.ctx, change, nil, at.Add(999))
		must(t, err)
		wantEqual(t, got, want)
		wantUser(t, db, want)
	}
	wantKinds(t, events(t, db.ctx, db, now()))
}

func updateUserConflict(t *testing.T, db *database) {
	signUp(t, db, "u1")
	want, err := db.UpdateUser(db.ctx, user("u1"), nil, now())
	must(t, err)
	mine, revoked := user("u1"), subjectRevoked("u1")
	mine.Name = "Late"
	for _, revision := range []int64{1, 0, -1, 3} {
		mine.Revision = revision
		_, err = db.UpdateUser(db.ctx, mine, &revoked, now())
		wantErr(t, err, storage.ErrConflict)
	}
	wantUser(t, db, want)
	wantKinds(t, events(t, db.ctx, db, now()))
}

func updateUserNotFound(t *testing.T, db *database) {
	revoked := subjectRevoked("nobody")
	_, err := db.UpdateUser(db.ctx, user("nobody"), &revoked, now())
	wantErr(t, err, storage.ErrNotFound)
	_, err = db.User(db.ctx, "nobody")
	wantErr(t, err, storage.ErrNotFound)
	wantKinds(t, events(t, db.ctx, db, now()))
}

func updateUserExists(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	u, revoked := user("u2"), subjectRevoked("u2")
	u.Username = user("u1").Username
	_, err := db.UpdateUser(db.ctx, u, &revoked, now())
	wantErr(t, err, storage.ErrExists)
	wantUser(t, db, user("u1"))
	wantUser(t, db, user("u2"))
	wantKinds(t, events(t, db.ctx, db, now()))
}

func updateUserAppends(t *testing.T, db *database) {
	signUp(t, db, "u1")
	u, revoked := user("u1"), subjectRevoked("u1")
	u.Disabled = true
	_, err := db.UpdateUser(db.ctx, u, &revoked, now())
	must(t, err)
	log := events(t, db.ctx, db, now())
	wantKinds(t, log, storage.EventSubjectRevoked)
	revoked.Seq = log[0].Seq
	wantEqual(t, log[0], revoked)
}

func updateUserKeepsNothing(t *testing.T, db *database) {
	signUp(t, db, "u1")
	u := user("u1")
	updated, err := db.UpdateUser(db.ctx, u, nil, now())
	must(t, err)
	want := updated.Clone()
	scribbleUser(u)
	wantEqual(t, updated, want)
	scribbleUser(updated)
	wantUser(t, db, want)
}

func updateUserIdentity(t *testing.T, db *database) {
	must(t, db.CreateUser(db.ctx, user("u1"), identity("ada")))
	u := user("u1")
	u.Username = "renamed"
	want, err := db.UpdateUser(db.ctx, u, nil, now())
	must(t, err)
	got, err := db.UserByIdentity(db.ctx, identity("ada"))
	must(t, err)
	wantEqual(t, got, want)
	_, err = db.UserByUsername(db.ctx, user("u1").Username)
	wantErr(t, err, storage.ErrNotFound)
	signUp(t, db, "u2") // the name that was left
	u = user("u2")
	u.Username = user("u1").Username
	_, err = db.UpdateUser(db.ctx, u, nil, now())
	must(t, err)
}

func spendRecoveryCode(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	must(t, db.SpendRecoveryCode(db.ctx, "u1", hash("r1"), now()))
	got, err := db.User(db.ctx, "u1")
	must(t, err)
	wantEqual(t, got.RecoveryCodes, [][]byte{bytesOf(hash("r2"))})
	wantUser(t, db, user("u2"))
	must(t, db.SpendRecoveryCode(db.ctx, "u1", hash("r2"), now()))
	got, err = db.User(db.ctx, "u1")
	must(t, err)
	want := user("u1")
	want.RecoveryCodes, want.Revision, want.UpdatedAt = nil, 3, got.UpdatedAt
	wantEqual(t, got, want)
}

func spendRecoveryCodeSpent(t *testing.T, db *database) {
	signUp(t, db, "u1")
	wantErr(t, db.SpendRecoveryCode(db.ctx, "u1", hash("r3"), now()), storage.ErrSpent)
	wantErr(t, db.SpendRecoveryCode(db.ctx, "u1", [32]byte{}, now()), storage.ErrSpent)
	wantErr(t, db.SpendRecoveryCode(db.ctx, "nobody", hash("r1"), now()), storage.ErrSpent)
	wantUser(t, db, user("u1"))
	must(t, db.SpendRecoveryCode(db.ctx, "u1", hash("r1"), now()))
	wantErr(t, db.SpendRecoveryCode(db.ctx, "u1", hash("r1"), now()), storage.ErrSpent)
}

func spendRecoveryCodeRevision(t *testing.T, db *database) {
	signUp(t, db, "u1")
	must(t, db.SpendRecoveryCode(db.ctx, "u1", hash("r1"), now()))
	// Who read the user before must not bring the code back.
	_, err := db.UpdateUser(db.ctx, user("u1"), nil, now())
	wantErr(t, err, storage.ErrConflict)
	wantErr(t, db.SpendRecoveryCode(db.ctx, "u1", hash("r1"), now()), storage.ErrSpent)
}

func raceUpdateUser(t *testing.T, db *database) {
	store := either(t, db)
	signUp(t, db, "u1")
	errs := race(racers, func(i int) error {
		u, revoked := user("u1"), subjectRevoked("u1")
		u.Name = fmt.Sprint(i)
		_, err := store(i).UpdateUser(db.ctx, u, &revoked, now())
		return err
	})
	winner := wantOneWinner(t, errs, storage.ErrConflict)
	got, err := db.User(db.ctx, "u1")
	must(t, err)
	wantEqual(t, got.Name, fmt.Sprint(winner))
	wantEqual(t, got.Revision, int64(2))
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventSubjectRevoked)
}

func raceUpdateUsername(t *testing.T, db *database) {
	store := either(t, db)
	for i := range racers {
		signUp(t, db, fmt.Sprint(i))
	}
	errs := race(racers, func(i int) error {
		u := user(fmt.Sprint(i))
		u.Username = "wanted"
		_, err := store(i).UpdateUser(db.ctx, u, nil, now())
		return err
	})
	winner := wantOneWinner(t, errs, storage.ErrExists)
	got, err := db.UserByUsername(db.ctx, "wanted")
	must(t, err)
	wantEqual(t, got.ID, fmt.Sprint(winner))
}

func raceSpendRecoveryCode(t *testing.T, db *database) {
	store := either(t, db)
	signUp(t, db, "u1")
	errs := race(racers, func(i int) error {
		return store(i).SpendRecoveryCode(db.ctx, "u1", hash("r1"), now())
	})
	wantOneWinner(t, errs, storage.ErrSpent)
	got, err := db.User(db.ctx, "u1")
	must(t, err)
	wantEqual(t, got.RecoveryCodes, [][]byte{bytesOf(hash("r2"))})
	wantEqual(t, got.Revision, int64(2))
}

// raceSpendRecoveryCodes has every racer spend another code of the same user.
func raceSpendRecoveryCodes(t *testing.T, db *database) {
	store := either(t, db)
	u := user("u1")
	u.RecoveryCodes = nil
	for i := range racers {
		u.RecoveryCodes = append(u.RecoveryCodes, bytesOf(hash(fmt.Sprint(i))))
	}
	must(t, db.CreateUser(db.ctx, u, storage.Identity{}))
	errs := race(racers, func(i int) error {
		return store(i).SpendRecoveryCode(db.ctx, "u1", hash(fmt.Sprint(i)), now())
	})
	for _, err := range errs {
		must(t, err)
	}
	got, err := db.User(db.ctx, "u1")
	must(t, err)
	wantEqual(t, len(got.RecoveryCodes), 0)
	wantEqual(t, got.Revision, int64(racers+1))
}
