package authserver_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// registering turns dynamic registration on.
func registering(c *authserver.Config) { c.Registration.Dynamic.Enabled = true }

const operatorToken = "operator's initial access token"

func withOperatorToken(c *authserver.Config) {
	hash := sha256.Sum256([]byte(operatorToken))
	c.Registration.Dynamic.InitialAccessTokens = [][]byte{hash[:]}
}

// bring sends a body to a registration address with a bearer token, if any.
func (w *world) bring(method, path, token, body string) answer {
	w.t.Helper()
	r := httptest.NewRequest(method, issuer+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return w.do(r)
}

func (w *world) register(body string) answer {
	w.t.Helper()
	return w.bring(http.MethodPost, "/oauth/register", "", body)
}

func (a answer) list(name string) []string {
	var texts []string
	items, _ := a.json[name].([]any)
	for _, item := range items {
		texts = append(texts, fmt.Sprint(item))
	}
	return texts
}

// AS-24, Q13, Q17: what the SDKs send, which is little, makes a public client
// that works at once.
func TestRegister_Q17_LiberalDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	b := w.as("ann")
	for name, body := range map[string]string{
		"only redirects":    `{"redirect_uris":["http://localhost:3118/callback"]}`,
		"inspector":         `{"redirect_uris":["http://localhost:3118/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"client_name":"MCP Inspector","client_uri":"https://github.com/modelcontextprotocol/inspector","scope":"mcp:read"}`,
		"no refresh_token":  `{"redirect_uris":["http://localhost:3118/callback"],"grant_types":["authorization_code"]}`,
		"web on localhost":  `{"redirect_uris":["http://localhost:3118/callback"],"application_type":"web"}`,
		"native":            `{"redirect_uris":["http://localhost:3118/callback"],"application_type":"native"}`,
		"resource":          `{"redirect_uris":["http://localhost:3118/callback"],"resource":"https://mcp.example/notes"}`,
		"unknown grants":    `{"redirect_uris":["http://localhost:3118/callback"],"grant_types":["authorization_code","implicit","client_credentials","urn:ietf:params:oauth:grant-type:device_code"]}`,
		"unknown scopes":    `{"redirect_uris":["http://localhost:3118/callback"],"scope":"openid mcp:tools made:up"}`,
		"nulls":             `{"redirect_uris":["http://localhost:3118/callback"],"client_name":null,"scope":null,"jwks":null,"contacts":null}`,
		"several redirects": `{"redirect_uris":["https://vscode.dev/redirect","http://127.0.0.1:33418/","http://localhost:3118/callback"]}`,
	} {
		a := w.register(body)
		grants := a.list("grant_types")
		if a.Code != http.StatusCreated || a.str("client_id") == "" || a.str("client_secret") != "" || a.str("registration_access_token") != "" ||
			a.str("token_endpoint_auth_method") != "none" || !slices.Contains(grants, "refresh_token") || slices.Contains(grants, "implicit") ||
			slices.Contains(grants, "client_credentials") || strings.Contains(a.str("scope"), "made:up") || a.json["client_id_issued_at"] == nil {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
			continue
		}
		if a.Header().Get("Cache-Control") != "no-store" || a.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %v", name, a.Header())
		}
		tokens := b.connect(ask(a.str("client_id"), "redirect_uri", "http://localhost:3118/callback"), "")
		if tokens.str("refresh_token") == "" || strings.Contains(tokens.str("scope"), "email") {
			t.Errorf("%s: %s", name, tokens.Body)
		}
	}
}

