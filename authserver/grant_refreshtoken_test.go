package authserver_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func reuseWindow(d time.Duration) func(*authserver.Config) {
	return func(c *authserver.Config) { c.Tokens.RefreshReuseWindow = d }
}

// AS-10: every use rotates; with no window a second use ends the grant.
func TestRefresh_OAuth21_4_3_1_StrictRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	rs := w.client("rs", introspecting)
	first := w.as("ann").connect(ask("app"), "")
	second := w.refresh("app", first.str("refresh_token"))
	third := w.refresh("app", second.str("refresh_token"))
	if third.Code != http.StatusOK || third.str("scope") != first.str("scope") || third.Header().Get("Cache-Control") != "no-store" ||
		first.str("refresh_token") == second.str("refresh_token") || first.str("access_token") == second.str("access_token") {
		t.Fatalf("%d %s", third.Code, third.Body)
	}
	if a := w.refresh("app", second.str("refresh_token")); a.str("error") != "invalid_grant" {
		t.Errorf("reuse: %d %s", a.Code, a.Body)
	}
	for _, a := range []answer{first, second, third} {
		if w.active("rs", rs, a.str("access_token")) {
			t.Error("an access token outlives the reuse")
		}
		if again := w.refresh("app", a.str("refresh_token")); again.str("error") != "invalid_grant" {
			t.Errorf("%d %s", again.Code, again.Body)
		}
	}
	if !strings.Contains(w.logs.String(), "refresh token reused, grant revoked") {
		t.Error("nobody is told")
	}
}

// An ancient token is reuse, too, whatever the window.
func TestRefresh_OAuth21_4_3_1_AncientToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, reuseWindow(time.Minute))
		w.app("app", opaque)
		rs := w.client("rs", introspecting)
		first := w.as("ann").connect(ask("app"), "")
		second := w.refresh("app", first.str("refresh_token"))
		<-time.After(time.Minute)
		if a := w.refresh("app", first.str("refresh_token")); a.Code != http.StatusOK || a.str("refresh_token") != second.str("refresh_token") {
			t.Fatalf("within the window: %d %s", a.Code, a.Body)
		}
		<-time.After(time.Microsecond)
		if a := w.refresh("app", first.str("refresh_token")); a.str("error") != "invalid_grant" {
			t.Errorf("after the window: %d %s", a.Code, a.Body)
		}
		if w.active("rs", rs, second.str("access_token")) || w.refresh("app", second.str("refresh_token")).Code == http.StatusOK {
			t.Error("the family lives on")
		}
	})
}

// Narrowing is for one token; asking for too much changes nothing.
func TestRefresh_RFC6749_6_Narrowing(t *testing.T) {
	t.Parallel()
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		w := newWorld(t)
		w.app("app", func(c *storage.Client) { c.TokenFormat = format })
		w.app("other")
		rs := w.client("rs", introspecting)
		token := w.as("ann").connect(ask("app", "scope", "mcp:read mcp:tools"), "").str("refresh_token")
		for _, test := range []struct {
			name  string
			pairs []string
			code  string
		}{
			{"more scope", []string{"scope", "mcp:read mcp:write"}, "invalid_scope"},
			{"malformed scope", []string{"scope", `"`}, "invalid_scope"},
			{"another resource", []string{"resource", rootURL}, "invalid_target"},
			{"malformed resource", []string{"resource", "notes"}, "invalid_target"},
			{"two resources", []string{"resource", notesURL, "resource", rootURL}, "invalid_target"},
			{"a secret", []string{"client_secret", "x"}, "invalid_client"},
			{"repeated", []string{"scope", "a", "scope", "b"}, "invalid_request"},
		} {
			if a := w.refresh("app", token, test.pairs...); a.str("error") != test.code {
				t.Errorf("%s: %d %s", test.name, a.Code, a.Body)
			}
		}
		if a := w.refresh("other", token); a.str("error") != "invalid_grant" {
			t.Errorf("another client: %d %s", a.Code, a.Body)
		}
		narrow := w.refresh("app", token, "scope", "mcp:read", "resource", notesURL)
		info := w.post("/oauth/introspect", "rs", rs, "token", narrow.str("access_token"))
		if narrow.str("scope") != "mcp:read" || info.str("scope") != "mcp:read" || info.str("sub") != "ann" {
			t.Fatalf("%s: %d %s %s", format, narrow.Code, narrow.Body, info.Body)
		}
		if wide := w.refresh("app", narrow.str("refresh_token")); wide.str("scope") != "mcp:read mcp:tools" {
			t.Errorf("the next one: %d %s", wide.Code, wide.Body)
		}
	}
}

