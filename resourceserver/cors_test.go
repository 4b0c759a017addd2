package resourceserver

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// preflight asks like a browser before a POST of a script.
func preflight(door http.Handler, remote, origin, headers string) *httptest.ResponseRecorder {
	return ask(door, http.MethodOptions, publicMCP, remote, func(r *http.Request) {
		r.Header = http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {headers},
		}
	})
}

// list splits the value of a header.
func list(a *httptest.ResponseRecorder, name string) []string {
	return strings.Split(strings.ToLower(a.Header().Get(name)), ", ")
}

func TestSeed_S22_TR08_Preflight(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) {
		c.AllowedOrigins = []string{"app.example"}
		c.AuthHeaderName = "X-Api-Token"
		c.CORS.Headers = []string{"X-Trace", "dpop"}
	})
	for _, door := range []http.Handler{g.protect, g.edge} {
		a := preflight(door, "127.0.0.1:1", "https://app.example", "authorization, mcp-param-region, Mcp-Param-2, cookie, mcp-param-a b, mcp-param-, mcp-param-"+strings.Repeat("x", 70))
		want := []string{
			"authorization", "content-type", "accept", "dpop", "last-event-id", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id",
			"x-trace", "x-api-token", "mcp-param-region", "mcp-param-2",
		}
		if got := list(a, "Access-Control-Allow-Headers"); a.Code != http.StatusNoContent || !slices.Equal(got, want) {
			t.Errorf("%d %v", a.Code, got)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Methods": "GET, POST, DELETE", "Access-Control-Max-Age": "600",
			"Access-Control-Allow-Credentials": "", "Vary": "Origin", "X-Frame-Options": "DENY", "WWW-Authenticate": "",
		} {
			if got := a.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	many := preflight(g.protect, "127.0.0.1:1", "https://app.example", strings.Repeat("mcp-param-x,", 1000))
	if n := len(list(many, "Access-Control-Allow-Headers")); n > 50 {
		t.Errorf("%d headers allowed", n)
	}
}

func TestSeed_S22_PreflightKeepsTheRulesOfTheNetwork(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.AllowedOrigins = []string{"https://app.example"} })
	secure := newGate(t, func(c *Config) { c.AllowedOrigins, c.RequireHTTPS = []string{"https://app.example"}, true })
	for want, a := range map[string]*httptest.ResponseRecorder{
		CodeIPNotAllowed:     preflight(g.protect, "192.0.2.1:1", "https://app.example", ""),
		CodeHTTPSRequired:    preflight(secure.protect, "127.0.0.1:1", "https://app.example", ""),
		CodeOriginNotAllowed: preflight(g.protect, "127.0.0.1:1", "https://evil.example", ""),
	} {
		if got := code(t, a); got != want || a.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q, want %q: %v", got, want, a.Header())
		}
	}
	rebound := ask(g.protect, http.MethodOptions, publicMCP, "127.0.0.1:1", func(r *http.Request) {
		r.Host = "evil.example"
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
	})
	if got := code(t, rebound); got != CodeOriginNotAllowed {
		t.Errorf("a foreign Host: %q", got)
	}
}

func TestSeed_S22_WhatAScriptMayRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cors   CORS
		origin string
		allow  string
	}{
		"who may call":         {CORS{}, "https://app.example", "https://app.example"},
		"nobody asked":         {CORS{}, "", ""},
		"a reader":             {CORS{Origins: []string{"app.example"}}, "https://app.example", "https://app.example"},
		"may call, not read":   {CORS{Origins: []string{"app.example"}}, "https://two.example", ""},
		"everybody":            {CORS{Origins: []string{"*"}}, "https://two.example", "*"},
		"everybody, by name":   {CORS{Origins: []string{"app.example", "*"}}, "https://two.example", "*"},
		"off":                  {CORS{Off: true, Origins: []string{"*"}}, "https://app.example", ""},
		"everybody, not a tab": {CORS{Origins: []string{"*"}}, "", ""},
	} {
		g := newGate(t, func(cfg *Config) {
			cfg.AllowedOrigins, cfg.CORS = []string{"app.example", "two.example"}, c.cors
		})
		for _, token := range []string{"", "Bearer wrong-token", "Bearer " + robotToken} {
			a := ask(g.protect, http.MethodPost, publicMCP, "127.0.0.1:1", func(r *http.Request) {
				r.Header = http.Header{"Authorization": {token}}
				if c.origin != "" {
					r.Header.Set("Origin", c.origin)
				}
			})
			exposed := list(a, "Access-Control-Expose-Headers")
			if got := a.Header().Get("Access-Control-Allow-Origin"); got != c.allow || slices.Contains(exposed, "www-authenticate") != (c.allow != "") {
				t.Errorf("%s, %q: %q %v", name, token, got, exposed)
			}
			if c.allow != "" && !slices.Equal(exposed, []string{"www-authenticate", "mcp-session-id", "retry-after", "dpop-nonce", "x-request-id"}) {
				t.Errorf("%s: %v", name, exposed)
			}
			if (a.Header().Get("Vary") == "Origin") == c.cors.Off {
				t.Errorf("%s: Vary %q", name, a.Header().Get("Vary"))
			}
		}
	}
}

func TestSeed_S22_Settings(t *testing.T) {
	t.Parallel()
	allow := []string{"https://app.example"}
	for age, want := range map[time.Duration]string{0: "600", time.Hour: "3600", -1: "0"} {
		g := newGate(t, func(c *Config) {
			c.AllowedOrigins, c.CORS = allow, CORS{MaxAge: age, Methods: []string{"POST", "HEAD"}}
		})
		h := preflight(g.protect, "127.0.0.1:1", allow[0], "").Header()
		if h.Get("Access-Control-Max-Age") != want || h.Get("Access-Control-Allow-Methods") != "POST, HEAD" {
			t.Errorf("%v", h)
		}
	}
	off := newGate(t, func(c *Config) { c.AllowedOrigins, c.CORS.Off = allow, true })
	if a := preflight(off.protect, "127.0.0.1:1", allow[0], ""); a.Code != http.StatusUnauthorized || a.Header().Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("off: %d %v", a.Code, a.Header())
	}
	for _, bad := range []CORS{{Methods: []string{"A B"}}, {Methods: []string{""}}, {Headers: []string{"a\r\nb"}}, {Headers: []string{"*"}}, {Origins: []string{"**"}}} {
		refusedConfig(t, func(c *Config) { c.CORS = bad })
	}
}
