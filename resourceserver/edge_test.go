package resourceserver

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

const (
	robotToken  = "0123456789abcdef0123456789abcdef"
	publicMCP   = "https://mcp.example/mcp"
	metadataMCP = "https://mcp.example/.well-known/oauth-protected-resource/mcp"
)

// gate is a server that needs no issuer, with its three doors.
type gate struct {
	*Server
	protect, edge, metadata http.Handler
}

func newGate(t testing.TB, configure func(*Config)) *gate {
	t.Helper()
	cfg := Config{Resource: publicMCP, StaticTokens: []StaticToken{{Name: "robot", Token: robotToken, Scopes: []string{"mcp:read"}}}}
	if configure != nil {
		configure(&cfg)
	}
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	return &gate{s, s.Protect(ok), s.Edge(ok), s.Metadata()}
}

// refusedConfig returns the error of New, or fails.
func refusedConfig(t *testing.T, configure func(*Config)) error {
	t.Helper()
	cfg := Config{Resource: publicMCP, StaticTokens: []StaticToken{{Name: "robot", Token: robotToken}}}
	configure(&cfg)
	_, err := New(t.Context(), cfg)
	if err == nil {
		t.Errorf("accepted: %+v", cfg)
	}
	return err
}

// ask sends a request with a token to one of the doors.
func ask(door http.Handler, verb, target, remote string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(verb, target, nil)
	r.TLS = nil // for every scheme: tests say themselves what came by TLS
	r.RemoteAddr = remote
	r.Header.Set("Authorization", "Bearer "+robotToken)
	if edit != nil {
		edit(r)
	}
	a := httptest.NewRecorder()
	door.ServeHTTP(a, r)
	return a
}

// code returns the error code of a refusal, empty if there is none.
func code(t *testing.T, a *httptest.ResponseRecorder) string {
	t.Helper()
	if a.Code < http.StatusBadRequest {
		return ""
	}
	var body struct {
		Error struct{ Data struct{ Error string } }
	}
	if err := json.Unmarshal(a.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d %q: %v", a.Code, a.Body, err)
	}
	return body.Error.Data.Error
}

