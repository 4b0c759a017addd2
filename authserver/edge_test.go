package authserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func TestMetadata_RFC8414_3_AllWellKnownForms(t *testing.T) {
	t.Parallel()
	withPath := newWorld(t, func(c *authserver.Config) { c.Issuer = "https://as.example/tenant/a" })
	plain := newWorld(t)
	for _, test := range []struct {
		w     *world
		iss   string
		paths []string
	}{
		{plain, issuer, []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}},
		{withPath, "https://as.example/tenant/a", []string{
			"/.well-known/oauth-authorization-server/tenant/a", "/.well-known/openid-configuration/tenant/a",
			"/tenant/a/.well-known/oauth-authorization-server", "/tenant/a/.well-known/openid-configuration",
		}},
	} {
		for _, path := range test.paths {
			r := httptest.NewRequest(http.MethodGet, "https://internal:1234"+path, nil)
			r.Host = "internal:1234" // a proxy's name must not leak into the document
			a := test.w.do(r)
			if a.Code != http.StatusOK || a.str("issuer") != test.iss || strings.Contains(a.Body.String(), "internal") {
				t.Fatalf("%s: %d %s", path, a.Code, a.Body)
			}
			for _, endpoint := range []string{"token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri"} {
				if !strings.HasPrefix(a.str(endpoint), test.iss+"/") {
					t.Errorf("%s: %s = %q", path, endpoint, a.str(endpoint))
				}
			}
			jwks := test.w.do(httptest.NewRequest(http.MethodGet, a.str("jwks_uri"), nil))
			if jwks.Code != http.StatusOK || !strings.Contains(jwks.Body.String(), `"kid"`) || strings.Contains(jwks.Body.String(), `"d"`) {
				t.Errorf("jwks: %d %s", jwks.Code, jwks.Body)
			}
		}
	}
	cached := plain.do(httptest.NewRequest(http.MethodGet, issuer+"/.well-known/jwks.json", nil))
	if !strings.Contains(cached.Header().Get("Cache-Control"), "max-age") {
		t.Errorf("JWKS Cache-Control: %q", cached.Header().Get("Cache-Control"))
	}
}

func TestEdge_MethodsPathsAndHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/oauth/token", 405, "POST, OPTIONS"}, {http.MethodPut, "/oauth/introspect", 405, "POST"},
		{http.MethodPost, "/.well-known/jwks.json", 405, "GET, HEAD, OPTIONS"}, {http.MethodHead, "/.well-known/jwks.json", 200, ""},
		{http.MethodGet, "/nothing", 404, ""}, {http.MethodGet, "//oauth/token", 404, ""}, {http.MethodPost, "/oauth/%74oken", 404, ""},
		{http.MethodGet, "/health", 200, ""}, {http.MethodGet, "/ready", 200, ""},
	} {
		a := w.do(httptest.NewRequest(test.method, issuer+test.path, nil))
		if a.Code != test.status || a.Header().Get("Allow") != test.allow {
			t.Errorf("%s %s: %d, Allow %q", test.method, test.path, a.Code, a.Header().Get("Allow"))
		}
		for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy", "X-Request-Id"} {
			if a.Header().Get(name) == "" {
				t.Errorf("%s %s: no %s", test.method, test.path, name)
			}
		}
	}
}

// brokenStore is a store that can be switched off, as a database that went away.
type brokenStore struct {
	storage.Store
	down atomic.Bool
}

func (b *brokenStore) check() error {
	if b.down.Load() {
		return storage.ErrUnavailable
	}
	return nil
}

func (b *brokenStore) Client(ctx context.Context, id string) (storage.Client, error) {
	if err := b.check(); err != nil {
		return storage.Client{}, err
	}
	return b.Store.Client(ctx, id)
}

func (b *brokenStore) AppendEvent(ctx context.Context, e storage.Event) (int64, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	return b.Store.AppendEvent(ctx, e)
}

func (b *brokenStore) CreateAccessToken(ctx context.Context, t storage.AccessToken) error {
	if err := b.check(); err != nil {
		return err
	}
	return b.Store.CreateAccessToken(ctx, t)
}

func (b *brokenStore) AccessToken(ctx context.Context, hash [32]byte, expiresAt time.Time) (storage.AccessToken, error) {
	if err := b.check(); err != nil {
		return storage.AccessToken{}, err
	}
	return b.Store.AccessToken(ctx, hash, expiresAt)
}

func (b *brokenStore) Ready(ctx context.Context) error {
	if err := b.check(); err != nil {
		return err
	}
	return b.Store.Ready(ctx)
}

