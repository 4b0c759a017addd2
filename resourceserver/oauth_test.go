package resourceserver

import (
	"context"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

func TestSeed_S09_WithoutIssuerOAuthIsOff(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(w *world, cfg *Config) {
		static(w, cfg)
		cfg.Issuer, cfg.Metrics = "", registry
	}) // ready at once
	if err := w.server.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	w.expect(t, robot, callTool, http.StatusOK, "")
	for token, want := range map[string]string{
		"":        `Bearer scope="mcp:read", realm="mcp"`,
		w.Token(): `Bearer error="invalid_token", error_description="The access token is not valid here.", scope="mcp:read", realm="mcp"`,
	} {
		a := w.post(t, token, ping)
		if got := a.Header.Get("WWW-Authenticate"); a.StatusCode != http.StatusUnauthorized || got != want {
			t.Errorf("%d %s", a.StatusCode, got)
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		if a := w.do(t, http.MethodGet, "", "", func(r *http.Request) { r.URL.Path = path }); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	for _, path := range []string{rstest.MetadataPath, rstest.JWKSPath, rstest.EventsPath, rstest.IntrospectPath} {
		if n := w.Requests(path); n != 0 {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
	if lag := metric(t, registry, "mcp_revocation_feed_lag_seconds", ""); lag != -1 {
		t.Errorf("a lag of no feed: %v", lag)
	}
}

// TestSeed_S09_RFC6750_3_ChallengeHasAParameter: nothing is required, nothing
// is published, and still the scheme does not stand alone.
func TestSeed_S09_RFC6750_3_ChallengeHasAParameter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		static(w, cfg)
		cfg.Issuer, cfg.RequiredScopes = "", []string{}
	})
	a := w.expect(t, "", ping, http.StatusUnauthorized, "")
	if got := a.Header.Get("WWW-Authenticate"); got != `Bearer realm="mcp"` {
		t.Errorf("%s", got)
	}
}

func TestSeed_S09_New_SomebodyMustSayWhoPasses(t *testing.T) {
	t.Parallel()
	validate := func(context.Context, string) (*AccessToken, error) { return nil, nil }
	for name, c := range map[string]struct {
		cfg      Config
		accepted bool
	}{
		"nobody":                          {Config{}, false},
		"static tokens":                   {Config{StaticTokens: []StaticToken{{Name: "a", Token: robot}}}, true},
		"hook":                            {Config{Validate: validate}, true},
		"hook and keys of no issuer":      {Config{Validate: validate, JWKSURI: "https://as/jwks"}, false},
		"hook and introspection nowhere":  {Config{Validate: validate, Introspection: &ClientCredentials{ClientID: "a", ClientSecret: "b", Endpoint: "https://as/i"}}, false},
		"issuer":                          {Config{Issuer: "http://localhost:1"}, true},
		"issuer, hook and static tokens":  {Config{Issuer: "http://localhost:1", Validate: validate, StaticTokens: []StaticToken{{Name: "a", Token: robot}}}, true},
		"issuer that is no URL, and hook": {Config{Issuer: "as", Validate: validate}, false},
	} {
		c.cfg.Resource = "https://h/mcp"
		if _, err := New(t.Context(), c.cfg); (err == nil) != c.accepted {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeed_S09_KeysAreDiscoveredOrNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		jwksURI  string // below the issuer
		metadata int
	}{"discovered": {"", 1}, "named": {rstest.JWKSPath, 0}} {
		w := newWorld(t, func(w *world, cfg *Config) {
			if c.jwksURI != "" {
				cfg.JWKSURI = w.URL + c.jwksURI
			}
		}).ready(t)
		w.expect(t, w.Token(), ping, http.StatusOK, "")
		for broken, claims := range map[string]rstest.Claims{
			"issuer": {"iss": "https://other.example"}, "audience": {"aud": "https://other.example/mcp"},
		} {
			if a := w.post(t, w.Token(claims), ping); a.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s, another %s: %d", name, broken, a.StatusCode)
			}
		}
		if n := w.Requests(rstest.MetadataPath); n != c.metadata || w.Requests(rstest.JWKSPath) == 0 {
			t.Errorf("%s: metadata was asked for %d times", name, n)
		}
	}
}
