package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// broadly is the event that revokes everything of kind and target made until
// before.
func broadly(kind storage.EventKind, target string, before time.Time) storage.Event {
	e := clientRevoked(target)
	e.Kind, e.IssuedBefore = kind, before
	return e
}

func revokeGrants(t *testing.T, db *database) {
	settle(t, db)
	of := func(clientID, userID string) func(*storage.Code) {
		return func(c *storage.Code) { c.ClientID, c.UserID = clientID, userID }
	}
	granted(t, db, "one", of("c1", "u2"))
	granted(t, db, "of u2", of("c1", "u2"))
	granted(t, db, "of c2", of("c2", "u1"))
	granted(t, db, "other", of("c1", "u1"))
	made := now().Add(time.Second) // when redemption makes them
	alive := func(want ...string) {
		t.Helper()
		for _, name := range []string{"one", "of u2", "of c2", "other"} {
			g, err := db.Grant(db.ctx, name)
			must(t, err)
			reason := "operator"
			for _, w := range want {
				if w == name {
					reason = ""
				}
			}
			if g.RevokeReason != reason || g.RevokedAt.IsZero() != (reason == "") {
				t.Fatalf("grant %q: %q at %s, want %q", name, g.RevokeReason, g.RevokedAt, reason)
			}
		}
	}
	must(t, db.RevokeGrants(db.ctx, broadly(storage.EventAllRevoked, "", made.Add(-1000)), later()))
	must(t, db.RevokeGrants(db.ctx, broadly(storage.EventTokenRevoked, "one", made), later()))
	must(t, db.RevokeGrants(db.ctx, broadly(storage.EventSubjectRevoked, "nobody", made), later()))
	alive("one", "of u2", "of c2", "other")
	must(t, db.RevokeGrants(db.ctx, broadly(storage.EventGrantRevoked, "one", made), later()))
	alive("of u2", "of c2", "other")
	must(t, db.RevokeGrants(db.ctx, broadly(storage.EventSubjectRevoked, "u2", made), later()))
	alive("of c2", "other")
	must(t, db.RevokeGrants(db.ctx, broadly(storage.EventClientRevoked, "c2", made), later()))
	alive("other")
	issue(t, db, code("under way"))
	must(t, db.RevokeGrants(db.ctx, broadly(storage.EventAllRevoked, "", made), now()))
	alive()
	if _, _, err := db.RedeemCode(db.ctx, redemption("under way")); err == nil {
		t.Fatal("a code from before was redeemed")
	}
	_, _, err := db.RedeemCode(db.ctx, redemption("other"))
	wantErr(t, err, storage.ErrSpent) // still remembered
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventAllRevoked, storage.EventTokenRevoked, storage.EventSubjectRevoked,
		storage.EventGrantRevoked, storage.EventSubjectRevoked, storage.EventClientRevoked, storage.EventAllRevoked)
}

// revokeGrantDisconnected: what a user could take back nobody can, once
// somebody else has revoked it too.
func revokeGrantDisconnected(t *testing.T, db *database) {
	settle(t, db)
	for i, userID := range []string{"u1", ""} {
		id, final := fmt.Sprint("g", i), later().Add(10*time.Second)
		g := granted(t, db, id)
		must(t, db.RevokeGrant(db.ctx, id, "u1", "user", grantRevoked(id), later()))
		wantErr(t, db.RevokeGrant(db.ctx, id, "u2", "client", grantRevoked(id), final), storage.ErrNotFound)
		wantGrant(t, db, revokedFor(g, "user", later()))
		must(t, db.RevokeGrant(db.ctx, id, userID, "client", grantRevoked(id), final))
		must(t, db.RevokeGrant(db.ctx, id, "u1", "user", grantRevoked(id), final.Add(time.Second)))
		wantErr(t, db.RestoreGrant(db.ctx, id, "u1", now()), storage.ErrNotFound)
		wantGrant(t, db, revokedFor(g, "client", final))
	}
	wantRevocations(t, db, "g0", "g0", "g1", "g1")
}

