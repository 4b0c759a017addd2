package storagetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// settle stores who takes part in grants: the clients c1 and c2, and the users
// u1 and u2.
func settle(t *testing.T, db *database) {
	t.Helper()
	for _, id := range []string{"c1", "c2"} {
		c := client(id)
		c.Disabled = false
		must(t, db.CreateClient(db.ctx, c))
	}
	signUp(t, db, "u1", "u2")
}

// code returns a code with every field set, for client c1 and user u1, that
// becomes the grant of the same name.
func code(name string) storage.Code {
	return storage.Code{
		Hash: hash("code " + name), GrantID: name, ClientID: "c1", UserID: "u1",
		RedirectURI: "http://127.0.0.1:4711/callback?a=%20", CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Scopes: []string{"mcp:write", "mcp:read", "mcp:tools"}, Resource: "http://localhost:3001/mcp",
		Audience: "http://LOCALHOST:3001/mcp", TokenFormat: storage.FormatOpaque,
		AuthTime: now().Add(-time.Minute), Methods: []string{"pwd", "otp"}, Nonce: "n-0S6_WzA2Mj",
		ClientDigest: bytesOf(hash("digest of c1")), Device: "laptop.example", Refresh: true,
		CreatedAt: now(), ExpiresAt: now().Add(time.Minute),
	}
}

// redemption returns the presentation of code(name) by who may.
func redemption(name string) storage.Redemption {
	c := code(name)
	return storage.Redemption{
		CodeHash: c.Hash, ClientID: c.ClientID, RedirectURI: c.RedirectURI,
		CodeChallenge: c.CodeChallenge, Resource: c.Resource,
		Secret: hash("secret of " + name), GrantExpiresAt: now().Add(30 * 24 * time.Hour),
		AccessToken: token("first of "+name, now()),
		Revoked:     grantRevoked(""), Now: now().Add(time.Second),
	}
}

// token returns an access token to store that was issued at.
func token(name string, at time.Time) storage.TokenToStore {
	at = at.Truncate(time.Second)
	return storage.TokenToStore{Hash: hash("access token " + name), IssuedAt: at, ExpiresAt: at.Add(time.Hour)}
}

// grantRevoked is the event that goes with the end of grant id.
func grantRevoked(id string) storage.Event {
	e := clientRevoked(id)
	e.Kind = storage.EventGrantRevoked
	return e
}

// grantBy is the grant that r makes of c.
func grantBy(c storage.Code, r storage.Redemption) storage.Grant {
	g := storage.Grant{
		ID: c.GrantID, ClientID: c.ClientID, UserID: c.UserID,
		Scopes: slices.Clone(c.Scopes), Resource: c.Resource, Audience: c.Audience, TokenFormat: c.TokenFormat,
		AuthTime: c.AuthTime, Methods: slices.Clone(c.Methods), Nonce: c.Nonce,
		ClientDigest: slices.Clone(c.ClientDigest), Device: c.Device, Refresh: c.Refresh,
		RotatedAt: r.Now, Secret: r.Secret, CreatedAt: r.Now, LastUsedAt: r.Now, ExpiresAt: r.GrantExpiresAt,
	}
	if c.Refresh {
		g.Generation = 1
	}
	return g
}

// issue stores codes, each at the end of an interaction of its name.
func issue(t *testing.T, db *database, codes ...storage.Code) {
	t.Helper()
	for _, c := range codes {
		i := interaction("for " + c.GrantID)
		begin(t, db, i)
		must(t, db.IssueCode(db.ctx, c, i.Hash))
	}
}

// granted has a grant of that name made from code(name), as changes leave it.
func granted(t *testing.T, db *database, name string, changes ...func(*storage.Code)) storage.Grant {
	t.Helper()
	c := code(name)
	for _, change := range changes {
		change(&c)
	}
	issue(t, db, c)
	r := redemption(name)
	r.ClientID, r.RedirectURI, r.Resource = c.ClientID, c.RedirectURI, c.Resource
	g, _, err := db.RedeemCode(db.ctx, r)
	must(t, err)
	return g
}

func wantGrant(t *testing.T, db *database, want storage.Grant) {
	t.Helper()
	got, err := db.Grant(db.ctx, want.ID)
	must(t, err)
	wantEqual(t, got, want)
}

func wantNoGrant(t *testing.T, db *database, id string) {
	t.Helper()
	_, err := db.Grant(db.ctx, id)
	wantErr(t, err, storage.ErrNotFound)
}

// wantGrantToken fails unless tok is stored as an access token of g with scopes.
func wantGrantToken(t *testing.T, db *database, g storage.Grant, tok storage.TokenToStore, scopes ...string) {
	t.Helper()
	wantToken(t, db, db, storage.AccessToken{
		Hash: tok.Hash, ExpiresAt: tok.ExpiresAt, IssuedAt: tok.IssuedAt,
		ClientID: g.ClientID, Subject: g.UserID, GrantID: g.ID, Scopes: scopes, Audience: []string{g.Audience},
	})
}

func wantNoGrantToken(t *testing.T, db *database, tok storage.TokenToStore) {
	t.Helper()
	_, err := db.AccessToken(db.ctx, tok.Hash, tok.ExpiresAt)
	wantErr(t, err, storage.ErrNotFound)
}

// wantRevocations fails unless the log is one event like [grantRevoked] for
// each of the ids, in their order.
func wantRevocations(t *testing.T, db *database, ids ...string) {
	t.Helper()
	log := events(t, db.ctx, db, now())
	var want []storage.Event
	for i, id := range ids {
		e := grantRevoked(id)
		if i < len(log) {
			e.Seq = log[i].Seq
		}
		want = append(want, e)
	}
	wantEqual(t, log, want)
}

// presented returns the presentation of the refresh token of g's generation n,
// d after g was made. The inner tag, which a server keys, is any function of
// grant and generation here.
func presented(g storage.Grant, n int64, d time.Duration) storage.Rotation {
	at := g.CreatedAt.Add(d)
	inner := hash(fmt.Sprint("inner ", g.ID, "/", n))
	tag := sha256.Sum256(append(g.Secret[:], inner[:]...))
	return storage.Rotation{
		GrantID: g.ID, Generation: n, Inner: inner, TagHash: sha256.Sum256(tag[:]), ClientID: g.ClientID,
		Allowed: []string{"https://other.example/", g.Resource}, Window: time.Minute,
		GrantExpiresAt: at.Add(30 * 24 * time.Hour), AccessToken: token(fmt.Sprint(g.ID, "/", n, "/", d), at),
		Revoked: grantRevoked(g.ID), Now: at,
	}
}

// rotatedBy is g after r took it to the next generation.
func rotatedBy(g storage.Grant, r storage.Rotation) storage.Grant {
	g = g.Clone()
	g.Generation, g.RotatedAt, g.LastUsedAt, g.ExpiresAt = r.Generation+1, r.Now, r.Now, r.GrantExpiresAt
	return g
}

// retriedBy is g after r presented the token before the current one in time.
func retriedBy(g storage.Grant, r storage.Rotation) storage.Grant {
	g = g.Clone()
	g.LastUsedAt, g.ExpiresAt = r.Now, r.GrantExpiresAt
	return g
}

// revokedFor is g after it was revoked.
func revokedFor(g storage.Grant, reason string, at time.Time) storage.Grant {
	g = g.Clone()
	g.RevokedAt, g.RevokeReason = at, reason
	return g
}
