package main

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// signedIn fills a new embedded store with two people, each with a browser, an
// app and another app that was disconnected just now, and returns its directory.
func signedIn(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, stderr, code := gatehouse(t, nil, "migrate", "up", "--data", dir); code != 0 {
		t.Fatal(stderr)
	}
	withPeople(t, dir, func(store storage.Store) {
		now := time.Now()
		for _, who := range []string{"ada", "bob"} {
			check(t, store.CreateUser(t.Context(), storage.User{ID: who, Username: who, CreatedAt: now, UpdatedAt: now}, storage.Identity{}))
			_, err := store.SignIn(t.Context(), storage.Session{
				Hash: sha256.Sum256([]byte(who)), UserID: who, AuthTime: now, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(time.Hour),
			}, [32]byte{}, [32]byte{})
			check(t, err)
			connect(t, store, who, who+" connected", now)
			connect(t, store, who, who+" disconnected", now)
			check(t, store.RevokeGrant(t.Context(), who+" disconnected", who, "user", authserver.BroadRevocation(storage.EventGrantRevoked, "x", now), now))
		}
	})
	return dir
}

// connect makes a grant.
func connect(t *testing.T, store storage.Store, who, id string, now time.Time) {
	t.Helper()
	hash, end := sha256.Sum256([]byte(id)), now.Add(time.Hour)
	check(t, store.CreateInteraction(t.Context(), storage.Interaction{Hash: hash, ClientID: "app", CreatedAt: now, ExpiresAt: end}))
	check(t, store.IssueCode(t.Context(), storage.Code{
		Hash: hash, GrantID: id, ClientID: "app", UserID: who, Scopes: []string{"mcp:read"}, TokenFormat: storage.FormatJWT,
		Refresh: true, AuthTime: now, CreatedAt: now, ExpiresAt: end,
	}, hash))
	_, _, err := store.RedeemCode(t.Context(), storage.Redemption{CodeHash: hash, ClientID: "app", Secret: hash, GrantExpiresAt: end, Now: now})
	check(t, err)
}

func withPeople(t *testing.T, dir string, do func(storage.Store)) {
	t.Helper()
	store, err := place{sqlite: dir + "/gatehouse.db"}.open(t.Context(), slog.New(slog.DiscardHandler))
	check(t, err)
	do(store)
	check(t, store.Close())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantOut fails unless who is signed out everywhere and has no grant that a
// refresh token or an undo would bring back; or, if in is set, is as before.
func wantOut(t *testing.T, dir, who string, in bool) {
	t.Helper()
	withPeople(t, dir, func(store storage.Store) {
		_, _, err := store.Session(t.Context(), sha256.Sum256([]byte(who)), time.Now())
		if (err == nil) != in || err != nil && !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: session: %v", who, err)
		}
		for id, before := range map[string]string{who + " connected": "", who + " disconnected": "user"} {
			want := "operator"
			if in {
				want = before
			}
			if g, err := store.Grant(t.Context(), id); err != nil || g.RevokeReason != want {
				t.Errorf("grant %q: %q %v, want %q", id, g.RevokeReason, err, want)
			}
		}
	})
}

// A stolen cookie would consent again, and a disconnection be undone: both end
// with the tokens.
func TestRevoke_EndsSessionsToo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args, said string
		bob        bool
	}{
		{"revoke --user ada", "and ended its browser sessions; ", true},
		{"revoke --all", "and ended every browser session; ", false},
		{"user disable ada", "disabled", true},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			dir := signedIn(t)
			stdout, stderr, code := gatehouse(t, nil, append(strings.Fields(test.args), "--data", dir)...)
			if code != 0 || !strings.Contains(stdout, test.said) {
				t.Fatalf("%d %s%s", code, stdout, stderr)
			}
			if _, stderr, code := gatehouse(t, nil, "user", "enable", "ada", "--data", dir); code != 0 { // revives nothing
				t.Fatal(stderr)
			}
			wantOut(t, dir, "ada", false)
			wantOut(t, dir, "bob", test.bob)
		})
	}
}

// A grant or a client is less than a person: nobody is signed out.
func TestRevoke_LessThanAPersonKeepsSessions(t *testing.T) {
	t.Parallel()
	dir := signedIn(t)
	for _, what := range []string{"--grant", "--client"} {
		if stdout, stderr, code := gatehouse(t, nil, "revoke", what, "other", "--data", dir); code != 0 || strings.Contains(stdout, "session") {
			t.Fatalf("%s: %d %s%s", what, code, stdout, stderr)
		}
	}
	wantOut(t, dir, "ada", true)
	wantOut(t, dir, "bob", true)
}

// Whoever is named as people name them is signed out, and the answer has the
// sub; a name that nobody has is told to scripts too.
func TestRevoke_UserByUsername(t *testing.T) {
	t.Parallel()
	dir := signedIn(t)
	withPeople(t, dir, func(store storage.Store) {
		now := time.Now()
		check(t, store.CreateUser(t.Context(), storage.User{ID: "u-1", Username: "carol", CreatedAt: now, UpdatedAt: now}, storage.Identity{}))
		check(t, store.CreateClient(t.Context(), storage.Client{ID: "carol", AuthMethod: "none", CreatedAt: now, UpdatedAt: now}))
	})
	for named, want := range map[string]string{
		"Carol": `"target":"u-1"`, "ada": `"target":"ada"`, "nobody": `"target":"nobody"`,
	} {
		stdout, stderr, code := gatehouse(t, nil, "revoke", "--json", "--user", named, "--data", dir)
		known := `"known":true`
		if named == "nobody" {
			known = `"known":false`
		}
		if code != 0 || !strings.Contains(stdout, want) || !strings.Contains(stdout, known) {
			t.Errorf("%s: %d %s%s", named, code, stdout, stderr)
		}
	}
}
