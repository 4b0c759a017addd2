package resourceserver

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// everyAnswer asks at each door for each kind of answer there is.
func everyAnswer(t *testing.T, configure func(*Config), edit func(*http.Request)) map[string]*httptest.ResponseRecorder {
	t.Helper()
	g := newGate(t, func(c *Config) {
		c.AllowedOrigins, c.MaxHeaders, c.RateLimits.PerAddress = []string{"https://app.example"}, 10, 70
		configure(c)
	})
	missing := g.Edge(http.NotFoundHandler())
	crash := g.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") }))
	failing := g.Edge(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusBadGateway) }))
	with := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) {
			edit(r)
			r.Header[name] = values
		}
	}
	const here = "127.0.0.1:1"
	answers := map[string]*httptest.ResponseRecorder{
		"passed":  ask(g.protect, http.MethodGet, publicMCP, here, edit),
		"address": ask(g.protect, http.MethodGet, publicMCP, "192.0.2.1:1", edit),
		"origin":  ask(g.protect, http.MethodGet, publicMCP, here, with("Origin", "null")),
		"preflight": ask(g.protect, http.MethodOptions, publicMCP, here, func(r *http.Request) {
			edit(r)
			r.Header.Set("Origin", "https://app.example")
			r.Header.Set("Access-Control-Request-Method", "POST")
		}),
		"token":    ask(g.protect, http.MethodGet, publicMCP, here, with("Authorization", "Bearer wrong-token")),
		"headers":  ask(g.protect, http.MethodGet, publicMCP, here, with("X-Many", make([]string, 20)...)),
		"open":     ask(g.edge, http.MethodGet, "https://mcp.example/health", here, edit),
		"404":      ask(missing, http.MethodGet, "https://mcp.example/none", here, edit),
		"502":      ask(failing, http.MethodGet, "https://mcp.example/none", here, edit),
		"panic":    ask(crash, http.MethodGet, publicMCP, here, edit),
		"metadata": ask(g.metadata, http.MethodOptions, metadataMCP, here, edit),
		"limit":    nil,
	}
	for range 10 {
		answers["limit"] = ask(g.protect, http.MethodGet, publicMCP, here, edit)
	}
	for name, want := range map[string]int{
		"passed": 200, "address": 403, "origin": 403, "preflight": 204, "token": 401, "headers": 431, "open": 200, "404": 404, "502": 502, "panic": 500, "metadata": 404, "limit": 429,
	} {
		if answers[name].Code != want {
			t.Errorf("%s: %d", name, answers[name].Code)
		}
	}
	return answers
}

func TestSeed_S21_SecurityHeadersOnEveryAnswer(t *testing.T) {
	t.Parallel()
	for scheme, hsts := range map[string]string{"http": "", "https": "max-age=31536000"} {
		answers := everyAnswer(t, func(*Config) {}, func(r *http.Request) {
			if scheme == "https" {
				r.TLS = &tls.ConnectionState{}
			}
		})
		for name, a := range answers {
			for header, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "X-XSS-Protection": "0", "Referrer-Policy": "no-referrer",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store", "Strict-Transport-Security": hsts,
			} {
				if got := a.Header().Values(header); len(got) > 1 || a.Header().Get(header) != want {
					t.Errorf("%s, %s: %s is %q, want %q", scheme, name, header, got, want)
				}
			}
			if len(a.Header().Get("X-Request-Id")) != 32 {
				t.Errorf("%s: X-Request-Id %q", name, a.Header().Get("X-Request-Id"))
			}
		}
	}
}

func TestSeed_S21_HeadersAreOverridable(t *testing.T) {
	t.Parallel()
	answers := everyAnswer(t, func(c *Config) {
		c.SecurityHeaders = map[string]string{
			"x-frame-options": "SAMEORIGIN", "X-XSS-Protection": "1; mode=block", "referrer-policy": "", "Permissions-Policy": "camera=()",
			"Strict-Transport-Security": "max-age=1; includeSubDomains",
		}
		c.IsHTTPS = func(*http.Request) bool { return true }
	}, func(*http.Request) {})
	for name, a := range answers {
		for header, want := range map[string]string{
			"X-Frame-Options": "SAMEORIGIN", "X-XSS-Protection": "1; mode=block", "Referrer-Policy": "", "Permissions-Policy": "camera=()",
			"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=1; includeSubDomains",
		} {
			if got := a.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
	none := newGate(t, func(c *Config) {
		c.SecurityHeaders = map[string]string{"Strict-Transport-Security": ""}
		c.IsHTTPS = func(*http.Request) bool { return true }
	})
	if h := ask(none.protect, http.MethodGet, publicMCP, "127.0.0.1:1", nil).Header(); h.Get("Strict-Transport-Security") != "" {
		t.Errorf("%v", h)
	}
}

func TestSeed_S21_BadHeadersAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, bad := range []map[string]string{
		{"": "x"}, {"A B": "x"}, {"X-A\r\n": "x"}, {"X-A": "x\r\nSet-Cookie: a"}, {"X-A": "ü"}, {"X-A": "1", "x-a": "2"},
		{"Access-Control-Allow-Credentials": "true"}, {"content-length": "0"}, {"WWW-Authenticate": "Basic"}, {"Vary": "*"}, {"Set-Cookie": "a"}, {"X-Request-Id": "1"},
	} {
		refusedConfig(t, func(c *Config) { c.SecurityHeaders = bad })
	}
}

func TestSeed_S21_HandlersKeepTheirOwn(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	door := g.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache, no-transform")
		h.Add("Vary", "Accept")
		_, _ = io.WriteString(w, "data: 1\n\n")
	}))
	for range 2 { // values are shared between answers: the first must not change the second
		h := ask(door, http.MethodGet, publicMCP, "127.0.0.1:1", nil).Header()
		if h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-cache, no-transform" || h.Get("X-Frame-Options") != "DENY" || len(h["Vary"]) != 2 {
			t.Errorf("%v", h)
		}
	}
	if h := ask(g.protect, http.MethodGet, publicMCP, "127.0.0.1:1", nil).Header(); h.Get("Cache-Control") != "no-store" || len(h["Vary"]) != 1 {
		t.Errorf("%v", h)
	}
}
