package resourceserver

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

func TestRS01_RS02_RS03_ProtectedResourceMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.ResourceName = "Notes" })
	challenged := w.post(t, "", ping).challenge(t)["resource_metadata"]
	root := strings.TrimSuffix(challenged, "/mcp")
	if root != strings.TrimSuffix(w.resource, "/mcp")+"/.well-known/oauth-protected-resource" {
		t.Errorf("resource_metadata %q", challenged)
	}
	want := oauthex.ProtectedResourceMetadata{
		Resource: w.resource, AuthorizationServers: []string{w.URL}, ScopesSupported: []string{"mcp:read"},
		BearerMethodsSupported: []string{"header"}, ResourceName: "Notes",
	}
	for _, location := range []string{challenged, root} {
		prm, err := oauthex.GetProtectedResourceMetadata(t.Context(), location, w.resource, w.client)
		if err != nil || !reflect.DeepEqual(*prm, want) {
			t.Errorf("%s: %+v %v", location, prm, err)
		}
	}
}

func TestRS24_MetadataIsForEveryOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, c := range []struct {
		verb, path string
		status     int
	}{
		{"GET", "/mcp", 200}, {"HEAD", "", 200}, {"OPTIONS", "/mcp", 204}, {"OPTIONS", "", 204}, {"POST", "/mcp", 405}, {"GET", "/other", 404}, {"GET", "/mcp/", 404},
	} {
		a := w.do(t, c.verb, "", "", func(r *http.Request) {
			r.URL.Path = "/.well-known/oauth-protected-resource" + c.path
			r.Header.Set("Origin", "https://anyone.example")
		})
		if a.StatusCode != c.status || a.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s %s: %d %v", c.verb, c.path, a.StatusCode, a.Header)
		}
		if a.Header.Get("X-Frame-Options") != "DENY" || a.Header.Get("Strict-Transport-Security") != "" || a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: %v", c.verb, c.path, a.Header)
		}
		if c.status == 200 && c.verb == "GET" && !json.Valid([]byte(a.body)) {
			t.Errorf("body %s", a.body)
		}
	}
}

func TestMetadataPath(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{
		"https://h": "", "https://h/": "", "https://h/mcp": "/mcp", "https://h/a/b": "/a/b", "https://h/a%20b": "/a%20b",
	} {
		s, err := New(t.Context(), Config{Resource: resource, Issuer: "http://localhost:1"})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.MetadataPath(); got != "/.well-known/oauth-protected-resource"+want {
			t.Errorf("%s: %s", resource, got)
		}
	}
}

func TestConfig_Refuses(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Config){
		"no resource":          func(c *Config) { c.Resource = "" },
		"plain http":           func(c *Config) { c.Resource = "http://h/mcp" },
		"resource fragment":    func(c *Config) { c.Resource = "https://h/mcp#" },
		"resource query":       func(c *Config) { c.Resource = "https://h/mcp?" },
		"no issuer":            func(c *Config) { c.Issuer = "" },
		"issuer plain http":    func(c *Config) { c.Issuer = "http://as.example" },
		"issuer userinfo":      func(c *Config) { c.Issuer = "https://u@as.example" },
		"symmetric algorithm":  func(c *Config) { c.Algorithms = []string{"ES256", "HS256"} },
		"no algorithm at all":  func(c *Config) { c.Algorithms = []string{"none"} },
		"jwks_uri plain http":  func(c *Config) { c.JWKSURI = "http://as.example/jwks" },
		"half of credentials":  func(c *Config) { c.Introspection = &ClientCredentials{ClientID: "a"} },
		"endpoint plain http":  func(c *Config) { c.Introspection = &ClientCredentials{"a", "b", "http://h", ""} },
		"origin with path":     func(c *Config) { c.AllowedOrigins = []string{"https://h/"} },
		"origin star":          func(c *Config) { c.AllowedOrigins = []string{"*"} },
		"scope with a space":   func(c *Config) { c.RequiredScopes = []string{"a b"} },
		"unknown feed loss":    func(c *Config) { c.OnFeedLoss = "accept" },
		"negative body length": func(c *Config) { c.MaxBodyBytes = -1 },
	} {
		cfg := Config{Resource: "https://h/mcp", Issuer: "https://as.example"}
		edit(&cfg)
		if _, err := New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
