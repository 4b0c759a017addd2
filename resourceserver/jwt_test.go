package resourceserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

func TestRS07_BrokenTokensAreInvalid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	w.expect(t, w.Token(), listTools, http.StatusOK, "")
	t.Cleanup(func() { // when all are answered
		if n := w.calls.Load(); n != 1 {
			t.Errorf("the handler saw %d requests", n)
		}
	})
	for name, token := range w.Broken() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.expect(t, token, listTools, http.StatusUnauthorized, "invalid_token")
			if !strings.Contains(a.body, `"message":"invalid_token: The access token is not valid here."`) {
				t.Errorf("the body tells more: %s", a.body)
			}
		})
	}
}

func TestRS07_GoodVariants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	for name, token := range map[string]string{
		"several audiences": w.Token(rstest.Claims{"aud": []string{"https://other.example", w.resource}}),
		"no scope":          w.Token(rstest.Claims{"scope": "mcp:read mcp:tools unknown:scope"}),
		"full media type":   w.Sign(map[string]any{"typ": "application/AT+JWT"}, rstest.Claims{"iss": w.URL, "sub": "a", "aud": w.resource, "client_id": "c", "jti": "j", "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60, "scope": "mcp:admin"}),
		"no grant":          w.Token(rstest.Claims{"grant": nil}),
		"unknown claims":    w.Token(rstest.Claims{"act": map[string]any{"sub": "x"}, "nbf": time.Now().Unix()}),
	} {
		if a := w.post(t, token, listTools); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// TestRS08_Audience compares as quirk Q4 asks: the root slash is forgiven both
// ways, scheme and host have no case, the path is strict.
func TestRS08_Audience(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		resource, aud string
		accepted      bool
	}{
		{"https://h", "https://h", true}, {"https://h", "https://h/", true}, {"https://h/", "https://h", true},
		{"https://h/mcp", "https://h/mcp", true}, {"https://h/mcp", "HTTPS://H/mcp", true}, {"https://h/mcp", "https://h:443/mcp", true},
		{"https://h/mcp", "https://h/mcp/", false}, {"https://h/mcp", "https://h", false}, {"https://h/mcp", "https://h/", false},
		{"https://h/mcp", "https://h/MCP", false}, {"https://h/mcp", "https://h/mcp2", false}, {"https://h/mcp", "https://h/mcp?x", false},
		{"https://h/mcp", "https://h/mcp?", false}, {"https://h/mcp", "https://h/mcp#", false}, {"https://h/mcp", "https://u@h/mcp", false},
		{"https://h/mcp", "http://h/mcp", false}, {"https://h/mcp", "https://h:444/mcp", false}, {"https://h/mcp", "https://h.evil/mcp", false},
		{"https://h/mcp", "https://h/x/../mcp", false}, {"https://h/mcp", "", false}, {"https://h/mcp", "%zz", false}, {"https://h/mcp", "//h/mcp", false},
	} {
		resource, err := url.Parse(c.resource)
		if err != nil {
			t.Fatal(err)
		}
		r := &rules{resource: resource}
		if r.forUs([]string{"x", c.aud}) != c.accepted {
			t.Errorf("resource %s, aud %q: accepted is %v", c.resource, c.aud, !c.accepted)
		}
	}
}

func TestRS08_AudienceOnTheIntrospectionPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	w.expect(t, w.Opaque(), listTools, http.StatusOK, "")
	for _, aud := range []any{nil, "https://other.example/mcp", []string{}, w.resource + "/sub", 5} {
		w.expect(t, w.Opaque(rstest.Claims{"aud": aud, "sub": "mallory"}), listTools, map[bool]int{true: 503, false: 401}[aud == 5], "invalid_token")
	}
}

// TestSeed_S10_ClockSkewBoundaries looks at both sides of each boundary: of a
// JWT, and of what introspection says.
func TestSeed_S10_ClockSkewBoundaries(t *testing.T) {
	t.Parallel()
	for skew, tolerance := range map[time.Duration]time.Duration{-1: 0, 0: time.Minute, 5 * time.Second: 5 * time.Second} {
		w := newWorld(t, func(w *world, cfg *Config) {
			credentials(w, cfg)
			cfg.ClockSkew = skew
		}).ready(t)
		at := time.Unix(2_000_000_000, 0)
		for _, c := range []struct {
			claim    string
			now      time.Time
			accepted bool
		}{
			{"exp", at.Add(tolerance - 1), true}, {"exp", at.Add(tolerance), false},
			{"nbf", at.Add(-tolerance), true}, {"nbf", at.Add(-tolerance - 1), false},
			{"iat", at.Add(-tolerance), true}, {"iat", at.Add(-tolerance - 1), false},
		} {
			claims := rstest.Claims{"iat": at.Unix() - 7200, "exp": at.Unix() + 7200, c.claim: at.Unix()}
			_, err := w.server.verifier.jwt.accessToken(t.Context(), w.Token(claims), c.now)
			if (err == nil) != c.accepted {
				t.Errorf("skew %s, %s, now %s: %v", skew, c.claim, c.now.Sub(at), err)
			}
			opaque := w.Opaque(claims)
			_, err = w.server.verifier.opaque.accessToken(t.Context(), opaque, digest(opaque), c.now)
			if (err == nil) != c.accepted {
				t.Errorf("introspected, skew %s, %s, now %s: %v", skew, c.claim, c.now.Sub(at), err)
			}
		}
	}
}

func TestSeed_S10_RequiredScopesDefaultToReading(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		required   []string
		held, body string
		status     int
	}{
		{nil, "mcp:read", ping, 200}, {nil, "mcp:write", ping, 403}, {nil, "mcp:tools", callTool, 403}, {nil, "mcp:read mcp:tools", callTool, 200},
		{[]string{}, "", ping, 200}, {[]string{}, "mcp:tools", callTool, 200}, {[]string{}, "mcp:tools", readAll, 403},
		{[]string{"mcp:read", "files:read"}, "mcp:read", ping, 403}, {[]string{"mcp:read", "files:read"}, "mcp:read files:read", ping, 200},
	} {
		w := newWorld(t, func(_ *world, cfg *Config) { cfg.RequiredScopes = c.required }).ready(t)
		if a := w.post(t, w.Token(rstest.Claims{"scope": c.held}), c.body); a.StatusCode != c.status {
			t.Errorf("required %v, held %q, %s: %d, want %d", c.required, c.held, c.body, a.StatusCode, c.status)
		}
	}
}

func TestCachedTokenExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	token := w.Token()
	w.expect(t, token, ping, http.StatusOK, "")
	w.advance(time.Hour + 50*time.Second)
	w.expect(t, token, ping, http.StatusOK, "")
	w.advance(11 * time.Second)
	w.expect(t, token, ping, http.StatusUnauthorized, "invalid_token")
}
