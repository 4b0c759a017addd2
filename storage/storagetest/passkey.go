package storagetest

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// passkey returns a passkey of user u1 with every field set, as a store
// returns it.
func passkey(name string) storage.Passkey {
	return storage.Passkey{
		ID: bytesOf(hash("credential " + name)), UserID: "u1", Name: name,
		PublicKey: []byte{0xa5, 0, 1, 0xff, '"'}, AttestationType: "none",
		Transports: []string{"hybrid", "internal"}, Flags: 0x1d,
		AAGUID: bytes.Repeat([]byte{0xaa}, 16), SignCount: 7,
		CreatedAt: now(), LastUsedAt: now().Add(time.Hour),
	}
}

func passkeyTests() []test {
	return []test{
		{"CreatePasskey_KeepsEveryField", createPasskeyKeeps},
		{"CreatePasskey_ErrExistsWhenTheIDIsTaken", createPasskeyExists},
		{"CreatePasskey_ErrNotFoundWithoutTheUser", createPasskeyNotFound},
		{"CreatePasskey_KeepsNothingOfTheCaller", createPasskeyKeepsNothing},
		{"Passkeys_OldestFirst", passkeysOrder},
		{"Passkeys_ReturnsCopies", passkeysCopies},
		{"Passkeys_TextAndExtremesComeBackAsTheyWere", passkeysText},
		{"UsePasskey_RecordsTheUse", usePasskey},
		{"UsePasskey_ErrNotFound", usePasskeyNotFound},
		{"DeletePasskey_RemovesOneOfTheUser", deletePasskey},
		{"Race_CreatePasskey_OneWinner", raceCreatePasskey},
		{"Race_DeletePasskey_OneWinner", raceDeletePasskey},
	}
}

func wantPasskeys(t *testing.T, db *database, userID string, want ...storage.Passkey) {
	t.Helper()
	got, err := db.Passkeys(db.ctx, userID)
	must(t, err)
	if len(got) == 0 && len(want) == 0 {
		return
	}
	wantEqual(t, got, want)
}

func createPasskeyKeeps(t *testing.T, db *database) {
	signUp(t, db, "u1")
	wantPasskeys(t, db, "u1")
	given := passkey("p1")
	zone := time.FixedZone("west", -7*60*60)
	given.CreatedAt, given.LastUsedAt = given.CreatedAt.Add(999).In(zone), given.LastUsedAt.Add(1).In(zone)
	must(t, db.CreatePasskey(db.ctx, given))
	wantPasskeys(t, db, "u1", passkey("p1"))
	wantPasskeys(t, db, "u2")
}

func createPasskeyExists(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	for _, userID := range []string{"u1", "u2"} {
		intruder := passkey("p1")
		intruder.UserID, intruder.PublicKey = userID, []byte("mine")
		wantErr(t, db.CreatePasskey(db.ctx, intruder), storage.ErrExists)
	}
	wantPasskeys(t, db, "u1", passkey("p1"))
	wantPasskeys(t, db, "u2")
}

func createPasskeyNotFound(t *testing.T, db *database) {
	wantErr(t, db.CreatePasskey(db.ctx, passkey("p1")), storage.ErrNotFound)
	wantPasskeys(t, db, "u1")
	signUp(t, db, "u1")
	wantPasskeys(t, db, "u1")
}

// scribblePasskey overwrites everything a passkey's slices point to.
func scribblePasskey(p storage.Passkey) {
	clear(p.ID)
	clear(p.PublicKey)
	clear(p.Transports)
	clear(p.AAGUID)
}

func createPasskeyKeepsNothing(t *testing.T, db *database) {
	signUp(t, db, "u1")
	p := passkey("p1")
	must(t, db.CreatePasskey(db.ctx, p))
	scribblePasskey(p)
	wantPasskeys(t, db, "u1", passkey("p1"))
}

func passkeysOrder(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	var want []storage.Passkey
	for i := range 5 {
		p := passkey(fmt.Sprint(i))
		p.CreatedAt, p.LastUsedAt = now().Add(time.Duration(i)*time.Microsecond), now().Add(-time.Duration(i)*time.Hour)
		want = append(want, p)
	}
	for _, i := range []int{3, 0, 4, 2, 1} {
		must(t, db.CreatePasskey(db.ctx, want[i]))
	}
	other := passkey("other")
	other.UserID = "u2"
	must(t, db.CreatePasskey(db.ctx, other))
	wantPasskeys(t, db, "u1", want...)
	wantPasskeys(t, db, "u2", other)
}

