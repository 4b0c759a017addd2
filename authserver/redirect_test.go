package authserver

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// redirectMatch is a redirect URI, registered and requested.
type redirectMatch struct {
	registered, requested string
	want                  bool
}

func redirectMatches() []redirectMatch {
	return []redirectMatch{
		{"https://app.example/cb", "https://app.example/cb", true},
		{"https://app.example/cb", "https://app.example/cb/", false},
		{"https://app.example/cb", "https://app.example/cb/x", false},
		{"https://app.example/cb", "https://app.example/CB", false},
		{"https://app.example/cb", "https://APP.example/cb", false},
		{"https://app.example/cb", "https://app.example:443/cb", false},
		{"https://app.example/cb", "https://app.example/cb?x=1", false},
		{"https://app.example/cb", "https://app.example/x/../cb", false},
		{"https://app.example/cb", "https://app.example.evil.example/cb", false},
		{"https://app.example/cb", "https://app.example@evil.example/cb", false},
		{"https://app.example/cb", "http://app.example/cb", false},
		{"https://app.example/cb#f", "https://app.example/cb#f", false},
		{"https://u@app.example/cb", "https://u@app.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:33418/cb", true},
		{"http://127.0.0.1:1234/cb", "http://127.0.0.1/cb", true},
		{"http://127.0.0.1:1234/cb", "http://127.0.0.1:4321/cb", true},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/CB", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb/", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb?x=1", false},
		{"http://127.0.0.1/cb?x=1", "http://127.0.0.1:1/cb?x=1", true},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb#x", false},
		{"http://127.0.0.1/cb", "http://u@127.0.0.1:1/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1.evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1\\@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.2:1/cb", false},
		{"http://127.0.0.1/cb", "http://2130706433:1/cb", false},
		{"http://127.0.0.1/cb", "http://localhost:1/cb", false},
		{"http://127.0.0.1/cb", "https://127.0.0.1:1/cb", false},
		{"http://127.0.0.1/cb", "HTTP://127.0.0.1:1/cb", false},
		{"http://localhost/cb", "http://localhost:1/cb", true},
		{"http://localhost/cb", "http://localhost.evil.example:1/cb", false},
		{"http://localhost", "http://localhost:1", true},
		{"http://localhost", "http://localhost:1/", false},
		{"http://[::1]/cb", "http://[::1]:1/cb", true},
		{"http://[::1]/cb", "http://[::1%25lo]:1/cb", false},
		{"http://[::1]/cb", "http://[::2]:1/cb", false},
		{"http://10.0.0.1/cb", "http://10.0.0.1/cb", false}, // others can read it
		{"http://10.0.0.1/cb", "http://10.0.0.1:1/cb", false},
		{"https://127.0.0.1/cb", "https://127.0.0.1:1/cb", false},
		{"com.example.app:/cb", "com.example.app:/cb", true},
		{"cursor://app/cb", "cursor://app/cb", true},
		{"cursor://app/cb", "cursor://app:1/cb", false},
		{"javascript:alert(1)", "javascript:alert(1)", false},
		{"data:text/html,x", "data:text/html,x", false},
		{"/cb", "/cb", false},
		{"", "", false},
	}
}

// AS-08, RFC 8252 §7.3: byte for byte, except for the port on this device.
func TestRedirect_OAuth21_2_3_1_Matching(t *testing.T) {
	t.Parallel()
	for _, test := range redirectMatches() {
		c := &client{Client: storage.Client{RedirectURIs: []string{"https://other.example/", test.registered}}}
		got, err := c.redirectURI(test.requested)
		if (err == nil) != test.want || (err == nil && got != test.requested) {
			t.Errorf("%s for %s: %q, %v", test.requested, test.registered, got, err)
		}
	}
}

// Whatever is asked for, nobody is sent to another host or scheme than a
// registered one.
func FuzzRedirectURI(f *testing.F) {
	registered := []string{"https://app.example/cb", "http://127.0.0.1/cb", "http://localhost/callback?x=1", "http://[::1]/cb", "com.example.app:/cb"}
	for _, seed := range append(registered, "http://127.0.0.1:99999/cb", "http://localhost:1@evil.example/callback?x=1", "http://127.0.0.1:1\r\nX: y/cb", "http://[::1]:80/cb") {
		f.Add(seed)
	}
	c := &client{Client: storage.Client{RedirectURIs: registered}}
	f.Fuzz(func(t *testing.T, requested string) {
		if requested == "" {
			return
		}
		got, err := c.redirectURI(requested)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil || got != requested || strings.ContainsAny(got, "\r\n\x00\\# ") {
			t.Fatalf("%q: %q, %v", requested, got, err)
		}
		if !slices.ContainsFunc(registered, func(text string) bool {
			r, _ := url.Parse(text)
			return r.Scheme == u.Scheme && r.Hostname() == u.Hostname() && r.EscapedPath() == u.EscapedPath() && r.RawQuery == u.RawQuery && u.User == nil
		}) {
			t.Fatalf("%q is nobody's", requested)
		}
	})
}