// knock asks at Protect and Edge, which must agree, and at the metadata where
// the rule holds there too.
func (g *gate) knock(t *testing.T, remote string, edit func(*http.Request)) string {
	t.Helper()
	says := code(t, ask(g.protect, http.MethodGet, publicMCP, remote, edit))
	if other := code(t, ask(g.edge, http.MethodGet, "https://mcp.example/health", remote, edit)); other != says {
		t.Errorf("from %s: Protect says %q, Edge %q", remote, says, other)
	}
	a := ask(g.metadata, http.MethodGet, metadataMCP, remote, edit) // without an issuer there is none
	if refused := a.Code != http.StatusNotFound; refused != (says != "" && says != CodeOriginNotAllowed) {
		t.Errorf("from %s: Protect says %q, Metadata %d", remote, says, a.Code)
	}
	return says
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range list {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestSeed_S01_TR02_LocalhostOnlyByDefault(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	for remote, want := range map[string]string{
		"127.0.0.1:1": "", "127.8.9.1:1": "", "[::1]:1": "", "[::ffff:127.0.0.1]:1": "", "[::1%lo]:1": "",
		"192.0.2.1:1": CodeIPNotAllowed, "10.0.0.1:1": CodeIPNotAllowed, "0.0.0.0:1": CodeIPNotAllowed, "[2001:db8::1]:1": CodeIPNotAllowed,
		"[::ffff:192.0.2.1]:1": CodeIPNotAllowed, "[fe80::1%eth0]:1": CodeIPNotAllowed, "[::127.0.0.1]:1": CodeIPNotAllowed,
		"": CodeIPNotAllowed, "@": CodeIPNotAllowed, "127.0.0.1": CodeIPNotAllowed, "localhost:1": CodeIPNotAllowed, // nobody knows
	} {
		if got := g.knock(t, remote, nil); got != want {
			t.Errorf("from %q: %q", remote, got)
		}
	}
	forged := func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		r.Header.Set("Forwarded", "for=127.0.0.1")
		r.Header.Set("X-Real-Ip", "127.0.0.1")
	}
	if got := g.knock(t, "192.0.2.1:1", forged); got != CodeIPNotAllowed {
		t.Errorf("who says that it is local: %q", got)
	}
}

func TestSeed_S01_ARefusedAddressLearnsNothing(t *testing.T) {
	t.Parallel()
	a := ask(newGate(t, nil).protect, http.MethodPost, publicMCP, "192.0.2.1:1", nil)
	if a.Code != http.StatusForbidden || a.Header().Get("WWW-Authenticate") != "" || !strings.Contains(a.Body.String(), `"message":"ip_not_allowed: `) ||
		strings.Contains(a.Body.String(), "192.0.2.1") {
		t.Errorf("%d %v %s", a.Code, a.Header(), a.Body)
	}
}

func TestSeed_S04_HTTPSIsRequired(t *testing.T) {
	t.Parallel()
	secure := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	says := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	g := newGate(t, func(c *Config) {
		c.RequireHTTPS, c.AllowRemote, c.TrustedProxies = true, true, prefixes("10.0.0.0/8")
	})
	for _, c := range []struct {
		remote string
		edit   func(*http.Request)
		want   string
	}{
		{"192.0.2.1:1", nil, CodeHTTPSRequired}, {"192.0.2.1:1", secure, ""}, {"127.0.0.1:1", nil, CodeHTTPSRequired},
		{"192.0.2.1:1", says("X-Forwarded-Proto", "https"), CodeHTTPSRequired}, {"192.0.2.1:1", says("Forwarded", "proto=https"), CodeHTTPSRequired},
		{"10.0.0.1:1", nil, CodeHTTPSRequired}, {"10.0.0.1:1", says("X-Forwarded-Proto", "https"), ""}, {"10.0.0.1:1", says("X-Forwarded-Proto", " HTTPS "), ""},
		{"10.0.0.1:1", says("X-Forwarded-Proto", "https, http"), CodeHTTPSRequired}, {"10.0.0.1:1", says("X-Forwarded-Proto", "http,https"), ""},
		{"10.0.0.1:1", says("X-Forwarded-Proto", "httpsx"), CodeHTTPSRequired}, {"10.0.0.1:1", says("X-Forwarded-Proto", ""), CodeHTTPSRequired},
		{"10.0.0.1:1", says("Forwarded", `for=192.0.2.1; Proto="HTTPS"`), ""}, {"10.0.0.1:1", says("Forwarded", "proto=https;for=192.0.2.1, proto=http;for=10.0.0.2"), CodeHTTPSRequired},
		{"10.0.0.1:1", says("X-Forwarded-Ssl", "on"), CodeHTTPSRequired}, {"10.0.0.1:1", says("X-Forwarded-Scheme", "https"), CodeHTTPSRequired},
		{"10.0.0.1:1", func(r *http.Request) { secure(r); r.Header.Set("X-Forwarded-Proto", "http") }, CodeHTTPSRequired}, // plain before the proxy
	} {
		if got := g.knock(t, c.remote, c.edit); got != c.want {
			t.Errorf("from %s: %q, want %q", c.remote, got, c.want)
		}
	}
	a := ask(g.protect, http.MethodGet, publicMCP, "192.0.2.1:1", nil)
	if a.Code != http.StatusForbidden || a.Header().Get("Location") != "" {
		t.Errorf("a redirect: %d %v", a.Code, a.Header())
	}
}

func TestSeed_S04_S21_OverTLS(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.RequireHTTPS = true })
	for name, c := range map[string]struct {
		start  func(http.Handler) *httptest.Server
		status int
		hsts   string
	}{
		"https": {httptest.NewTLSServer, http.StatusOK, "max-age=31536000"}, "http": {httptest.NewServer, http.StatusForbidden, ""},
	} {
		front := c.start(g.edge) // whose Host may be an address
		t.Cleanup(front.Close)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := front.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if a.Body.Close(); a.StatusCode != c.status || a.Header.Get("Strict-Transport-Security") != c.hsts {
			t.Errorf("%s: %d %v", name, a.StatusCode, a.Header)
		}
	}
}

