package resourceserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// router is a next with many paths, one of them the resource.
func router(seen *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*seen = append(*seen, r.URL.EscapedPath())
		_, _ = io.Copy(w, r.Body) // as much as may be read
	})
}

func TestSeed_S08_ExemptPathsAreComparedAsSent(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.AuthExemptPaths = []string{"/health", "/status", "/a/metrics"} })
	var seen []string
	door := g.Protect(router(&seen))
	for target, exempt := range map[string]bool{
		"/health": true, "/status": true, "/a/metrics": true, "/health?x=/mcp": true, "/health?": true,
		"//health": false, "/./health": false, "/%68ealth": false, "/HEALTH": false, "/Health": false, "/health/": false, "/mcp/../health": false, "/health/../mcp": false,
		"/health/..": false, "/health%2f": false, "/health%00": false, "/health%20": false, "/health;x": false, "/health/x": false, "/healthz": false, "/x/health": false,
		"/mcp": false, "/": false, "/mcp?/health": false, "/mcp#/health": false, "/a%2fmetrics": false, "/a//metrics": false, "/metrics": false, "/%2e/health": false, "/health\\": false,
	} {
		for _, verb := range []string{"GET", "POST", "HEAD", "DELETE"} {
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			a := ask(door, verb, publicMCP, "127.0.0.1:1", func(r *http.Request) {
				r.Header.Del("Authorization")
				r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
			})
			if passed := a.Code == http.StatusOK; passed != exempt || !passed && a.Code != http.StatusUnauthorized {
				t.Errorf("%s %s: %d", verb, target, a.Code)
			}
		}
	}
	for _, path := range seen {
		if !slices.Contains([]string{"/health", "/status", "/a/metrics"}, path) {
			t.Errorf("%s passed", path)
		}
	}
}

// TestSeed_S08_OverTheWire: net/http may not make one spelling of another
// before the comparison.
func TestSeed_S08_OverTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.AuthExemptPaths = []string{"/health"} })
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for target, want := range map[string]int{
		"/health": 200, "//health": 401, "/./health": 401, "/%68ealth": 401, "/mcp/../health": 401, "/health/": 401, "/HEALTH": 401, "/health%0a": 401, "/mcp": 401,
	} {
		a := w.do(t, http.MethodGet, "", "", func(r *http.Request) { r.URL.Opaque = target })
		if a.StatusCode != want && a.StatusCode/100 != 3 { // ServeMux redirects what is not clean, before anything of ours
			t.Errorf("%s: %d", target, a.StatusCode)
		}
	}
	if w.calls.Load() != 1 {
		t.Errorf("%d requests passed", w.calls.Load())
	}
}

func TestSeed_S08_ExemptPathsKeepTheRulesOfTheNetwork(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) {
		c.AuthExemptPaths, c.RequireHTTPS, c.LoopbackHTTP, c.AllowRemote = []string{"/health"}, true, true, true
		c.AllowedIPs, c.MaxBodyBytes = prefixes("127.0.0.0/8", "192.0.2.0/24"), 10
	})
	var seen []string
	for name, door := range map[string]http.Handler{"exempt": g.Protect(router(&seen)), "edge": g.Edge(router(&seen))} {
		for _, c := range []struct {
			remote, host, origin, want string
		}{
			{"127.0.0.1:1", "mcp.example", "", ""}, {"198.51.100.1:1", "mcp.example", "", CodeIPNotAllowed}, {"192.0.2.1:1", "mcp.example", "", CodeHTTPSRequired},
			{"127.0.0.1:1", "127.0.0.1:8080", "", ""}, {"127.0.0.1:1", "[::1]", "", ""}, {"127.0.0.1:1", "10.1.2.3", "", ""}, // a probe by address
			{"127.0.0.1:1", "localhost", "", CodeOriginNotAllowed}, {"127.0.0.1:1", "evil.example", "", CodeOriginNotAllowed}, {"127.0.0.1:1", "10.1.2.3.evil.example", "", CodeOriginNotAllowed}, {"127.0.0.1:1", "", "", CodeOriginNotAllowed},
			{"127.0.0.1:1", "mcp.example", "https://evil.example", CodeOriginNotAllowed}, {"127.0.0.1:1", "10.1.2.3", "http://10.1.2.3", CodeOriginNotAllowed}, {"127.0.0.1:1", "mcp.example", "https://mcp.example", ""},
		} {
			a := ask(door, http.MethodGet, "https://mcp.example/health", c.remote, func(r *http.Request) {
				r.Host = c.host
				if c.origin != "" {
					r.Header.Set("Origin", c.origin)
				}
			})
			if got := code(t, a); got != c.want {
				t.Errorf("%s %+v: %q", name, c, got)
			}
		}
		r := httptest.NewRequest(http.MethodPost, "https://mcp.example/health", strings.NewReader(strings.Repeat("x", 11)))
		r.RemoteAddr = "127.0.0.1:1"
		a := httptest.NewRecorder()
		if door.ServeHTTP(a, r); a.Body.Len() != 10 {
			t.Errorf("%s: %d bytes of a body that is too large", name, a.Body.Len())
		}
	}
	resource := ask(g.protect, http.MethodGet, publicMCP, "127.0.0.1:1", func(r *http.Request) { r.Host = "127.0.0.1" })
	if got := code(t, resource); got != CodeOriginNotAllowed {
		t.Errorf("the resource by address: %q", got)
	}
}

func TestSeed_S08_BadPathsAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "health", "//health", "/health/", "/./health", "/a/../health", "/%68ealth", "/he alth", "/health?x", "/mcp", "/MCP", "*", "/ü"} {
		refusedConfig(t, func(c *Config) { c.AuthExemptPaths = []string{"/ok", path} })
	}
	for _, resource := range []string{"https://mcp.example", "https://mcp.example/"} {
		refusedConfig(t, func(c *Config) { c.Resource, c.AuthExemptPaths = resource, []string{"/"} })
	}
	newGate(t, func(c *Config) { c.AuthExemptPaths = []string{"/"} }) // a page beside the resource
}

func TestSeed_S08_ProbesAreNoRequestsToTheResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.AuthExemptPaths = []string{"/health"} })
	a := w.do(t, http.MethodGet, "", "", func(r *http.Request) { r.URL.Path = "/health" })
	eventually(t, func() bool { return len(w.events(t, "request")) == 1 })
	if e := w.events(t, "request")[0]; e["outcome"] == "preflight" || e["request_id"] != a.Header.Get("X-Request-Id") {
		t.Errorf("%v", e)
	}
}
