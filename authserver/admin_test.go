package authserver_test

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// administrating registers a client as an operator would for the admin API.
func administrating(c *storage.Client) {
	c.Scopes, c.Resources = []string{authserver.AdminScope}, []string{authserver.AdminResource(issuer)}
}

// admin sends a request to the admin API; token may be empty.
func (w *world) admin(verb, path, token, body string) answer {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), verb, issuer+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return w.do(r)
}

const pathRevocations = "/admin/api/v1/revocations"

// adminToken is good for the admin API.
func (w *world) adminToken() string { return w.token("admin", w.client("admin", administrating)) }

func TestAdmin_RFC6750_3_OnlyAdministrators(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mixed := w.client("mixed", func(c *storage.Client) {
		administrating(c)
		c.Scopes = append(c.Scopes, "mcp:read")
		c.Resources = append(c.Resources, notesURL, rootURL)
	})
	good := w.adminToken()
	expiresAt := time.Now().Add(time.Hour).Truncate(time.Second)
	weak := authserver.NewOpaque(expiresAt) // as no client would get it
	if err := w.store.CreateAccessToken(t.Context(), storage.AccessToken{
		Hash: sha256.Sum256([]byte(weak)), ExpiresAt: expiresAt, ClientID: "admin", Subject: "admin",
		Scopes: []string{"mcp:admin"}, Audience: []string{authserver.AdminResource(issuer)}, IssuedAt: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token  string
		status int
		code   string // of the challenge
	}{
		"no token":                     {"", http.StatusUnauthorized, ""},
		"nonsense":                     {"nonsense", http.StatusUnauthorized, "invalid_token"},
		"an MCP token":                 {w.token("mcp", w.client("mcp")), http.StatusUnauthorized, "invalid_token"},
		"one of a mixed client":        {w.token("mixed", mixed, "resource", notesURL), http.StatusUnauthorized, "invalid_token"},
		"an opaque one":                {w.token("mixed", mixed, "resource", rootURL), http.StatusUnauthorized, "invalid_token"},
		"one without the scope":        {weak, http.StatusForbidden, `insufficient_scope", scope="gatehouse:admin`},
		"an administrator":             {good, http.StatusBadRequest, ""},
		"the mixed client's admin one": {w.token("mixed", mixed, "resource", authserver.AdminResource(issuer)), http.StatusBadRequest, ""},
	} {
		a := w.admin(http.MethodPost, pathRevocations, test.token, `{}`)
		challenge := a.Header().Get("WWW-Authenticate")
		if a.Code != test.status || (a.Code != http.StatusBadRequest) != strings.HasPrefix(challenge, "Bearer realm=") ||
			test.code != "" && !strings.Contains(challenge, `error="`+test.code+`"`) {
			t.Errorf("%s: %d %q %s", name, a.Code, challenge, a.Body)
		}
	}
	if a := w.admin(http.MethodGet, pathRevocations, good, ""); a.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.Code)
	}
	if logged := w.logs.String(); strings.Count(logged, `"admin API refused"`) != 6 || strings.Contains(logged, good) {
		t.Errorf("security log: %s", logged)
	}
}

// A client that may administer does so at the admin API only: at other
// resources the scope means nothing, and whoever registers by themselves or is
// asked for consent never meets it.
func TestAdmin_TheScopeMeansNothingElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("mixed", func(c *storage.Client) {
		c.Scopes = []string{authserver.AdminScope, "mcp:read"}
		c.Resources = []string{authserver.AdminResource(issuer), notesURL, rootURL}
	})
	for _, resource := range []string{notesURL, rootURL} {
		a := w.post("/oauth/token", "mixed", secret, "grant_type", "client_credentials", "resource", resource)
		if a.Code != http.StatusOK || a.str("scope") != "mcp:read" {
			t.Errorf("%s: %d %s", resource, a.Code, a.Body)
		}
		a = w.post("/oauth/token", "mixed", secret, "grant_type", "client_credentials", "resource", resource, "scope", authserver.AdminScope)
		if a.str("error") != "invalid_scope" {
			t.Errorf("%s: %d %s", resource, a.Code, a.Body)
		}
	}
	a := w.post("/oauth/token", "mixed", secret, "grant_type", "client_credentials", "resource", authserver.AdminResource(issuer), "scope", "mcp:read")
	if a.str("error") != "invalid_scope" {
		t.Errorf("another scope at the admin API: %d %s", a.Code, a.Body)
	}
	const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	secret = w.client("device", func(c *storage.Client) {
		administrating(c)
		c.GrantTypes = []string{deviceGrant}
	})
	for _, scope := range []string{authserver.AdminScope, "openid", ""} { // a person is not asked, whoever it is
		if a := w.post("/oauth/device_authorization", "device", secret, "scope", scope); a.str("error") != "invalid_target" {
			t.Errorf("scope %q of a person: %d %s", scope, a.Code, a.Body)
		}
	}
	if body := w.metadata().Body.String(); strings.Contains(body, authserver.AdminScope) || strings.Contains(body, "/admin/api") {
		t.Errorf("metadata tells of it: %s", body)
	}
}