// Whatever cannot be a client is refused with the code of RFC 7591 §3.2.2.
func TestRegister_RFC7591_3_2_2_Errors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	for body, code := range map[string]string{
		``:                     "invalid_client_metadata",
		`{}`:                   "invalid_redirect_uri",
		`[]`:                   "invalid_client_metadata",
		`{"redirect_uris":[]}`: "invalid_redirect_uri",
		`{"redirect_uris":["http://evil.example/cb"]}`:                                                             "invalid_redirect_uri",
		`{"redirect_uris":["javascript:alert(1)"]}`:                                                                "invalid_redirect_uri",
		`{"redirect_uris":["data:text/html,x"]}`:                                                                   "invalid_redirect_uri",
		`{"redirect_uris":["myapp:/cb"]}`:                                                                          "invalid_redirect_uri",
		`{"redirect_uris":["https://a.example/cb#x"]}`:                                                             "invalid_redirect_uri",
		`{"redirect_uris":["https://u@a.example/cb"]}`:                                                             "invalid_redirect_uri",
		`{"redirect_uris":["https://a.example/cb",7]}`:                                                             "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"redirect_uris":["https://b.example/cb"]}`:                      "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"client_secret_jwt"}`:              "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt"}`:                "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"jwks":{"keys":[{"kty":"oct","k":"AAAA"}]}}`:                    "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"jwks_uri":"http://169.254.169.254/"}`:                          "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"grant_types":["password"]}`:                                    "invalid_client_metadata",
		`{"grant_types":["client_credentials"],"token_endpoint_auth_method":"client_secret_basic"}`:                "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"response_types":["token"]}`:                                    "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`: "invalid_client_metadata",
		"{\"redirect_uris\":[\"https://a.example/cb\"],\"client_name\":\"\xff\"}":                                  "invalid_client_metadata",
		`{"redirect_uris":["https://a.example/cb"],"client_name":"` + strings.Repeat("x", 20_000) + `"}`:           "invalid_request",
	} {
		if a := w.register(body); a.str("error") != code || (a.Code != http.StatusBadRequest && a.Code != http.StatusRequestEntityTooLarge) {
			t.Errorf("%.120s: %d %s, want %s", body, a.Code, a.Body, code)
		}
	}
	r := httptest.NewRequest(http.MethodPost, issuer+"/oauth/register", strings.NewReader(`{"redirect_uris":["https://a.example/cb"]}`))
	r.Header.Set("Content-Type", "text/plain")
	if a := w.do(r); a.Code != http.StatusBadRequest {
		t.Errorf("a form of another page could register: %d %s", a.Code, a.Body)
	}
	if clients, err := w.store.ListClients(t.Context(), "", 10); err != nil || len(clients) != 0 {
		t.Errorf("%v, %v", clients, err)
	}
}

// Q12: a thousand registrations of one app, each from a port of its own and at
// many at a time, are one row, one client and no quota.
func TestQuirk_Q12_PortsAndReconnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering, silent)
	var mu sync.Mutex
	ids := map[string]int{}
	var apps sync.WaitGroup
	for worker := range 10 {
		apps.Go(func() {
			for i := range 100 {
				port := 20_000 + worker*100 + i
				a := w.register(fmt.Sprintf(`{"client_name":"Code","redirect_uris":["http://localhost:%d/callback","http://127.0.0.1:%d/callback"]}`, port, port))
				if a.Code != http.StatusCreated || !slices.Contains(a.list("redirect_uris"), fmt.Sprintf("http://localhost:%d/callback", port)) {
					t.Errorf("%d %s", a.Code, a.Body)
				}
				mu.Lock()
				ids[a.str("client_id")]++
				mu.Unlock()
			}
		})
	}
	apps.Wait()
	clients, err := w.store.ListClients(t.Context(), "", 100)
	if err != nil || len(clients) != 1 || len(ids) != 1 || clients[0].ExpiresAt.IsZero() {
		t.Fatalf("%d clients, %d ids: %+v, %v", len(clients), len(ids), clients, err)
	}
	if a := w.register(`{"client_name":"Other","redirect_uris":["http://localhost/callback"]}`); ids[a.str("client_id")] != 0 {
		t.Error("another app is the same client")
	}
	b := w.as("ann")
	b.connect(ask(clients[0].ID, "redirect_uri", "http://localhost:20042/callback"), "")
	if used, err := w.store.Client(t.Context(), clients[0].ID); err != nil || !used.ExpiresAt.IsZero() {
		t.Errorf("a client that is used still expires: %+v, %v", used, err)
	}
}

// Q3: Claude Code registers without port, or with one, and comes with another.
func TestQuirk_Q03_RegisteredPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	b := w.as("ann")
	for _, registered := range []string{"http://localhost/callback", "http://localhost:1234/callback", "http://[::1]:1234/callback"} {
		id := w.register(`{"redirect_uris":["` + registered + `"]}`).str("client_id")
		came := strings.Replace(strings.Replace(registered, ":1234", "", 1), "/callback", ":56789/callback", 1)
		if a := b.connect(ask(id, "redirect_uri", came), ""); a.Code != http.StatusOK {
			t.Errorf("%s: %d", registered, a.Code)
		}
	}
}

// AS-24: an address has its quota in an hour; what is refused costs nothing, and
// a network of IPv6 is one address.
func TestRegister_AS24_Quota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, registering, withOperatorToken, func(c *authserver.Config) { c.Registration.Dynamic.PerAddress = 2 })
		try := func(from, name, token string) answer {
			r := httptest.NewRequest(http.MethodPost, issuer+"/oauth/register", strings.NewReader(`{"client_name":"`+name+`","redirect_uris":["https://a.example/cb"]}`))
			r.Header.Set("Content-Type", "application/json")
			if r.RemoteAddr = from; token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			return w.do(r)
		}
		for i, step := range []struct {
			from, name, token string
			status            int
		}{
			{"[2001:db8::1]:1", "a", "", 201}, {"[2001:db8::2]:2", "b", "", 201}, {"[2001:db8::3]:3", "c", "", 429},
			{"[2001:db8::3]:3", "a", "", 201}, {"[2001:db8::3]:3", "d", operatorToken, 201}, {"[2001:db8:0:1::3]:3", "c", "", 201}, {"192.0.2.1:1", "e", "", 201},
		} {
			a := try(step.from, step.name, step.token)
			if a.Code != step.status || (step.status == 429) != (a.Header().Get("Retry-After") != "") {
				t.Errorf("%d: %d %v %s", i, a.Code, a.Header(), a.Body)
			}
		}
		time.Sleep(31 * time.Minute)
		if a := try("[2001:db8::3]:3", "f", ""); a.Code != http.StatusCreated {
			t.Errorf("half an hour later: %d", a.Code)
		}
	})
}

// RFC 7591 §3: the operator's token opens what is not for everybody, a wrong one
// nothing.
func TestRegister_RFC7591_3_InitialAccessToken(t *testing.T) {
	t.Parallel()
	const machine = `{"client_name":"Robot","grant_types":["client_credentials"],"scope":"mcp:read mcp:admin"}`
	w := newWorld(t, registering, withOperatorToken, func(c *authserver.Config) { c.Registration.Dynamic.Required = true })
	for _, token := range []string{"", "wrong"} {
		a := w.bring(http.MethodPost, "/oauth/register", token, machine)
		if a.Code != http.StatusUnauthorized || a.str("error") != "invalid_token" || !strings.HasPrefix(a.Header().Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("token %q: %d %v %s", token, a.Code, a.Header(), a.Body)
		}
	}
	a := w.bring(http.MethodPost, "/oauth/register", operatorToken, machine)
	if a.Code != http.StatusCreated || !strings.HasPrefix(a.str("client_secret"), "ghs_") || a.json["client_secret_expires_at"] != 0.0 || a.str("scope") != "mcp:read" {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	token := w.token(a.str("client_id"), a.str("client_secret"))
	if token == "" {
		t.Error("no token")
	}
	if admin := w.post("/oauth/token", a.str("client_id"), a.str("client_secret"), "grant_type", "client_credentials", "scope", "mcp:admin"); admin.Code == http.StatusOK {
		t.Error("a client has made itself an administrator")
	}
	off := newWorld(t, withOperatorToken)
	if a := off.bring(http.MethodPost, "/oauth/register", operatorToken, machine); a.Code != http.StatusForbidden || a.str("error") != "access_denied" {
		t.Errorf("registration is off: %d %s", a.Code, a.Body)
	}
}

// A client with keys registers them and authenticates by them.
func TestRegister_RFC7591_2_Keys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	key := rsaKey(t)
	body, err := json.Marshal(map[string]any{"redirect_uris": []string{appURL}, "jwks": json.RawMessage(keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k1"}))})
	if err != nil {
		t.Fatal(err)
	}
	a := w.register(string(body))
	id := a.str("client_id")
	if a.Code != http.StatusCreated || a.str("token_endpoint_auth_method") != "private_key_jwt" || a.json["jwks"] == nil || a.str("registration_access_token") == "" {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	request := ask(id)
	code := w.as("ann").code(request, "")
	if a := w.exchange(request, code); a.Code != http.StatusUnauthorized {
		t.Errorf("without assertion: %d", a.Code)
	}
	if a := w.exchange(request, code, asserting(t, id, "k1", key, issuer)...); a.Code != http.StatusOK {
		t.Errorf("with assertion: %d %s", a.Code, a.Body)
	}
	if c, err := w.store.Client(t.Context(), id); err != nil || c.Registration != storage.RegisteredDynamically {
		t.Errorf("%+v, %v", c, err)
	}
}
