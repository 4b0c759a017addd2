package resourceserver

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSeed_S03_AllowedOrigins(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ pass, refused []string }{
		"https://app.example":               {[]string{"https://app.example", "HTTPS://APP.example:443"}, []string{"http://app.example", "https://app.example:444", "https://x.app.example", "https://app.example.evil"}},
		"https://app.example:8443":          {[]string{"https://app.example:8443"}, []string{"https://app.example"}},
		"App.example":                       {[]string{"https://app.example", "http://app.example", "https://app.example:8443"}, []string{"https://xapp.example", "https://app.example.evil", "https://app.example@evil.example", "app.example", "ftp://app.example"}},
		"app.example:8443":                  {[]string{"https://app.example:8443", "http://app.example:8443"}, []string{"https://app.example", "https://app.example:18443"}},
		"app.example:443":                   {[]string{"https://app.example"}, []string{"http://app.example"}},
		"[::1]":                             {[]string{"http://[::1]", "http://[::1]:9", "http://[0:0::1]"}, []string{"http://::1", "http://[::1", "http://[::2]", "http://[::1]x", "http://[::1%25lo]", "http://127.0.0.1"}},
		"[2001:DB8::1]:8080":                {[]string{"http://[2001:db8::1]:8080"}, []string{"http://[2001:db8::1]"}},
		"192.0.2.1":                         {[]string{"http://192.0.2.1:80"}, []string{"http://192.0.2.10", "http://[::ffff:192.0.2.1]"}},
		`/.*\.example\.com/`:                {[]string{"https://a.example.com", "http://a.b.example.com:8080", "https://A.EXAMPLE.COM"}, []string{"https://example.com", "https://a.example.com.evil", "https://aXexample.com", "https://evil/?a.example.com"}},
		`/a|b/`:                             {[]string{"https://a", "https://b"}, []string{"https://ab", "https://xa", "https://bx"}},
		`/^App\.example$/`:                  {[]string{"https://app.example"}, []string{"https://app.example.evil"}},
		`/(?m)app\.example$/`:               {[]string{"https://app.example"}, []string{"https://evil.example", "https://xapp.example"}},
		`/https:\/\/app-[0-9]+\.example/`:   {[]string{"https://app-1.example", "https://app-23.example:443"}, []string{"http://app-1.example", "https://app-1.example:8443", "https://app-1.example.evil", "https://app-.example"}},
		`/https?://dev\.example(:[0-9]+)?/`: {[]string{"http://dev.example:5173", "https://dev.example"}, []string{"https://dev.example.evil"}},
	} {
		g := newGate(t, func(cfg *Config) { cfg.AllowedOrigins = []string{pattern} })
		for _, origin := range append(c.pass, "https://mcp.example") {
			g.expectFrom(t, pattern, origin, http.StatusOK)
		}
		for _, origin := range append(c.refused, "null", "", "*", "https://", "https://app.example\x00", "https://app.example, https://app.example") {
			g.expectFrom(t, pattern, origin, http.StatusForbidden)
		}
	}
}

// expectFrom asks on every verb, at both doors that have the rule.
func (g *gate) expectFrom(t *testing.T, pattern, origin string, status int) {
	t.Helper()
	for _, verb := range []string{"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT"} {
		for _, door := range []http.Handler{g.protect, g.edge} {
			a := ask(door, verb, publicMCP, "127.0.0.1:1", func(r *http.Request) { r.Header["Origin"] = []string{origin} })
			if a.Code != status {
				t.Errorf("%s %s: %q is answered %d", pattern, verb, origin, a.Code)
			}
		}
	}
}

func TestSeed_S03_BadPatternsAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"", "*", "null", "https://*.example", "*.example", "https://h/", "https://h/p", "https://u@h", "https://h?q", "https://h#f", "ftp://h", "https://", "://h",
		"h:", "h:x", "h:99999", "h:080", "a b", "::1", "[::1", "[127.0.0.1]", "[::1%lo]", "bücher.example", "https://bücher.example", "\u212aelvin.example",
		"/", "//", "/a", `/(/`, `/a)|(?:b/`, `/\Qa/`, `/a\/`, `/(?=a)b/`,
	} {
		refusedConfig(t, func(c *Config) { c.AllowedOrigins = []string{"https://ok.example", pattern} })
		if pattern != "*" {
			refusedConfig(t, func(c *Config) { c.CORS.Origins = []string{"https://ok.example", pattern} })
		}
	}
	for _, host := range []string{"", "*", "https://h", "h/p", "h:x", "::1", "a b", "bücher.example"} {
		refusedConfig(t, func(c *Config) { c.AllowedHosts = []string{host} })
	}
}

// FuzzOrigin: no origin passes that a slow and obvious reading does not let
// pass, and none is refused that it lets pass.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{
		"https://app.example", "https://app.example:443", "http://app.example", "HTTPS://APP.EXAMPLE", "https://a.example.com", "https://a.example.com:8443", "https://example.com.evil",
		"http://[::1]:8080", "http://[::1]", "http://[0::1]:8080", "http://[::ffff:7f00:1]", "https://app-1.example", "null", "", "https://app.example/", "https://u@app.example", "https://app.example?x", "https://app.example#",
		"https://app.example\x00", "https://app.example.", "https://host.example:65535", "https://host.example:065535", "https://\u212aelvin.example", "https://a\n.example.com", "https://%61pp.example", "https://[::1]@app.example",
	} {
		f.Add(s)
	}
	n, err := newNetwork(&url.URL{Scheme: "https", Host: "mcp.example"}, nil,
		[]string{"https://app.example", "host.example", "[::1]:8080", `/[a-z]+\.example\.com/`, `/https:\/\/app-[0-9]+\.example/`})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, got := n.origin([]string{value}, "mcp.example"); got != obviouslyAllowed(value) {
			t.Errorf("%q: %v", value, got)
		}
	})
}

// obviouslyAllowed is the reference of FuzzOrigin.
func obviouslyAllowed(value string) bool {
	u, err := url.Parse(strings.ToLower(value))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	host, port := u.Hostname(), u.Port()
	if strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return false
	}
	given := host
	if strings.HasPrefix(u.Host, "[") {
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		given, host = "["+host+"]", "["+addr.String()+"]"
	}
	if port != "" {
		given += ":" + port
	}
	if !strings.EqualFold(value, u.Scheme+"://"+given) { // something else is in it, or an escape
		return false
	}
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	if len(port) > 5 || port[0] == '0' && port != "0" || len(port) == 5 && port > "65535" {
		return false
	}
	full := u.Scheme + "://" + host + ":" + port
	return slices.Contains([]string{"https://mcp.example:443", "https://app.example:443", "http://[::1]:8080", "https://[::1]:8080"}, full) ||
		host == "host.example" ||
		regexp.MustCompile(`^[a-z]+\.example\.com$`).MatchString(host) ||
		regexp.MustCompile(`^https://app-\d+\.example:443$`).MatchString(full)
}