func TestAdmin_NobodyElseMayTakeItsNames(t *testing.T) {
	t.Parallel()
	catalog, err := scopes.NewCatalog(scopes.Scope{Name: authserver.AdminScope, Description: "Take over"})
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]authserver.Config{
		"scope":    {Scopes: catalog, Resources: []authserver.Resource{{Identifier: notesURL}}},
		"resource": {Resources: []authserver.Resource{{Identifier: authserver.AdminResource(issuer)}}},
	} {
		cfg.Issuer, cfg.SealKeys, cfg.Store = issuer, [][]byte{make([]byte, 32)}, migratedStore(t)
		if _, err := authserver.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "server's own") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdmin_DeletedOrRevokedAdministratorIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, token string) error{
		"deleted": func(w *world, _ string) error {
			return w.store.DeleteClient(w.t.Context(), "admin", authserver.BroadRevocation(storage.EventClientRevoked, "admin", time.Now()))
		},
		"revoked": func(w *world, token string) error {
			event, err := authserver.TokenRevocation(token, time.Now())
			if err != nil {
				return err
			}
			_, err = authserver.Revoke(w.t.Context(), w.store, event)
			return err
		},
	} {
		w := newWorld(t)
		token := w.adminToken()
		if a := w.admin(http.MethodPost, pathRevocations, token, `{"user":"nobody"}`); a.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", name, a.Code, a.Body)
		}
		if err := end(w, token); err != nil { // as another replica would
			t.Fatal(err)
		}
		if a := w.admin(http.MethodPost, pathRevocations, token, `{"user":"nobody"}`); a.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
}

// What an operator has taken from a client is gone at once, not when its token
// expires.
func TestAdmin_NarrowedAdministratorIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for name, narrow := range map[string]func(*storage.Client){
		"scope":    func(c *storage.Client) { c.Scopes = []string{"mcp:read"} },
		"resource": func(c *storage.Client) { c.Resources = []string{notesURL} },
		"grant":    func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} },
	} {
		w := newWorld(t)
		token := w.adminToken()
		if a := w.admin(http.MethodPost, pathRevocations, token, `{"user":"nobody"}`); a.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", name, a.Code, a.Body)
		}
		c, err := w.store.Client(t.Context(), "admin")
		if err != nil {
			t.Fatal(err)
		}
		narrow(&c)
		if _, err := w.store.UpdateClient(t.Context(), c, time.Now()); err != nil { // as another replica would
			t.Fatal(err)
		}
		if a := w.admin(http.MethodPost, pathRevocations, token, `{"user":"nobody"}`); a.Code != http.StatusForbidden || a.str("error") != "insufficient_scope" {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
}

// The description has every address of the API and none besides.
func TestAdmin_OpenAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.admin(http.MethodGet, "/admin/api/openapi.json", "", "")
	var described struct {
		OpenAPI string
		Servers []struct{ URL string }
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(a.Body.Bytes(), &described); a.Code != http.StatusOK || err != nil || described.OpenAPI == "" {
		t.Fatalf("%d %v %s", a.Code, err, a.Body)
	}
	if len(described.Servers) != 1 || described.Servers[0].URL != "./v1" {
		t.Errorf("servers: %v", described.Servers)
	}
	var paths []string
	for path, verbs := range described.Paths {
		for verb := range verbs {
			paths = append(paths, strings.ToUpper(verb)+" /admin/api/v1"+path)
			if a := w.admin(strings.ToUpper(verb), "/admin/api/v1"+path, "", ""); a.Code != http.StatusUnauthorized {
				t.Errorf("%s %s is described and answers %d", verb, path, a.Code)
			}
		}
	}
	slices.Sort(paths)
	if served := w.server.AdminPaths(); !slices.Equal(paths, served) {
		t.Errorf("described %v, served %v", paths, served)
	}
}

// Everything that the description promises about an answer is in it.
func TestAdmin_OpenAPI_Revoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var described struct {
		Components struct {
			Schemas struct {
				Revoked struct {
					Properties map[string]any
					Required   []string
				}
			}
		}
	}
	if err := json.Unmarshal(w.admin(http.MethodGet, "/admin/api/openapi.json", "", "").Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	schema := described.Components.Schemas.Revoked
	a := w.admin(http.MethodPost, pathRevocations, w.adminToken(), `{"client":"gone"}`)
	if got, want := slices.Sorted(maps.Keys(a.json)), slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, want) {
		t.Errorf("answer %v, described %v", got, want)
	}
	for _, name := range schema.Required {
		if _, has := a.json[name]; !has {
			t.Errorf("%s is missing", name)
		}
	}
	if a.json["known"] != false || a.str("revoked") != "client" || a.str("target") != "gone" {
		t.Errorf("%s", a.Body)
	}
}
