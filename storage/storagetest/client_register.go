package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func registerTests() []test {
	return []test{
		{"RegisterClient_StoresItLikeCreateClient", registerStores},
		{"RegisterClient_ReturnsTheOneWithItsFingerprint", registerSame},
		{"RegisterClient_MovesAnExpiryOnlyIfThereIsOne", registerMoves},
		{"RegisterClient_WithoutFingerprintIsAlwaysAnother", registerAnother},
		{"RegisterClient_ErrExistsWhenTheIDIsTaken", registerExists},
		{"RegisterClient_KeepsNothingOfTheCaller", registerKeepsNothing},
		{"CreateClient_ErrExistsWhenTheFingerprintIsTaken", createClientFingerprint},
		{"Race_RegisterClient_OneFingerprintIsOneClient", raceRegister},
		{"Race_RegisterClient_OneWinnerPerID", raceRegisterID},
	}
}

func wantClient(t *testing.T, db *database, want storage.Client) {
	t.Helper()
	got, err := db.Client(db.ctx, want.ID)
	must(t, err)
	wantEqual(t, got, want)
}

func registerStores(t *testing.T, db *database) {
	given := client("c1")
	given.Revision = 12
	got, err := db.RegisterClient(db.ctx, given)
	must(t, err)
	wantEqual(t, got, client("c1"))
	wantClient(t, db, client("c1"))
	wantKinds(t, events(t, db.ctx, db, now()))
}

func registerSame(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	again := client("c2")
	again.Fingerprint, again.Name = client("c1").Fingerprint, "Another"
	got, err := db.RegisterClient(db.ctx, again)
	must(t, err)
	wantEqual(t, got, client("c1"))
	// With the id of the one that exists it is the same client as well.
	got, err = db.RegisterClient(db.ctx, client("c1"))
	must(t, err)
	wantEqual(t, got, client("c1"))
	_, err = db.Client(db.ctx, "c2")
	wantErr(t, err, storage.ErrNotFound)
	wantClient(t, db, client("c1"))
}

func registerMoves(t *testing.T, db *database) {
	used := client("used")
	used.ExpiresAt = time.Time{}
	must(t, db.CreateClient(db.ctx, used))
	must(t, db.CreateClient(db.ctx, client("unused")))
	for _, d := range []time.Duration{60 * 24 * time.Hour, time.Hour} {
		for _, id := range []string{"used", "unused"} {
			again := client("c2")
			again.Fingerprint, again.ExpiresAt = client(id).Fingerprint, now().Add(d)
			got, err := db.RegisterClient(db.ctx, again)
			must(t, err)
			want := client(id)
			want.ExpiresAt = now().Add(d)
			if id == "used" {
				want = used
			}
			wantEqual(t, got.ExpiresAt, want.ExpiresAt)
			wantEqual(t, got.ID, id)
			wantClient(t, db, got)
		}
	}
}

func registerAnother(t *testing.T, db *database) {
	for i := range 3 {
		c := client(fmt.Sprint(i))
		c.Fingerprint = nil
		got, err := db.RegisterClient(db.ctx, c)
		must(t, err)
		wantEqual(t, got, c)
		wantClient(t, db, c)
	}
}

func registerExists(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	for _, fingerprint := range [][]byte{nil, secretHash("another")} {
		intruder := client("c1")
		intruder.Name, intruder.Fingerprint = "Intruder", fingerprint
		_, err := db.RegisterClient(db.ctx, intruder)
		wantErr(t, err, storage.ErrExists)
	}
	wantClient(t, db, client("c1"))
}

func registerKeepsNothing(t *testing.T, db *database) {
	given := client("c1")
	got, err := db.RegisterClient(db.ctx, given)
	must(t, err)
	scribble(given)
	wantEqual(t, got, client("c1"))
	scribble(got)
	got, err = db.RegisterClient(db.ctx, client("c1"))
	must(t, err)
	wantEqual(t, got, client("c1"))
	scribble(got)
	wantClient(t, db, client("c1"))
}

func createClientFingerprint(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	again := client("c2")
	again.Fingerprint = client("c1").Fingerprint
	wantErr(t, db.CreateClient(db.ctx, again), storage.ErrExists)
	_, err := db.Client(db.ctx, "c2")
	wantErr(t, err, storage.ErrNotFound)
}

func raceRegister(t *testing.T, db *database) {
	store := either(t, db)
	for round := range 5 {
		got := make([]storage.Client, racers)
		errs := race(racers, func(i int) (err error) {
			c := client(fmt.Sprint(round, "/", i))
			c.Fingerprint = secretHash(fmt.Sprint(round))
			got[i], err = store(i).RegisterClient(db.ctx, c)
			return err
		})
		for i, err := range errs {
			must(t, err)
			wantEqual(t, got[i], got[0])
		}
		all, err := db.ListClients(db.ctx, "", 100)
		must(t, err)
		wantEqual(t, len(all), round+1)
	}
}

func raceRegisterID(t *testing.T, db *database) {
	store := either(t, db)
	errs := race(racers, func(i int) error {
		c := client("c1")
		c.Name, c.Fingerprint = fmt.Sprint(i), secretHash(fmt.Sprint(i))
		_, err := store(i).RegisterClient(db.ctx, c)
		return err
	})
	winner := wantOneWinner(t, errs, storage.ErrExists)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.Name, fmt.Sprint(winner))
}