// CLIENTS §3: a refresh looks at everything again that sign-in and consent
// looked at.
func TestRefresh_CLIENTS3_ChecksAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, code string
		change     func(*world)
	}{
		{"disabled person", "invalid_grant", func(w *world) { w.disable("ann") }},
		{"disabled client", "invalid_client", func(w *world) { w.changeClient("app", func(c *storage.Client) { c.Disabled = true }) }},
		{"resource not allowed any more", "invalid_grant", func(w *world) { w.changeClient("app", func(c *storage.Client) { c.Resources = []string{rootURL} }) }},
		{"no refresh any more", "unauthorized_client", func(w *world) {
			w.changeClient("app", func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} })
		}},
		{"no people any more", "unauthorized_client", func(w *world) {
			w.changeClient("app", func(c *storage.Client) { c.GrantTypes = []string{"refresh_token", "client_credentials"} })
		}},
		{"disconnected", "invalid_grant", func(w *world) {
			grants, err := w.store.ListGrants(w.t.Context(), "ann", time.Now())
			if err != nil || len(grants) != 1 {
				w.t.Fatal(grants, err)
			}
			event := storage.Event{Kind: storage.EventGrantRevoked, Target: grants[0].ID, IssuedBefore: time.Now(), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
			if err := w.store.RevokeGrant(w.t.Context(), grants[0].ID, "ann", "user", event, time.Now()); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"not used for too long", "invalid_grant", func(*world) { <-time.After(2 * time.Minute) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *authserver.Config) {
					c.Tokens.AccessTokenLifetime, c.Tokens.RefreshTokenLifetime = time.Minute, 2*time.Minute
				})
				w.app("app")
				token := w.as("ann").connect(ask("app"), "").str("refresh_token")
				<-time.After(110 * time.Second)
				next := w.refresh("app", token) // slides
				<-time.After(15 * time.Second)
				test.change(w)
				<-time.After(time.Second)
				if a := w.refresh("app", next.str("refresh_token")); a.str("error") != test.code {
					t.Errorf("%d %s", a.Code, a.Body)
				}
			})
		})
	}
}

// Nothing but what the server made is a refresh token: not one with a changed
// bit, of another generation, of another key, or of another form.
func TestRefresh_D5_Forgery(t *testing.T) {
	t.Parallel()
	store := migratedStore(t)
	w := newWorld(t, func(c *authserver.Config) { c.Store = store })
	w.app("app")
	token := w.as("ann").connect(ask("app"), "").str("refresh_token")
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "ghr_"))
	if err != nil || len(raw) != 60 {
		t.Fatalf("%q: %v", token, err)
	}
	refused := func(what, forged string) {
		t.Helper()
		if a := w.refresh("app", forged); a.str("error") != "invalid_grant" {
			t.Errorf("%s: %d %s", what, a.Code, a.Body)
		}
	}
	seal := func(raw []byte) string {
		raw = binary.BigEndian.AppendUint32(bytes.Clone(raw[:56]), crc32.ChecksumIEEE(raw[:56]))
		return "ghr_" + base64.RawURLEncoding.EncodeToString(raw)
	}
	for i := range 56 {
		forged := bytes.Clone(raw)
		forged[i] ^= 1
		refused("changed", seal(forged))
		refused("changed, checksum wrong", "ghr_"+base64.RawURLEncoding.EncodeToString(append(forged[:56:56], raw[56:]...)))
	}
	for _, forged := range []string{token[4:], token + "A", token[:83], "gha_" + token[4:], token + "\n", strings.ToLower(token), "ghr_"} {
		refused("another form", forged)
	}
	// The database without the seal key cannot make one, a new key beside the
	// old one still knows it, and it makes the next one with the new key.
	stranger := newWorld(t, func(c *authserver.Config) {
		c.Store, c.SealKeys = store, [][]byte{bytes.Repeat([]byte{8}, 32), bytes.Repeat([]byte{7}, 32)}
	})
	next := stranger.refresh("app", token)
	if next.Code != http.StatusOK {
		t.Fatalf("after the seal key was replaced: %d %s", next.Code, next.Body)
	}
	refused("of a key that this server has not", next.str("refresh_token"))
}

// The 500th refresh is as cheap as the first: one row, whatever happens.
func TestRefresh_D5_NothingGrows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, reuseWindow(time.Minute))
	w.app("app")
	token := w.as("ann").connect(ask("app"), "").str("refresh_token")
	for range 500 {
		a := w.refresh("app", token)
		if a.Code != http.StatusOK || len(a.str("refresh_token")) != len(token) {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
		token = a.str("refresh_token")
	}
	grants, err := w.store.ListGrants(t.Context(), "ann", time.Now())
	if err != nil || len(grants) != 1 || grants[0].Generation != 501 {
		t.Errorf("%d grants, %v", len(grants), err)
	}
}

// A client id that is deleted and given away again inherits no grants.
func TestRefresh_IsNotInheritedWithTheClientID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		token := w.as("ann").connect(ask("app"), "").str("refresh_token")
		now := time.Now()
		err := w.store.DeleteClient(t.Context(), "app", storage.Event{
			Kind: storage.EventClientRevoked, Target: "app", IssuedBefore: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		w.app("app")
		if a := w.refresh("app", token); a.str("error") != "invalid_grant" {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	})
}