func passkeysCopies(t *testing.T, db *database) {
	signUp(t, db, "u1")
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	got, err := db.Passkeys(db.ctx, "u1")
	must(t, err)
	scribblePasskey(got[0])
	wantPasskeys(t, db, "u1", passkey("p1"))
}

func passkeysText(t *testing.T, db *database) {
	signUp(t, db, "u1")
	var want []storage.Passkey
	for i, text := range awkward() {
		p := passkey(fmt.Sprint(i))
		p.Name, p.AttestationType, p.Transports = text, text, []string{text}
		p.CreatedAt = now().Add(time.Duration(i) * time.Second)
		want = append(want, p)
	}
	// WebAuthn Level 3 §5.8.3: credential ids may have 1023 bytes.
	want[1].ID, want[1].PublicKey = bytes.Repeat([]byte{0, 0xff, 'a'}, 341), bytes.Repeat([]byte{0xff, 0}, 1000)
	want[1].Flags, want[1].SignCount = math.MaxUint8, math.MaxUint32
	want[2].Flags, want[2].SignCount, want[2].LastUsedAt = 0, 0, time.Time{}
	want[2].Transports = nil
	for _, p := range want {
		must(t, db.CreatePasskey(db.ctx, p))
	}
	wantPasskeys(t, db, "u1", want...)
}

func usePasskey(t *testing.T, db *database) {
	signUp(t, db, "u1")
	other := passkey("p2")
	other.CreatedAt = now().Add(time.Second)
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	must(t, db.CreatePasskey(db.ctx, other))
	want, at := passkey("p1"), now().Add(2*time.Hour)
	want.SignCount, want.Flags, want.LastUsedAt = math.MaxUint32, math.MaxUint8, at
	must(t, db.UsePasskey(db.ctx, want.ID, want.SignCount, want.Flags, at.Add(999)))
	wantPasskeys(t, db, "u1", want, other)
}

func usePasskeyNotFound(t *testing.T, db *database) {
	signUp(t, db, "u1")
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	for _, id := range [][]byte{passkey("p2").ID, {}, nil} {
		wantErr(t, db.UsePasskey(db.ctx, id, 8, 1, now()), storage.ErrNotFound)
	}
	wantPasskeys(t, db, "u1", passkey("p1"))
}

func deletePasskey(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	other := passkey("p2")
	other.CreatedAt = now().Add(time.Second)
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	must(t, db.CreatePasskey(db.ctx, other))
	wantErr(t, db.DeletePasskey(db.ctx, "u2", passkey("p1").ID), storage.ErrNotFound)
	wantErr(t, db.DeletePasskey(db.ctx, "u1", passkey("p3").ID), storage.ErrNotFound)
	wantPasskeys(t, db, "u1", passkey("p1"), other)
	must(t, db.DeletePasskey(db.ctx, "u1", passkey("p1").ID))
	wantErr(t, db.DeletePasskey(db.ctx, "u1", passkey("p1").ID), storage.ErrNotFound)
	wantErr(t, db.UsePasskey(db.ctx, passkey("p1").ID, 8, 1, now()), storage.ErrNotFound)
	wantPasskeys(t, db, "u1", other)
}

func raceCreatePasskey(t *testing.T, db *database) {
	store := either(t, db)
	signUp(t, db, "u1")
	errs := race(racers, func(i int) error {
		p := passkey("p1")
		p.Name = fmt.Sprint(i)
		return store(i).CreatePasskey(db.ctx, p)
	})
	want := passkey("p1")
	want.Name = fmt.Sprint(wantOneWinner(t, errs, storage.ErrExists))
	wantPasskeys(t, db, "u1", want)
}

func raceDeletePasskey(t *testing.T, db *database) {
	store := either(t, db)
	signUp(t, db, "u1")
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	errs := race(racers, func(i int) error {
		return store(i).DeletePasskey(db.ctx, "u1", passkey("p1").ID)
	})
	wantOneWinner(t, errs, storage.ErrNotFound)
}