func TestSeed_S04_LoopbackMayBeExempt(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) {
		c.RequireHTTPS, c.LoopbackHTTP, c.AllowRemote, c.TrustedProxies = true, true, true, prefixes("127.0.0.2/32")
	})
	remote := func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }
	for _, c := range []struct {
		remote string
		edit   func(*http.Request)
		want   string
	}{
		{"127.0.0.1:1", nil, ""}, {"[::1]:1", nil, ""}, {"[::ffff:127.0.0.1]:1", nil, ""},
		{"192.0.2.1:1", nil, CodeHTTPSRequired}, {"127.0.0.2:1", remote, CodeHTTPSRequired}, {"", nil, CodeHTTPSRequired},
	} {
		if got := g.knock(t, c.remote, c.edit); got != c.want {
			t.Errorf("from %q: %q, want %q", c.remote, got, c.want)
		}
	}
}

func TestSeed_S05_OwnRuleForHTTPS(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) {
		c.RequireHTTPS = true
		c.IsHTTPS = func(r *http.Request) bool { return r.Header.Get("X-Tls-Terminated") == "yes" }
	})
	own := func(r *http.Request) { r.Header.Set("X-Tls-Terminated", "yes") }
	usual := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	if got := g.knock(t, "127.0.0.1:1", own); got != "" {
		t.Errorf("the hook says https: %q", got)
	}
	if got := g.knock(t, "127.0.0.1:1", usual); got != CodeHTTPSRequired {
		t.Errorf("the hook says http: %q", got)
	}
	broken := newGate(t, func(c *Config) { c.IsHTTPS = func(*http.Request) bool { panic("hook") } })
	a := ask(broken.protect, http.MethodGet, publicMCP, "127.0.0.1:1", nil)
	if code(t, a) != CodeServerError || a.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("a hook that panics: %d %v", a.Code, a.Header())
	}
}

func TestSeed_S01_S04_S24_OrderOfRules(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.RequireHTTPS, c.MaxHeaders = true, 4 })
	step := func(remote string, secure bool, host, origin, token string, fields int) string {
		return code(t, ask(g.protect, http.MethodGet, publicMCP, remote, func(r *http.Request) {
			if secure {
				r.TLS = &tls.ConnectionState{}
			}
			r.Host = host
			r.Header = http.Header{"X-Many": make([]string, fields)}
			for name, value := range map[string]string{"Origin": origin, "Authorization": token} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
		}))
	}
	const far, near, good, evil = "192.0.2.1:1", "127.0.0.1:1", "mcp.example", "evil.example"
	for i, c := range []struct{ got, want string }{
		{step(far, false, evil, "null", "?", 5), CodeTooManyHeaders},
		{step(far, false, evil, "null", "?", 2), CodeIPNotAllowed},
		{step(near, false, evil, "null", "?", 2), CodeHTTPSRequired},
		{step(near, true, evil, "null", "?", 2), CodeOriginNotAllowed},
		{step(near, true, good, "null", "?", 2), CodeOriginNotAllowed},
		{step(near, true, good, "", "?", 2), CodeInvalidRequest},
		{step(near, true, good, "", "", 2), CodeInvalidToken},
		{step(near, true, good, "", "Bearer "+robotToken, 2), ""},
	} {
		if c.got != c.want {
			t.Errorf("step %d: %q, want %q", i, c.got, c.want)
		}
	}
}

