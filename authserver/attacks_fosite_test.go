package authserver_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Request objects (RFC 9101) are refused whatever they say and whoever signed
// them, at both endpoints and without openid, too: none is silently ignored.
func TestFosite_2_JAR_RequestObjectsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := ecKey(t)
	w.app("app", func(c *storage.Client) { c.JWKS = keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k"}) })
	b := w.as("ann")
	object := func(alg jose.SignatureAlgorithm, key any, aud, client string) string {
		return assert(t, alg, key, "k", map[string]any{
			"iss": client, "aud": aud, "client_id": client, "response_type": "code", "redirect_uri": "https://evil.example/", "scope": "mcp:write", "exp": time.Now().Add(time.Minute).Unix(),
		})
	}
	for name, request := range map[string]string{
		"alg none":       "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZS8ifQ.",
		"good":           object(jose.ES256, key, issuer, "app"),
		"wrong aud":      object(jose.ES256, key, "https://other.example", "app"),
		"another client": object(jose.ES256, key, issuer, "other"),
		"another key":    object(jose.ES256, ecKey(t), issuer, "app"),
		"HS256":          object(jose.HS256, []byte(strings.Repeat("k", 32)), issuer, "app"),
		"garbage":        "x",
	} {
		for _, scope := range []string{"mcp:read", "openid mcp:read"} {
			asked := ask("app", "scope", scope, "request", request)
			if got := b.authorize(asked, "").arrived(t, appURL); got.Get("error") != "request_not_supported" || got.Has("code") {
				t.Errorf("%s, %s: %v", name, scope, got)
			}
			if a := w.push(asked); a.Code != http.StatusBadRequest || a.str("error") != "request_not_supported" {
				t.Errorf("%s, %s, pushed: %d %s", name, scope, a.Code, a.Body)
			}
		}
	}
}

// A client that sent no state gets none with an error, not an empty one.
func TestFosite_2_Errors_NoStateIsInvented(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	denied := b.decide(b.authorize(ask("app", "state", ""), ""), "deny")
	for name, a := range map[string]answer{
		"denied":    denied,
		"implicit":  b.authorize(ask("app", "state", "", "response_type", "token"), ""),
		"no PKCE":   b.authorize(ask("app", "state", "", "code_challenge", ""), ""),
		"no prompt": b.authorize(ask("app", "state", "", "prompt", "none"), ""),
	} {
		if got := a.arrived(t, appURL); got.Has("state") || got.Get("error") == "" || got.Get("iss") != issuer {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What OAuth calls case sensitive is compared with its case.
func TestFosite_2_Strategies_CaseMatters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	for _, test := range [][3]string{
		{"scope", "MCP:READ", "invalid_scope"}, {"scope", "OpenID", "invalid_scope"}, {"response_type", "Code", "unsupported_response_type"},
		{"code_challenge_method", "s256", "invalid_request"}, {"prompt", "Login", "invalid_request"}, {"resource", "https://mcp.example/Notes", "invalid_target"},
	} {
		if got := b.authorize(ask("app", test[0], test[1]), "").arrived(t, appURL); got.Get("error") != test[2] || got.Has("code") {
			t.Errorf("%s=%s: %v", test[0], test[1], got)
		}
	}
	if a := b.authorize(ask("App"), ""); a.Code != http.StatusBadRequest || a.Header().Get("Location") != "" {
		t.Errorf("client_id: %d %v", a.Code, a.Header())
	}
	request := ask("app", "scope", "mcp:read mcp:write")
	tokens := b.connect(request, "")
	if a := w.refresh("app", tokens.str("refresh_token"), "scope", "MCP:READ"); a.str("error") != "invalid_scope" {
		t.Errorf("refresh: %d %s", a.Code, a.Body)
	}
	if a := w.exchange(request, "x", "grant_type", "Authorization_Code"); a.str("error") != "unsupported_grant_type" {
		t.Errorf("grant_type: %d %s", a.Code, a.Body)
	}
}

// No credential is stored by its value: who reads the database, and all that
// was ever written to it, can present none of them.
func TestFosite_2_OIDC_NoCredentialIsStored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	store := migrated(t, path)
	w := newWorld(t, registering, withOperatorToken, func(c *authserver.Config) { c.Store = store })
	w.owner("ann")
	w.app("app", opaque, func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, deviceGrant) })
	w.app("jwt")
	machine := w.client("machine", opaque)
	b := w.browser()
	if a := b.try("ann", goodPassword); a.Code != http.StatusSeeOther {
		t.Fatalf("sign-in: %d %s", a.Code, a.Body)
	}
	request := ask("app", "scope", "openid mcp:read", "nonce", "n-1")
	pushed := w.push(request)
	page := b.authorize(reference("app", pushed), "")
	code := b.decide(page, "allow").arrived(t, appURL).Get("code")
	first := w.exchange(request, code)
	next, asJWT, device := w.refresh("app", first.str("refresh_token")), b.connect(ask("jwt"), ""), w.device("app")
	registered := w.bring(http.MethodPost, "/oauth/register", operatorToken, `{"redirect_uris":["`+appURL+`"],"token_endpoint_auth_method":"client_secret_basic"}`)
	credentials := map[string]string{
		"code": code, "verifier": request.verifier, "opaque token": first.str("access_token"), "refresh token": first.str("refresh_token"), "ID token": first.str("id_token"),
		"second token": next.str("access_token"), "second refresh token": next.str("refresh_token"), "JWT": asJWT.str("access_token"), "device code": device.str("device_code"),
		"request_uri": pushed.str("request_uri"), "session": b.cookies[sessionCookie], "browser": b.cookies[browserCookie], "interaction": strings.Split(page.fields().Get("interaction"), ".")[0],
		"machine's secret": machine, "machine's token": w.token("machine", machine), "password": goodPassword,
		"registered secret": registered.str("client_secret"), "registration token": registered.str("registration_access_token"),
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil || !strings.Contains(string(log)+string(written), challenge(request.verifier)) {
		t.Fatalf("what is stored cannot be seen: %v", err)
	}
	for name, credential := range credentials {
		_, bare, prefixed := strings.Cut(credential, "_") // ghc_ and the like
		if len(credential) < 20 || strings.Contains(string(written)+string(log), credential) || (prefixed && len(bare) > 20 && strings.Contains(string(written)+string(log), bare)) {
			t.Errorf("%s %.8s… is stored, or is none", name, credential)
		}
	}
}

// The very first requests come at once. Whatever is made when it is first
// needed is made without a race; the detector sees the rest.
func TestFosite_2_Config_FirstRequestsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("machine", introspecting)
	w.app("app", func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, deviceGrant) })
	var callers sync.WaitGroup
	for range 4 {
		for name, call := range map[string]func() int{
			"credentials": func() int {
				return w.post("/oauth/token", "machine", secret, "grant_type", "client_credentials").Code - 200
			},
			"introspect": func() int { return w.post("/oauth/introspect", "machine", secret, "token", "x").Code - 200 },
			"authorize":  func() int { return w.browser().authorize(ask("app"), "").Code - 303 },
			"code":       func() int { return w.exchange(ask("app"), "ghc_x").Code - 400 },
			"refresh":    func() int { return w.refresh("app", "ghr_x").Code - 400 },
			"device":     func() int { return w.redeemDevice("app", "x").Code - 400 },
			"push":       func() int { return w.push(ask("app")).Code - 201 },
			"metadata":   func() int { return w.metadata().Code - 200 },
		} {
			callers.Go(func() {
				if off := call(); off != 0 {
					t.Errorf("%s: %d off", name, off)
				}
			})
		}
	}
	callers.Wait()
}

// A client that may ask for less than before still refreshes what it was given.
func TestFosite_3_4_11_NarrowedClientRefreshes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		token := w.as("ann").connect(ask("app", "scope", "mcp:read mcp:write"), "").str("refresh_token")
		w.changeClient("app", func(c *storage.Client) { c.Scopes = []string{"mcp:read"} })
		<-time.After(time.Second)
		a := w.refresh("app", token)
		if a.Code != http.StatusOK || a.str("refresh_token") == "" {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	})
}
