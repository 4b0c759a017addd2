package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func documentTests() []test {
	return []test{
		{"SaveDocument_StoresTheFirstCopy", saveDocumentFirst},
		{"SaveDocument_TheSameAgainIsNoChange", saveDocumentSame},
		{"SaveDocument_AnythingElseIsAChange", saveDocumentChange},
		{"SaveDocument_CreatedAtAndDisabledStay", saveDocumentStays},
		{"SaveDocument_KeepsNothingOfTheCaller", saveDocumentKeepsNothing},
		{"SaveDocument_WhatWasUsedDoesNotExpireAgain", saveDocumentUsed},
		{"SaveDocument_ReplacesNoClientOfAnotherKind", saveDocumentOfAnother},
		{"Race_SaveDocument_TheSameIsOneClientWithoutAChange", raceSaveDocumentSame},
		{"Race_SaveDocument_EachChangeIsCountedAndTold", raceSaveDocumentChange},
	}
}

const documentURL = "https://app.example/client.json?a=b"

// document is what a store returns of a document saved first.
func document() storage.Client {
	c := client(documentURL)
	c.Registration, c.Disabled = storage.RegisteredByDocument, false
	c.SecretHash, c.PreviousSecretHash, c.PreviousSecretExpiresAt = nil, nil, time.Time{}
	c.RegistrationTokenHash, c.Fingerprint, c.ExpiresAt = nil, nil, time.Time{}
	c.FetchedAt, c.UpdatedAt = now(), now()
	return c
}

// fetched is the document as it is fetched some time later.
func fetched(c storage.Client, after time.Duration) storage.Client {
	at := now().Add(after)
	c.Revision, c.FetchedAt, c.FreshUntil, c.UpdatedAt = 0, at, at.Add(time.Hour), at
	return c
}

func saveDocument(t *testing.T, db *database, c storage.Client) storage.Client {
	t.Helper()
	got, err := db.SaveDocument(db.ctx, c)
	must(t, err)
	wantClient(t, db, got)
	return got
}

func saveDocumentFirst(t *testing.T, db *database) {
	given := document()
	given.Revision = 7
	wantEqual(t, saveDocument(t, db, given), document())
	wantKinds(t, events(t, db.ctx, db, now()))
}

func saveDocumentUsed(t *testing.T, db *database) {
	saveDocument(t, db, document()) // no longer expires
	late := fetched(document(), time.Minute)
	late.ExpiresAt = now().Add(time.Hour) // read before it was used
	want := late
	want.ExpiresAt, want.Revision = time.Time{}, 1
	wantEqual(t, saveDocument(t, db, late), want)
	wantKinds(t, events(t, db.ctx, db, now()))
}

func saveDocumentOfAnother(t *testing.T, db *database) {
	operators := client(documentURL)
	operators.Registration = storage.RegisteredByOperator
	must(t, db.CreateClient(db.ctx, operators))
	_, err := db.SaveDocument(db.ctx, document())
	wantErr(t, err, storage.ErrExists)
	wantClient(t, db, operators)
}

func saveDocumentSame(t *testing.T, db *database) {
	saveDocument(t, db, document())
	for i := range 3 {
		given := fetched(document(), time.Duration(i+1)*time.Minute)
		given.CreatedAt = given.FetchedAt
		want := given
		want.Revision, want.CreatedAt = 1, now()
		wantEqual(t, saveDocument(t, db, given), want)
	}
	wantKinds(t, events(t, db.ctx, db, now()))
}

