package authserver_test

import (
	"net/http"
	"net/http/httptest"
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
	w := newWorld(t, func(c *authserver.Config) { c.Issuer = "https://as.example/tenant" })
	for _, path := range []string{
		"/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant",
		"/tenant/.well-known/oauth-authorization-server", "/tenant/.well-known/openid-configuration",
	} {
		if a := w.do(httptest.NewRequest(http.MethodGet, "https://as.example"+path, nil)); a.Code != http.StatusOK || a.str("issuer") != "https://as.example/tenant" {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
}

// Browser clients call from any origin: the preflight is never authenticated,
// and an error can be read too. Endpoints for servers are not for scripts.
func TestQuirk_Q11_CORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, open := range map[string]bool{
		"/oauth/token": true, "/oauth/revoke": true, "/.well-known/jwks.json": true,
		"/.well-known/oauth-authorization-server": true, "/.well-known/openid-configuration": true,
		"/oauth/introspect": false, "/oauth/events": false, "/": false,
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
