package storagetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// call is one method of the contract.
type call struct {
	name string
	run  func(ctx context.Context, s storage.Store) error
}

// calls are all methods but Listen and Close. Run on a [furnished] database
// each would succeed.
func calls() []call {
	return slices.Concat(readingCalls(), changingCalls(), peopleCalls())
}

func readingCalls() []call {
	return []call{
		{"Ready", func(ctx context.Context, s storage.Store) error { return s.Ready(ctx) }},
		{"Client", func(ctx context.Context, s storage.Store) error {
			_, err := s.Client(ctx, "c1")
			return err
		}},
		{"ListClients", func(ctx context.Context, s storage.Store) error {
			_, err := s.ListClients(ctx, "", 10)
			return err
		}},
		{"AccessToken", func(ctx context.Context, s storage.Store) error {
			tok := accessToken("t1")
			_, err := s.AccessToken(ctx, tok.Hash, tok.ExpiresAt)
			return err
		}},
		{"Keys", func(ctx context.Context, s storage.Store) error {
			_, err := s.Keys(ctx)
			return err
		}},
		{"Events", func(ctx context.Context, s storage.Store) error {
			_, err := s.Events(ctx, 0, 10, now())
			return err
		}},
	}
}

func changingCalls() []call {
	return []call{
		{"CreateClient", func(ctx context.Context, s storage.Store) error {
			return s.CreateClient(ctx, client("c2"))
		}},
		{"RegisterClient", func(ctx context.Context, s storage.Store) error {
			_, err := s.RegisterClient(ctx, client("c3"))
			return err
		}},
		{"SaveDocument", func(ctx context.Context, s storage.Store) error {
			_, err := s.SaveDocument(ctx, document())
			return err
		}},
		{"UpdateClient", func(ctx context.Context, s storage.Store) error {
			_, err := s.UpdateClient(ctx, client("c1"), now())
			return err
		}},
		{"DeleteClient", func(ctx context.Context, s storage.Store) error {
			return s.DeleteClient(ctx, "c1", clientRevoked("c1"))
		}},
		{"CreateAccessToken", func(ctx context.Context, s storage.Store) error {
			return s.CreateAccessToken(ctx, accessToken("t2"))
		}},
		{"UseJTI", func(ctx context.Context, s storage.Store) error {
			return s.UseJTI(ctx, "iss", "free", now().Add(time.Hour), now())
		}},
		{"CreateKey", func(ctx context.Context, s storage.Store) error {
			return s.CreateKey(ctx, key("k2", 2))
		}},
		{"RetireKey", func(ctx context.Context, s storage.Store) error { return s.RetireKey(ctx, "k1", now()) }},
		{"RemoveKey", func(ctx context.Context, s storage.Store) error { return s.RemoveKey(ctx, "k1") }},
		{"AppendEvent", func(ctx context.Context, s storage.Store) error {
			_, err := s.AppendEvent(ctx, event("g2"))
			return err
		}},
		{"Maintain", func(ctx context.Context, s storage.Store) error {
			return s.Maintain(ctx, now().Add(slack+horizon), horizon)
		}},
	}
}

// furnish stores one record of each kind.
func furnish(t *testing.T, db *database) {
	t.Helper()
	must(t, db.CreateClient(db.ctx, usedClient()))
	must(t, db.CreateKey(db.ctx, key("k1", 1)))
	must(t, db.CreateAccessToken(db.ctx, accessToken("t1")))
	must(t, db.UseJTI(db.ctx, "iss", "spent", now().Add(time.Hour), now()))
	appendOne(t, db, db, event("g1"))
	furnishPeople(t, db)
}

// usedClient is client c1 when it does not expire any more.
func usedClient() storage.Client {
	c := client("c1")
	c.ExpiresAt = time.Time{}
	return c
}

// wantFurniture fails unless the database holds what [furnish] stored and
// nothing else.
func wantFurniture(t *testing.T, db *database) {
	t.Helper()
	clients, err := db.ListClients(db.ctx, "", 10)
	must(t, err)
	wantEqual(t, clients, []storage.Client{usedClient()})
	wantKeys(t, db, key("k1", 1))
	wantToken(t, db, db, accessToken("t1"))
	tok := accessToken("t2")
	_, err = db.AccessToken(db.ctx, tok.Hash, tok.ExpiresAt)
	wantErr(t, err, storage.ErrNotFound)
	wantErr(t, db.UseJTI(db.ctx, "iss", "spent", now().Add(time.Hour), now()), storage.ErrSpent)
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventKeysChanged, storage.EventGrantRevoked, storage.EventGrantRevoked)
	wantPeople(t, db)
}