// documentChanges change one field each.
func documentChanges() []func(c *storage.Client) {
	return []func(c *storage.Client){
		func(c *storage.Client) { c.Name = "n" },
		func(c *storage.Client) { c.AuthMethod = "private_key_jwt" },
		func(c *storage.Client) { c.JWKS, c.JWKSURI = nil, "https://app.example/jwks" },
		func(c *storage.Client) { c.JWKS, c.JWKSURI = []byte(`{"keys": []}`), "" },
		func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} },
		func(c *storage.Client) { c.RedirectURIs = append(c.RedirectURIs, "app:/cb") },
		func(c *storage.Client) { c.Scopes = []string{"mcp:write", "mcp:read"} },
		func(c *storage.Client) { c.DefaultScopes = nil },
		func(c *storage.Client) { c.Resources, c.DefaultResource = c.Resources[:1], "" },
		func(c *storage.Client) { c.TokenFormat = "" },
		func(c *storage.Client) { c.AccessTokenLifetime = 0 },
		func(c *storage.Client) { c.ApplicationType = "web" },
		func(c *storage.Client) { c.ClientURI = "u" },
		func(c *storage.Client) { c.LogoURI = "" },
		func(c *storage.Client) { c.PolicyURI = "p" },
		func(c *storage.Client) { c.TOSURI = "t" },
		func(c *storage.Client) { c.Contacts = []string{"Bob"} },
		func(c *storage.Client) { c.SoftwareID = "i" },
		func(c *storage.Client) { c.SoftwareVersion = "v" },
	}
}

func saveDocumentChange(t *testing.T, db *database) {
	saved := saveDocument(t, db, document())
	for i, change := range documentChanges() {
		given := fetched(saved.Clone(), time.Duration(i+1)*time.Minute)
		change(&given)
		want := given.Clone()
		want.Revision, want.CreatedAt = saved.Revision+1, now()
		saved = saveDocument(t, db, given)
		wantEqual(t, saved, want)
		log := events(t, db.ctx, db, now())
		wantEqual(t, len(log), i+1)
		wantEqual(t, log[i], storage.Event{
			Seq: log[i].Seq, Kind: storage.EventClientChanged, Target: documentURL,
			CreatedAt: given.UpdatedAt, ExpiresAt: given.UpdatedAt.Add(storage.ChangeLifetime),
		})
	}
}

func saveDocumentStays(t *testing.T, db *database) {
	saved := saveDocument(t, db, document())
	saved.Disabled = true
	saved, err := db.UpdateClient(db.ctx, saved, now())
	must(t, err)
	given := fetched(document(), time.Minute)
	given.CreatedAt, given.Disabled = now().Add(time.Minute), false
	want := given
	want.CreatedAt, want.Disabled, want.Revision = now(), true, saved.Revision
	wantEqual(t, saveDocument(t, db, given), want)
	given.Name = "n"
	want.Name, want.Revision = "n", saved.Revision+1
	wantEqual(t, saveDocument(t, db, given), want)
	wantEqual(t, len(events(t, db.ctx, db, now())), 2)
}

func saveDocumentKeepsNothing(t *testing.T, db *database) {
	given := document()
	got, err := db.SaveDocument(db.ctx, given)
	must(t, err)
	scribble(given)
	wantEqual(t, got, document())
	scribble(got)
	wantClient(t, db, document())
}

func raceSaveDocumentSame(t *testing.T, db *database) {
	store := either(t, db)
	errs := race(racers, func(i int) error {
		got, err := store(i).SaveDocument(db.ctx, document())
		if err == nil && got.Revision != 1 {
			err = fmt.Errorf("revision is %d", got.Revision)
		}
		return err
	})
	for _, err := range errs {
		must(t, err)
	}
	wantClient(t, db, document())
	wantKinds(t, events(t, db.ctx, db, now()))
}

func raceSaveDocumentChange(t *testing.T, db *database) {
	store := either(t, db)
	errs := race(racers, func(i int) error {
		c := document()
		c.Name = fmt.Sprint(i)
		_, err := store(i).SaveDocument(db.ctx, c)
		return err
	})
	for _, err := range errs {
		must(t, err)
	}
	got, err := db.Client(db.ctx, documentURL)
	must(t, err)
	wantEqual(t, got.Revision, int64(racers))
	wantEqual(t, len(events(t, db.ctx, db, now())), racers-1)
}
