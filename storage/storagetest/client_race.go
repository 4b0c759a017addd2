package storagetest

import (
	"fmt"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func clientRaceTests() []test {
	return []test{
		{"Race_CreateClient_OneWinnerPerID", raceCreateClient},
		{"Race_UpdateClient_OneWinnerPerRevision", raceUpdateClient},
		{"Race_UpdateClient_NoUpdateIsLost", raceUpdateClientRetry},
		{"Race_DeleteClient_OneWinner", raceDeleteClient},
		{"Race_DeleteClient_AgainstUpdate", raceDeleteAgainstUpdate},
	}
}

// either spreads racers over two stores on the same database.
func either(t *testing.T, db *database) func(i int) storage.Store {
	t.Helper()
	other, _ := db.second(t)
	return func(i int) storage.Store {
		if i%2 == 0 {
			return db.Store
		}
		return other
	}
}

func raceCreateClient(t *testing.T, db *database) {
	store := either(t, db)
	errs := race(racers, func(i int) error {
		c := client("c1")
		c.Name = fmt.Sprint(i)
		return store(i).CreateClient(db.ctx, c)
	})
	winner := wantOneWinner(t, errs, storage.ErrExists)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.Name, fmt.Sprint(winner))
}

func raceUpdateClient(t *testing.T, db *database) {
	store := either(t, db)
	must(t, db.CreateClient(db.ctx, client("c1")))
	errs := race(racers, func(i int) error {
		c := client("c1")
		c.Name = fmt.Sprint(i)
		_, err := store(i).UpdateClient(db.ctx, c, now())
		return err
	})
	winner := wantOneWinner(t, errs, storage.ErrConflict)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got.Name, fmt.Sprint(winner))
	wantEqual(t, got.Revision, int64(2))
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventClientChanged)
}

// raceUpdateClientRetry has every racer add its own scope, reading again after
// each conflict: what optimistic concurrency is for.
func raceUpdateClientRetry(t *testing.T, db *database) {
	const n = 6
	store := either(t, db)
	c := client("c1")
	c.Scopes = nil
	must(t, db.CreateClient(db.ctx, c))
	errs := race(n, func(i int) error {
		for {
			c, err := store(i).Client(db.ctx, "c1")
			if err != nil {
				return err
			}
			c.Scopes = append(c.Scopes, fmt.Sprint(i))
			_, err = store(i).UpdateClient(db.ctx, c, now())
			if err == nil || !isConflict(err) {
				return err
			}
		}
	})
	for _, err := range errs {
		must(t, err)
	}
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, len(got.Scopes), n)
	wantEqual(t, got.Revision, int64(n+1))
	wantEqual(t, len(events(t, db.ctx, db, now())), n)
}

func raceDeleteClient(t *testing.T, db *database) {
	store := either(t, db)
	must(t, db.CreateClient(db.ctx, client("c1")))
	errs := race(racers, func(i int) error {
		return store(i).DeleteClient(db.ctx, "c1", clientRevoked("c1"))
	})
	wantOneWinner(t, errs, storage.ErrNotFound)
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventClientRevoked)
}

// raceDeleteAgainstUpdate proves that no update brings a deleted client back.
func raceDeleteAgainstUpdate(t *testing.T, db *database) {
	store := either(t, db)
	for i := range 10 {
		id := fmt.Sprint("c", i)
		must(t, db.CreateClient(db.ctx, client(id)))
		errs := race(2, func(j int) error {
			if j == 0 {
				return store(i).DeleteClient(db.ctx, id, clientRevoked(id))
			}
			_, err := store(i+1).UpdateClient(db.ctx, client(id), now())
			return err
		})
		must(t, errs[0])
		if errs[1] != nil && !isConflict(errs[1]) {
			wantErr(t, errs[1], storage.ErrNotFound)
		}
		_, err := db.Client(db.ctx, id)
		wantErr(t, err, storage.ErrNotFound)
	}
}
