package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Clients add the slash of an empty path to the resource, or drop it; the
// audience has the form they used. Any other path is strict.
func TestQuirk_Q04_RootSlashIsEchoed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	for _, asked := range []string{rootURL, rootURL + "/"} {
		token := w.token("app", secret, "resource", asked)
		if aud := w.post("/oauth/introspect", "app", secret, "token", token).str("aud"); aud != asked {
			t.Errorf("asked for %q, got %q", asked, aud)
		}
	}
}

// Every place where some client looks for the metadata answers 200, for an
// issuer with a path and without.
func TestQuirk_Q06_WellKnownProbing(t *testing.T) {
	t.Parallel()
	for iss, paths := range map[string][]string{
		issuer: {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		"https://as.example/tenant": {
			"/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant",
			"/tenant/.well-known/oauth-authorization-server", "/tenant/.well-known/openid-configuration",
			"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
		},
	} {
		w := newWorld(t, func(c *authserver.Config) { c.Issuer = iss })
		for _, path := range paths {
			a := w.do(httptest.NewRequest(http.MethodGet, "https://as.example"+path, nil))
			if a.Code != http.StatusOK || a.str("issuer") != iss || a.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s of %s: %d %s", path, iss, a.Code, a.Body)
			}
		}
	}
}

// Clients identify themselves by a metadata document only if the server says
// that it takes one and that it takes public clients.
func TestQuirk_Q08_ClientDocumentsAreAdvertised(t *testing.T) {
	t.Parallel()
	for _, enabled := range []bool{true, false} {
		w := newWorld(t, func(c *authserver.Config) {
			c.Registration.Documents.Enabled, c.Registration.Dynamic.Enabled = enabled, enabled
		})
		metadata := w.metadata()
		methods, _ := metadata.json["token_endpoint_auth_methods_supported"].([]any)
		if metadata.json["client_id_metadata_document_supported"] != enabled || !slices.Contains(methods, any("none")) {
			t.Errorf("documents %v: %s", enabled, metadata.Body)
		}
		if (metadata.str("registration_endpoint") == issuer+"/oauth/register") != enabled {
			t.Errorf("registration %v: %s", enabled, metadata.Body)
		}
	}
}

// Clients ask for offline_access only if it is listed, and for the scopes in
// the order of the list: the catalog's come first, in the operator's order.
func TestQuirk_Q09_OfflineAccessIsListed(t *testing.T) {
	t.Parallel()
	listed, _ := newWorld(t).metadata().json["scopes_supported"].([]any)
	want := []any{"mcp:read", "mcp:write", "mcp:tools", "mcp:admin", "files:read", "openid", "profile", "email", "offline_access"}
	if !slices.Equal(listed, want) {
		t.Errorf("scopes_supported: %v", listed)
	}
}

// Browser clients call from any origin: the preflight is never authenticated,
// and an error can be read too. Endpoints for servers are not for scripts.
func TestQuirk_Q11_CORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Registration.Dynamic.Enabled = true })
	for path, open := range map[string]bool{
		"/oauth/token": true, "/oauth/revoke": true, "/.well-known/jwks.json": true,
		"/.well-known/oauth-authorization-server": true, "/.well-known/openid-configuration": true,
		"/oauth/par": true, "/oauth/device_authorization": true, "/oauth/userinfo": true, "/oauth/register": true,
		"/oauth/introspect": false, "/oauth/events": false, "/": false,
		"/oauth/authorize": false, "/oauth/device": false, "/login": false, "/consent": false, "/account": false,
	} {
		r := httptest.NewRequest(http.MethodOptions, issuer+path, nil)
		r.Header.Set("Origin", "http://127.0.0.1:6274")
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		r.Header.Set("Access-Control-Request-Headers", "authorization,mcp-protocol-version")
		a := w.do(r)
		if open != (a.Code == http.StatusNoContent) || open != (a.Header().Get("Access-Control-Allow-Origin") == "*") {
			t.Errorf("preflight of %s: %d %v", path, a.Code, a.Header())
		}
		if open && !strings.Contains(a.Header().Get("Access-Control-Allow-Headers"), "MCP-Protocol-Version") {
			t.Errorf("preflight of %s: %v", path, a.Header())
		}
		if a.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight of %s allows credentials", path)
		}
	}
	r := httptest.NewRequest(http.MethodOptions, issuer+"/oauth/userinfo", nil)
	if methods := w.do(r).Header().Get("Access-Control-Allow-Methods"); methods != "GET, HEAD, POST" {
		t.Errorf("methods of userinfo: %q", methods)
	}
	refused := w.post("/oauth/token", "nobody", "x", "grant_type", "client_credentials")
	if refused.Code != http.StatusUnauthorized || refused.Header().Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(refused.Header().Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("a script cannot read a refusal: %v", refused.Header())
	}
}

// What the server says of itself comes from the issuer and never from the
// request, whatever a proxy put there.
func TestQuirk_Q18_InternalOriginDoesNotLeak(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/", "/.well-known/oauth-authorization-server", "/oauth/token"} {
		r := httptest.NewRequest(http.MethodGet, "http://10.1.2.3:9000"+path, nil)
		r.Host = "internal.name:9000"
		r.Header.Set("X-Forwarded-Host", "forwarded.name")
		a := w.do(r)
		for _, leak := range []string{"10.1.2.3", "internal.name", "forwarded.name"} {
			if strings.Contains(a.Body.String(), leak) || strings.Contains(a.Header().Get("WWW-Authenticate"), leak) {
				t.Errorf("%s: %s leaks into %d %s", path, leak, a.Code, a.Body)
			}
		}
	}
}
