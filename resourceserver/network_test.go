package resourceserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestTR01_HostAndOriginOnEveryVerb(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.AllowedOrigins = []string{"https://App.example:443"} }).ready(t)
	host := w.server.resource.Host
	port := ":" + w.server.resource.Port()
	for _, c := range []struct {
		host, origin string
		allowed      bool
	}{
		{host, "", true}, {"localhost" + port, "", true}, {"[::1]" + port, "", true}, {"127.0.0.1:1", "", true},
		{host, "http://" + host, true}, {host, "http://localhost" + port, true}, {host, "HTTP://LOCALHOST" + port, true},
		{"127.0.0.1:1", "http://127.0.0.1:1", true}, // a proxy on this machine that keeps both
		{host, "https://app.example", true}, {host, "https://app.example:443", true},
		{"evil.example", "", false}, {"evil.example" + port, "http://evil.example" + port, false}, {"localhost.evil.example" + port, "", false},
		{host, "http://evil.example", false}, {host, "null", false}, {host, "http://localhost:1", false}, {host, "https://localhost" + port, false},
		{host, "http://app.example", false}, {host, "https://app.example:444", false}, {host, "https://app.example.evil", false},
		{host, "http://127.0.0.1" + port + "/", false}, {host, "http://u@127.0.0.1" + port, false}, {host, "file://", false},
	} {
		for _, verb := range []string{"GET", "POST", "DELETE", "HEAD", "OPTIONS"} {
			a := w.do(t, verb, w.Token(), "", func(r *http.Request) {
				r.Host = c.host
				if c.origin != "" {
					r.Header.Set("Origin", c.origin)
				}
			})
			want := http.StatusOK
			if !c.allowed {
				want = http.StatusForbidden
			}
			if a.StatusCode != want {
				t.Errorf("%s host %q origin %q: %d", verb, c.host, c.origin, a.StatusCode)
			}
			if !c.allowed && verb == "POST" && !strings.Contains(a.body, `"message":"origin_not_allowed: `) {
				t.Errorf("body %s", a.body)
			}
		}
	}
	a := w.do(t, "POST", w.Token(), ping, func(r *http.Request) {
		r.Header["Origin"] = []string{"http://" + host, "http://evil.example"}
	})
	if a.StatusCode != http.StatusForbidden {
		t.Errorf("two origins: %d", a.StatusCode)
	}
}

func TestTR01_PublicResourceKnowsNoLoopback(t *testing.T) {
	t.Parallel()
	n, err := newNetwork(&url.URL{Scheme: "https", Host: "mcp.example"}, []string{"mcp.internal:8080"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"mcp.example": true, "MCP.example:443": true, "mcp.internal:8080": true,
		"mcp.example:80": false, "localhost": false, "127.0.0.1": false, "mcp.internal": false, "": false, "mcp.example.evil": false,
	} {
		if n.host(host) != want {
			t.Errorf("host %q: %v", host, !want)
		}
	}
	for value, want := range map[string]bool{"https://localhost": false, "https://mcp.example:443": true} {
		if _, ok := n.origin([]string{value}, "mcp.example"); ok != want {
			t.Errorf("origin %q: %v", value, !want)
		}
	}
}

func TestQ11_PreflightNeedsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.AllowedOrigins = []string{"https://app.example"} })
	a := w.do(t, http.MethodOptions, "", "", func(r *http.Request) {
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization, mcp-param-region, cookie, mcp-param-a b")
	})
	allowed := strings.Split(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), ", ")
	for _, name := range []string{"authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "last-event-id", "dpop", "mcp-param-region"} {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s is not allowed: %v", name, allowed)
		}
	}
	if a.StatusCode != http.StatusNoContent || slices.Contains(allowed, "cookie") || len(allowed) != 10 ||
		a.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	a = w.do(t, http.MethodPost, "", ping, func(r *http.Request) { r.Header.Set("Origin", "https://app.example") })
	if a.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("a page cannot read the challenge: %v", a.Header)
	}
}
