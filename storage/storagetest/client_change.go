package storagetest

import (
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func clientChangeTests() []test {
	return []test{
		{"UpdateClient_ReplacesEveryFieldButIDAndCreatedAt", updateClientReplaces},
		{"UpdateClient_IncrementsTheRevision", updateClientIncrements},
		{"UpdateClient_KeepsNothingOfTheCaller", updateClientKeepsNothing},
		{"UpdateClient_ErrConflictWhenSomeoneWasFaster", updateClientConflict},
		{"UpdateClient_ErrNotFoundWhenItIsGone", updateClientGone},
		{"UpdateClient_AppendsClientChanged", updateClientAppends},
		{"DeleteClient_RemovesTheClient", deleteClientRemoves},
		{"DeleteClient_AppendsTheRevocation", deleteClientAppends},
		{"DeleteClient_ErrNotFound", deleteClientNotFound},
		{"DeleteClient_LeavesItsIDFree", deleteClientLeavesID},
	}
}

func updateClientReplaces(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	at := now().Add(time.Minute)
	for _, change := range []storage.Client{
		{ID: "c1", AuthMethod: "none", Registration: storage.RegisteredByOperator, Revision: 1, CreatedAt: at, UpdatedAt: at.Add(time.Hour)},
		{
			ID: "c1", Revision: 2, Name: "n", AuthMethod: "private_key_jwt", SecretHash: secretHash("1"),
			PreviousSecretHash: secretHash("2"), PreviousSecretExpiresAt: at, JWKS: []byte("{}"),
			GrantTypes: []string{"g"}, RedirectURIs: []string{"r"}, Scopes: []string{"s"},
			DefaultScopes: []string{"d"}, Resources: []string{"x"}, DefaultResource: "x",
			TokenFormat: storage.FormatJWT, Introspect: true, Disabled: true, AccessTokenLifetime: time.Minute,
			Registration: storage.RegisteredDynamically, RegistrationTokenHash: secretHash("3"), Fingerprint: secretHash("4"), ExpiresAt: at,
		},
		{
			ID: "c1", Revision: 3, AuthMethod: "private_key_jwt", JWKSURI: "https://app.example/jwks",
			ApplicationType: "web", ClientURI: "u", LogoURI: "l", PolicyURI: "p", TOSURI: "t", Contacts: []string{"c"},
			SoftwareID: "i", SoftwareVersion: "v", Registration: storage.RegisteredByDocument, FetchedAt: at, FreshUntil: at,
		},
	} {
		want := change.Clone()
		want.Revision, want.CreatedAt, want.UpdatedAt = change.Revision+1, now(), at
		got, err := db.UpdateClient(db.ctx, change, at.Add(999*time.Nanosecond))
		must(t, err)
		wantEqual(t, got, want)
		stored, err := db.Client(db.ctx, "c1")
		must(t, err)
		wantEqual(t, stored, want)
	}
}

func updateClientIncrements(t *testing.T, db *database) {
	c := client("c1")
	must(t, db.CreateClient(db.ctx, c))
	for want := int64(2); want < 20; want++ {
		var err error
		c, err = db.UpdateClient(db.ctx, c, now())
		must(t, err)
		wantEqual(t, c.Revision, want)
	}
}

func updateClientKeepsNothing(t *testing.T, db *database) {
	c := client("c1")
	must(t, db.CreateClient(db.ctx, c))
	updated, err := db.UpdateClient(db.ctx, c, now())
	must(t, err)
	want := updated.Clone()
	scribble(c)
	wantEqual(t, updated, want)
	scribble(updated)
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, want)
}

func updateClientConflict(t *testing.T, db *database) {
	mine := client("c1")
	must(t, db.CreateClient(db.ctx, mine))
	want, err := db.UpdateClient(db.ctx, client("c1"), now())
	must(t, err)
	mine.Name = "Late"
	for _, revision := range []int64{1, 0, -1, 3} {
		mine.Revision = revision
		_, err = db.UpdateClient(db.ctx, mine, now())
		wantErr(t, err, storage.ErrConflict)
	}
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, want)
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventClientChanged)
}

func updateClientGone(t *testing.T, db *database) {
	_, err := db.UpdateClient(db.ctx, client("nobody"), now())
	wantErr(t, err, storage.ErrNotFound)
	_, err = db.Client(db.ctx, "nobody")
	wantErr(t, err, storage.ErrNotFound)
	wantKinds(t, events(t, db.ctx, db, now()))
}

func updateClientAppends(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	at := now().Add(time.Minute)
	_, err := db.UpdateClient(db.ctx, client("c1"), at)
	must(t, err)
	log := events(t, db.ctx, db, at)
	wantKinds(t, log, storage.EventClientChanged)
	wantEqual(t, log[0], storage.Event{
		Seq: log[0].Seq, Kind: storage.EventClientChanged, Target: "c1",
		CreatedAt: at, ExpiresAt: at.Add(storage.ChangeLifetime),
	})
}

// clientRevoked is the event that goes with the end of client id.
func clientRevoked(id string) storage.Event {
	return storage.Event{
		Kind: storage.EventClientRevoked, Target: id, Audience: []string{"http://localhost:3001/mcp"},
		IssuedBefore: now(), CreatedAt: now(), ExpiresAt: now().Add(24 * time.Hour),
	}
}

func deleteClientRemoves(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	must(t, db.CreateClient(db.ctx, client("c2")))
	must(t, db.DeleteClient(db.ctx, "c1", clientRevoked("c1")))
	_, err := db.Client(db.ctx, "c1")
	wantErr(t, err, storage.ErrNotFound)
	left, err := db.ListClients(db.ctx, "", 10)
	must(t, err)
	wantEqual(t, left, []storage.Client{client("c2")})
}

func deleteClientAppends(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	must(t, db.DeleteClient(db.ctx, "c1", clientRevoked("c1")))
	log := events(t, db.ctx, db, now())
	wantKinds(t, log, storage.EventClientRevoked)
	want := clientRevoked("c1")
	want.Seq = log[0].Seq
	wantEqual(t, log[0], want)
}

func deleteClientNotFound(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	must(t, db.DeleteClient(db.ctx, "c1", clientRevoked("c1")))
	for _, id := range []string{"c1", "nobody"} {
		wantErr(t, db.DeleteClient(db.ctx, id, clientRevoked(id)), storage.ErrNotFound)
	}
	wantKinds(t, events(t, db.ctx, db, now()), storage.EventClientRevoked)
}

func deleteClientLeavesID(t *testing.T, db *database) {
	must(t, db.CreateClient(db.ctx, client("c1")))
	must(t, db.DeleteClient(db.ctx, "c1", clientRevoked("c1")))
	must(t, db.CreateClient(db.ctx, client("c1")))
	got, err := db.Client(db.ctx, "c1")
	must(t, err)
	wantEqual(t, got, client("c1"))
}