// A store that is down is 503 with Retry-After, also for a revocation (RFC
// 7009 §2.2.1), and readiness says so; when it is back, so is the server.
func TestEdge_StoreDownIs503(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: migratedStore(t)}
	w := newWorld(t, func(c *authserver.Config) { c.Store = store })
	secret := w.client("app", opaque, introspecting)
	w.client("cold")
	token, unseen := w.token("app", secret), w.token("app", secret)
	store.down.Store(true)
	for name, a := range map[string]answer{
		"opaque token":       w.post("/oauth/token", "app", secret, "grant_type", "client_credentials"),
		"unknown client":     w.post("/oauth/token", "cold", "x", "grant_type", "client_credentials"),
		"cold introspection": w.post("/oauth/introspect", "app", secret, "token", unseen),
		"revocation":         w.post("/oauth/revoke", "app", secret, "token", token),
		"readiness":          w.do(httptest.NewRequest(http.MethodGet, issuer+"/ready", nil)),
	} {
		if a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") == "" || a.str("error") != "temporarily_unavailable" {
			t.Errorf("%s: %d %s %v", name, a.Code, a.Body, a.Header())
		}
	}
	if a := w.do(httptest.NewRequest(http.MethodGet, issuer+"/health", nil)); a.Code != http.StatusOK {
		t.Errorf("health: %d", a.Code)
	}
	store.down.Store(false)
	w.revoke("app", secret, token)
	if w.active("app", secret, token) || !w.active("app", secret, unseen) {
		t.Error("the server did not recover")
	}
}

// What was revoked stays revoked over a restart, before the first request is
// answered.
func TestRevocation_SurvivesRestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	use := func(store storage.Store) func(*authserver.Config) {
		return func(c *authserver.Config) { c.Store = store }
	}
	before := newWorld(t, use(migrated(t, path)))
	secret := before.client("app", introspecting)
	token, kept := before.token("app", secret), before.token("app", secret)
	before.revoke("app", secret, token)
	after := newWorld(t, use(newStore(t, path)))
	if after.active("app", secret, token) || !after.active("app", secret, kept) {
		t.Error("revocations or keys were lost")
	}
}

// A changed client is known changed everywhere soon: its secret is another one.
func TestClients_D9_PushInvalidation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app")
	w.token("app", secret)
	c, err := w.store.Client(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	c.Disabled = true
	if _, err := w.store.UpdateClient(t.Context(), c, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "disabled client is refused", func() bool {
		return w.post("/oauth/token", "app", secret, "grant_type", "client_credentials").Code == http.StatusUnauthorized
	})
}

// The log has one event per request, with its outcome, and never a credential.
func TestLogs_OneEventPerRequestWithoutCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app", opaque, introspecting)
	token := w.token("app", secret)
	w.active("app", secret, token)
	w.revoke("app", secret, token)
	wrong := "ghs_this-is-a-wrong-secret"
	a := w.post("/oauth/token", "app", wrong, "grant_type", "client_credentials")
	logs := w.logs.String()
	for _, credential := range []string{secret, token, wrong} {
		if strings.Contains(logs, credential) {
			t.Errorf("the log contains %q", credential)
		}
	}
	requests := 0
	for line := range strings.Lines(logs) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("not JSON: %s", line)
		}
		if entry["msg"] != "request" {
			continue
		}
		requests++
		if entry["request_id"] == a.Header().Get("X-Request-Id") && (entry["error"] != "invalid_client" || entry["client_id"] != "app") {
			t.Errorf("entry of the refused request: %s", line)
		}
	}
	if requests != 4 {
		t.Errorf("%d request events, want 4", requests)
	}
}

func (b *brokenStore) Events(ctx context.Context, after int64, limit int, now time.Time) ([]storage.Event, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	return b.Store.Events(ctx, after, limit, now)
}

// A server that cannot read what was revoked does not vouch for anything: not
// even for a token that it could verify by itself.
func TestEdge_D7_StaleEventLogIs503(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &brokenStore{Store: migratedStore(t)}
		w := newWorld(t, func(c *authserver.Config) { c.Store = store })
		secret := w.client("app", introspecting)
		token := w.token("app", secret)
		store.down.Store(true)
		if !w.active("app", secret, token) {
			t.Error("a moment without the store is no outage")
		}
		<-time.After(6 * time.Second)
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
			if a := w.post(path, "app", secret, "grant_type", "client_credentials", "token", token); a.Code != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", path, a.Code, a.Body)
			}
		}
		store.down.Store(false)
		<-time.After(time.Second)
		if !w.active("app", secret, token) {
			t.Error("the server did not recover")
		}
	})
}

// A token is active until its expiry and not at it (RFC 7519 §4.1.4).
func TestIntrospect_RFC7519_4_1_4_Expiry(t *testing.T) {
	t.Parallel()
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *authserver.Config) { c.Tokens.AccessTokenLifetime = 10 * time.Second })
				secret := w.client("app", introspecting, func(c *storage.Client) { c.TokenFormat = format })
				token := w.token("app", secret)
				<-time.After(9 * time.Second)
				if !w.active("app", secret, token) {
					t.Error("inactive before its expiry")
				}
				<-time.After(time.Second)
				if w.active("app", secret, token) {
					t.Error("active at its expiry")
				}
			})
		})
	}
}
