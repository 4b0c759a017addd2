package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// key returns a key with every field set but RetiredAt, as a store returns it.
func key(kid string, generation int64) storage.Key {
	return storage.Key{
		KID: kid, Alg: "ES256", Generation: generation,
		Public: []byte(`{"kty":"EC"}`), Sealed: []byte{0, 1, 0xff, '"', '\\'},
		CreatedAt: now(), ActivateAt: now().Add(24 * time.Hour),
	}
}

func keyTests() []test {
	return []test{
		{"CreateKey_KeepsEveryField", createKeyKeeps},
		{"CreateKey_ErrExistsWhenItsKIDOrGenerationIsTaken", createKeyExists},
		{"CreateKey_AppendsKeysChanged", createKeyAppends},
		{"CreateKey_KeepsNothingOfTheCaller", createKeyKeepsNothing},
		{"Keys_ByGenerationWithRetiredOnes", keysByGeneration},
		{"Keys_ReturnsCopies", keysCopies},
		{"RetireKey_KeepsTheFirstTime", retireKeyFirst},
		{"RetireKey_AppendsKeysChanged", retireKeyAppends},
		{"RetireKey_ErrNotFound", retireKeyNotFound},
		{"RemoveKey_DeletesAndMayBeRepeated", removeKey},
		{"Race_CreateKey_OneWinnerPerGeneration", raceCreateKey},
		{"Race_RetireKey_OneTimeIsKept", raceRetireKey},
	}
}

func wantKeys(t *testing.T, db *database, want ...storage.Key) {
	t.Helper()
	got, err := db.Keys(db.ctx)
	must(t, err)
	if len(got) == 0 && len(want) == 0 {
		return
	}
	wantEqual(t, got, want)
}

func createKeyKeeps(t *testing.T, db *database) {
	wantKeys(t, db)
	want := key("k1", 1)
	want.RetiredAt = now().Add(time.Hour)
	given := want
	zone := time.FixedZone("east", 3*60*60)
	given.CreatedAt, given.ActivateAt = want.CreatedAt.Add(999).In(zone), want.ActivateAt.Add(1).In(zone)
	given.RetiredAt = want.RetiredAt.Add(1).In(zone)
	must(t, db.CreateKey(db.ctx, given))
	wantKeys(t, db, want)
}

func createKeyExists(t *testing.T, db *database) {
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	wantErr(t, db.CreateKey(db.ctx, key("k1", 2)), storage.ErrExists)
	wantErr(t, db.CreateKey(db.ctx, key("k2", 1)), storage.ErrExists)
	wantErr(t, db.CreateKey(db.ctx, key("k1", 1)), storage.ErrExists)
	wantKeys(t, db, key("k1", 1))
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventKeysChanged)
}

func createKeyAppends(t *testing.T, db *database) {
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	log := events(t, db.ctx, db, now())
	wantKinds(t, log, storage.EventKeysChanged)
	wantEqual(t, log[0], storage.Event{
		Seq: log[0].Seq, Kind: storage.EventKeysChanged,
		CreatedAt: now(), ExpiresAt: now().Add(storage.ChangeLifetime),
	})
}

func createKeyKeepsNothing(t *testing.T, db *database) {
	k := key("k1", 1)
	must(t, db.CreateKey(db.ctx, k))
	clear(k.Public)
	clear(k.Sealed)
	wantKeys(t, db, key("k1", 1))
}

func keysByGeneration(t *testing.T, db *database) {
	var want []storage.Key
	for _, generation := range []int64{3, 1, 10, 2} {
		k := key(fmt.Sprint("k", 20-generation), generation)
		must(t, db.CreateKey(db.ctx, k))
		if generation == 1 {
			must(t, db.RetireKey(db.ctx, k.KID, now()))
			k.RetiredAt = now()
		}
		want = append(want, k)
	}
	slices.SortFunc(want, func(a, b storage.Key) int { return int(a.Generation - b.Generation) })
	wantKeys(t, db, want...)
}

func keysCopies(t *testing.T, db *database) {
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	got, err := db.Keys(db.ctx)
	must(t, err)
	clear(got[0].Public)
	clear(got[0].Sealed)
	got[0] = storage.Key{}
	wantKeys(t, db, key("k1", 1))
}

func retireKeyFirst(t *testing.T, db *database) {
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	must(t, db.CreateKey(db.ctx, key("k2", 2)))
	must(t, db.RetireKey(db.ctx, "k1", now().Add(time.Minute)))
	must(t, db.RetireKey(db.ctx, "k1", now().Add(time.Hour)))
	must(t, db.RetireKey(db.ctx, "k1", now()))
	retired := key("k1", 1)
	retired.RetiredAt = now().Add(time.Minute)
	wantKeys(t, db, retired, key("k2", 2))
}

func retireKeyAppends(t *testing.T, db *database) {
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	before := events(t, db.ctx, db, now())
	at := now().Add(time.Minute)
	must(t, db.RetireKey(db.ctx, "k1", at))
	log := events(t, db.ctx, db, at)
	wantKinds(t, log, storage.EventKeysChanged, storage.EventKeysChanged)
	wantEqual(t, log[0], before[0])
	wantEqual(t, log[1], storage.Event{
		Seq: log[1].Seq, Kind: storage.EventKeysChanged, Target: "k1",
		CreatedAt: at, ExpiresAt: at.Add(storage.ChangeLifetime),
	})
}

func retireKeyNotFound(t *testing.T, db *database) {
	wantErr(t, db.RetireKey(db.ctx, "none", now()), storage.ErrNotFound)
	wantKinds(t, events(t, db.ctx, db, now()))
}

func removeKey(t *testing.T, db *database) {
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	must(t, db.CreateKey(db.ctx, key("k2", 2)))
	must(t, db.RemoveKey(db.ctx, "k1"))
	must(t, db.RemoveKey(db.ctx, "k1"))
	must(t, db.RemoveKey(db.ctx, "none"))
	wantKeys(t, db, key("k2", 2))
	wantErr(t, db.RetireKey(db.ctx, "k1", now()), storage.ErrNotFound)
}

func raceCreateKey(t *testing.T, db *database) {
	store := either(t, db)
	errs := race(racers, func(i int) error {
		return store(i).CreateKey(db.ctx, key(fmt.Sprint("k", i), 1))
	})
	winner := wantOneWinner(t, errs, storage.ErrExists)
	wantKeys(t, db, key(fmt.Sprint("k", winner), 1))
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventKeysChanged)
}

func raceRetireKey(t *testing.T, db *database) {
	store := either(t, db)
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	errs := race(racers, func(i int) error {
		return store(i).RetireKey(db.ctx, "k1", now().Add(time.Duration(i)*time.Second))
	})
	for _, err := range errs {
		must(t, err)
	}
	first, err := db.Keys(db.ctx)
	must(t, err)
	if first[0].RetiredAt.Before(now()) {
		t.Fatalf("retired at %v", first[0].RetiredAt)
	}
	must(t, db.RetireKey(db.ctx, "k1", now().Add(time.Hour)))
	wantKeys(t, db, first...)
}
