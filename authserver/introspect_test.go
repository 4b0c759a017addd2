package authserver_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func TestIntrospect_RFC7662_2_2_Active(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs := w.client("rs", introspecting)
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		id := "app-" + string(format)
		secret := w.client(id, func(c *storage.Client) { c.TokenFormat = format })
		a := w.post("/oauth/introspect", "rs", rs, "token", w.token(id, secret), "token_type_hint", "refresh_token")
		for name, want := range map[string]any{
			"active": true, "scope": "mcp:read mcp:tools", "client_id": id, "token_type": "Bearer", "sub": id, "aud": notesURL, "iss": issuer,
		} {
			if a.json[name] != want {
				t.Errorf("%s: %s = %v, want %v", format, name, a.json[name], want)
			}
		}
		if a.json["exp"].(float64)-a.json["iat"].(float64) != 3600 || a.str("jti") == "" || a.json["nbf"] == nil {
			t.Errorf("%s: %s", format, a.Body)
		}
	}
}

// Anything but an access token of ours in force, for a resource of the caller,
// is inactive and nothing more is said of it.
func TestIntrospect_RFC7662_2_2_Inactive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs := w.client("rs", introspecting)
	rootRS := w.client("root-rs", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	app := w.client("app")
	jwt, gha := w.token("app", app), w.token("root-rs", rootRS)
	secevent := securityEvent(t, w, "rs", rs, jwt)
	parts := strings.Split(w.token("app", app), ".")
	other := newWorld(t)
	foreign := other.token("app", other.client("app"))
	for _, test := range []struct{ name, id, secret, token string }{
		{"garbage", "rs", rs, "garbage"},
		{"revoked", "rs", rs, jwt},
		{"token of another resource", "rs", rs, gha},
		{"caller without the right", "app", app, w.token("app", app)},
		{"foreign resource server", "root-rs", rootRS, w.token("app", app)},
		{"security event token", "rs", rs, secevent},
		{"signed by another server", "rs", rs, foreign},
		{"signature removed", "rs", rs, parts[0] + "." + parts[1] + "."},
		{"alg none", "rs", rs, "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + "."},
		{"opaque that was never issued", "rs", rs, "gha_" + strings.Repeat("A", 54)},
		{"very long", "rs", rs, strings.Repeat("a", 20_000)},
	} {
		a := w.post("/oauth/introspect", test.id, test.secret, "token", test.token)
		if a.Code != http.StatusOK || !slices.Equal(slices.Collect(maps.Keys(a.json)), []string{"active"}) || a.json["active"] != false {
			t.Errorf("%s: %d %s", test.name, a.Code, a.Body)
		}
	}
}

// An access token never opens the introspection endpoint, nor does a public
// client: only an authenticated client that may.
func TestIntrospect_RFC7662_2_1_CallerIsAuthenticated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.client("app")
	w.client("public", func(c *storage.Client) { c.AuthMethod, c.SecretHash = "none", nil })
	token := w.token("app", app)
	bearer := form("/oauth/introspect", values("token", token))
	bearer.Header.Set("Authorization", "Bearer "+token)
	for name, r := range map[string]*http.Request{
		"bearer token":   bearer,
		"nobody":         form("/oauth/introspect", values("token", token)),
		"public client":  form("/oauth/introspect", values("token", token, "client_id", "public")),
		"unknown client": form("/oauth/introspect", values("token", token, "client_id", "x", "client_secret", "y")),
	} {
		if a := w.do(r); a.Code != http.StatusUnauthorized || a.str("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	if a := w.post("/oauth/introspect", "app", app); a.str("error") != "invalid_request" {
		t.Errorf("no token: %d %s", a.Code, a.Body)
	}
}

func TestRevoke_RFC7009_2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs := w.client("rs", introspecting)
	other := w.client("other")
	w.client("public", func(c *storage.Client) { c.AuthMethod, c.SecretHash = "none", nil })
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		id := "app-" + string(format)
		secret := w.client(id, func(c *storage.Client) { c.TokenFormat = format })
		token, sibling := w.token(id, secret), w.token(id, secret)
		if a := w.post("/oauth/revoke", "other", other, "token", token); a.str("error") != "invalid_request" || !w.active("rs", rs, token) {
			t.Errorf("%s: another client's token: %d %s", format, a.Code, a.Body)
		}
		foreign := form("/oauth/revoke", values("token", token, "client_id", "public"))
		if a := w.do(foreign); a.Code != http.StatusBadRequest || !w.active("rs", rs, token) {
			t.Errorf("%s: by a public client: %d %s", format, a.Code, a.Body)
		}
		for range 2 { // §2.2: revoking twice is the same as once
			if a := w.post("/oauth/revoke", id, secret, "token", token, "token_type_hint", "nonsense"); a.Code != http.StatusOK || a.Body.Len() != 0 {
				t.Errorf("%s: %d %s", format, a.Code, a.Body)
			}
		}
		if w.active("rs", rs, token) || !w.active("rs", rs, sibling) {
			t.Errorf("%s: revoked active=%v, sibling active=%v", format, w.active("rs", rs, token), w.active("rs", rs, sibling))
		}
	}
	if a := w.post("/oauth/revoke", "other", other, "token", "unknown"); a.Code != http.StatusOK {
		t.Errorf("unknown token: %d %s", a.Code, a.Body)
	}
	if a := w.post("/oauth/revoke", "other", other); a.str("error") != "invalid_request" {
		t.Errorf("no token: %d %s", a.Code, a.Body)
	}
	if a := w.post("/oauth/revoke", "other", "wrong", "token", "x"); a.str("error") != "invalid_client" {
		t.Errorf("wrong secret: %d %s", a.Code, a.Body)
	}
}
