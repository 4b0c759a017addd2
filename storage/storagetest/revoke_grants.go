package storagetest

import (
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