// TestSeed_S01_S02_S03_S04_S08_S21_S22_S23_Together is a server as it stands
// behind a proxy that terminates TLS, with every rule at once.
func TestSeed_S01_S02_S03_S04_S08_S21_S22_S23_Together(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) {
		c.TrustedProxies, c.AllowRemote, c.AllowedIPs = prefixes("10.0.0.0/24"), true, prefixes("203.0.113.0/24")
		c.RequireHTTPS, c.AllowedOrigins, c.AllowedHosts = true, []string{`/.*\.app\.example/`}, []string{"mcp.internal:8080"}
		c.AuthExemptPaths, c.RateLimits.PerAddress = []string{"/health"}, 20 // two at once
		c.SecurityHeaders = map[string]string{"X-Frame-Options": "SAMEORIGIN"}
	})
	request := func(verb, path, client, proto, origin, token string) *httptest.ResponseRecorder {
		return ask(g.protect, verb, "http://mcp.internal:8080"+path, "10.0.0.7:1", func(r *http.Request) {
			r.Header = http.Header{"X-Forwarded-For": {"127.0.0.1, " + client}, "X-Forwarded-Proto": {proto}}
			for name, value := range map[string]string{"Origin": origin, "Authorization": token} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if verb == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", http.MethodPost)
			}
		})
	}
	const app, token = "https://a.app.example", "Bearer " + robotToken
	for i, c := range []struct {
		a      *httptest.ResponseRecorder
		status int
		says   string
	}{
		{request("GET", "/mcp", "203.0.113.1", "https", app, token), 200, ""},
		{request("GET", "/mcp", "203.0.113.1", "https", app, ""), 401, CodeInvalidToken},
		{request("GET", "/mcp", "203.0.113.1", "https", app, token), 429, CodeRateLimited},
		{request("GET", "/health", "203.0.113.1", "https", "", ""), 429, CodeRateLimited},
		{request("GET", "/health", "203.0.113.2", "https", "", ""), 200, ""},
		{request("GET", "/health/", "203.0.113.2", "https", "", ""), 401, CodeInvalidToken},
		{request("GET", "/mcp", "198.51.100.1", "https", app, token), 403, CodeIPNotAllowed},
		{request("GET", "/mcp", "10.0.0.8", "https", app, token), 403, CodeIPNotAllowed},
		{request("GET", "/mcp", "203.0.113.3", "http", app, token), 403, CodeHTTPSRequired},
		{request("GET", "/mcp", "203.0.113.3", "https", "https://app.example", token), 403, CodeOriginNotAllowed},
		{request("OPTIONS", "/mcp", "203.0.113.3", "https", app, ""), 204, ""},
		{request("OPTIONS", "/mcp", "198.51.100.1", "https", app, ""), 403, CodeIPNotAllowed},
	} {
		h := c.a.Header()
		if got := code(t, c.a); got != c.says || c.a.Code != c.status {
			t.Errorf("%d: %d %q, want %d %q", i, c.a.Code, got, c.status, c.says)
		}
		if secure := c.says != CodeHTTPSRequired; h.Get("X-Frame-Options") != "SAMEORIGIN" || (h.Get("Strict-Transport-Security") != "") != secure {
			t.Errorf("%d: %v", i, h)
		}
	}
	readable := request("GET", "/mcp", "203.0.113.1", "https", app, token).Header() // a script can tell when to come again
	if readable.Get("Access-Control-Allow-Origin") != app || readable.Get("Retry-After") == "" {
		t.Errorf("%v", readable)
	}
}

func TestSeed_S02_S27_TheLogNamesTheClient(t *testing.T) {
	t.Parallel()
	log := &buffer{}
	g := newGate(t, func(c *Config) {
		c.TrustedProxies, c.SecurityLog = prefixes("10.0.0.0/24"), slog.New(slog.NewJSONHandler(log, nil))
	})
	g.knock(t, "10.0.0.1:1", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1, ::ffff:203.0.113.9") })
	if !strings.Contains(log.String(), `"remote_addr":"203.0.113.9"`) || !strings.Contains(log.String(), CodeIPNotAllowed) {
		t.Errorf("%s", log)
	}
}

func TestEdge_CommonCaseAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	g := newGate(t, func(c *Config) {
		c.AuthExemptPaths, c.RateLimits = []string{"/health"}, RateLimits{PerAddress: 1 << 40}
	})
	r := httptest.NewRequest(http.MethodPost, publicMCP, nil)
	r.RemoteAddr = "127.0.0.1:1"
	x := begin(httptest.NewRecorder(), g.Server.edge.headers)
	allocated := testing.AllocsPerRun(1000, func() {
		refusal := g.Server.edge.admit(x, r)
		_, other := g.enter(x, r)
		if refusal != nil || other != nil || g.Server.edge.isExempt(r) {
			t.Error("refused")
		}
	})
	if allocated > 0.1 { // the cache drains its buffers now and then
		t.Errorf("%v allocations", allocated)
	}
}