func revokeGrantsDisconnected(t *testing.T, db *database) {
	settle(t, db)
	made, final := now().Add(time.Second), later().Add(10*time.Second)
	for kind, target := range map[storage.EventKind]string{
		storage.EventGrantRevoked: string(storage.EventGrantRevoked), storage.EventClientRevoked: "c1", storage.EventSubjectRevoked: "u1", storage.EventAllRevoked: "",
	} {
		id := string(kind)
		g := granted(t, db, id)
		must(t, db.RevokeGrant(db.ctx, id, "u1", "user", grantRevoked(id), later()))
		must(t, db.RevokeGrants(db.ctx, broadly(kind, target, made.Add(-time.Microsecond)), final)) // the grant is newer
		must(t, db.RevokeGrants(db.ctx, broadly(storage.EventSubjectRevoked, "u2", made), final))
		wantGrant(t, db, revokedFor(g, "user", later()))
		must(t, db.RevokeGrants(db.ctx, broadly(kind, target, made), final))
		must(t, db.RevokeGrants(db.ctx, broadly(kind, target, made), final.Add(time.Second)))
		wantErr(t, db.RestoreGrant(db.ctx, id, "u1", now()), storage.ErrNotFound)
		wantGrant(t, db, revokedFor(g, "operator", final))
	}
}

// raceRestoreGrant has users take back their disconnections while all grants
// are revoked: whoever is first, none is in force at the end.
func raceRestoreGrant(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	id := func(i int) string { return fmt.Sprint("g", i) }
	for i := range racers {
		granted(t, db, id(i))
		must(t, db.RevokeGrant(db.ctx, id(i), "u1", "user", grantRevoked(id(i)), later()))
	}
	errs := race(racers, func(i int) error {
		if i == racers/2 {
			return store(i).RevokeGrants(db.ctx, broadly(storage.EventSubjectRevoked, "u1", later()), later())
		}
		err := store(i).RestoreGrant(db.ctx, id(i), "u1", now())
		if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return err
	})
	for i, err := range errs {
		must(t, err)
		g, err := db.Grant(db.ctx, id(i))
		must(t, err)
		wantEqual(t, g.RevokeReason, "operator")
	}
}

// revokeGrantsDevices: what a person has allowed a device is as good as a grant.
func revokeGrantsDevices(t *testing.T, db *database) {
	settle(t, db)
	for kind, target := range map[storage.EventKind]string{
		storage.EventGrantRevoked: string(storage.EventGrantRevoked), storage.EventClientRevoked: "c1", storage.EventSubjectRevoked: "u1", storage.EventAllRevoked: "",
	} {
		name, waiting := string(kind), "waiting for "+string(kind)
		startDevice(t, db, device(name), device(waiting))
		decide(t, db, approval(name))
		must(t, db.RevokeGrants(db.ctx, broadly(storage.EventTokenRevoked, name, now()), now()))
		must(t, db.RevokeGrants(db.ctx, broadly(kind, "another", now()), now()))
		must(t, db.RevokeGrants(db.ctx, broadly(kind, target, now()), now()))
		_, _, err := db.PollDevice(db.ctx, poll(name, time.Minute))
		wantErr(t, err, storage.ErrNotFound)
		wantDevice(t, db, device(waiting)) // nobody has allowed anything yet
	}
}

// raceRevokeDevice has devices collect what they were allowed while everything
// is revoked: none has a grant in force at the end.
func raceRevokeDevice(t *testing.T, db *database) {
	store := either(t, db)
	settle(t, db)
	id := func(i int) string { return fmt.Sprint("d", i) }
	for i := range racers {
		startDevice(t, db, device(id(i)))
		decide(t, db, approval(id(i)))
	}
	errs := race(racers, func(i int) error {
		if i == racers/2 {
			return store(i).RevokeGrants(db.ctx, broadly(storage.EventAllRevoked, "", later()), later())
		}
		_, _, err := store(i).PollDevice(db.ctx, poll(id(i), time.Minute))
		if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return err
	})
	for i, err := range errs {
		must(t, err)
		if g, err := db.Grant(db.ctx, id(i)); !errors.Is(err, storage.ErrNotFound) && (err != nil || g.RevokeReason != "operator") {
			t.Fatalf("grant %q: %q %v", id(i), g.RevokeReason, err)
		}
	}
}
