package authserver

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// Limits count whom the request is from: not the proxy in front, and nobody
// whom a client makes up.
func TestAddress_BehindProxies(t *testing.T) {
	t.Parallel()
	s := &Server{cfg: Config{TrustedProxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
	}}}
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.7:4711", nil, "203.0.113.7"},
		{"a stranger who says that he is one", "203.0.113.7:4711", []string{"198.51.100.1"}, "203.0.113.7"},
		{"one proxy", "10.0.0.1:4711", []string{"203.0.113.7"}, "203.0.113.7"},
		{"mapped", "[::ffff:10.0.0.1]:4711", []string{"203.0.113.7"}, "203.0.113.7"},
		{"what the client made up", "10.0.0.1:4711", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		{"in a header of its own", "10.0.0.1:4711", []string{"198.51.100.1", "203.0.113.7"}, "203.0.113.7"},
		{"two proxies", "10.0.0.1:4711", []string{"198.51.100.1,203.0.113.7 , 10.9.9.9"}, "203.0.113.7"},
		{"with ports", "10.0.0.1:4711", []string{"203.0.113.7:99,[fd00::1]:80"}, "203.0.113.7"},
		{"a subscriber's network", "[fd00::1]:4711", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"garbage before it", "10.0.0.1:4711", []string{"<script>, 203.0.113.7"}, "203.0.113.7"},
		{"garbage", "10.0.0.1:4711", []string{"203.0.113.7, unknown"}, "10.0.0.1"},
		{"nothing", "10.0.0.1:4711", []string{""}, "10.0.0.1"},
		{"only proxies", "10.0.0.1:4711", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = test.peer, test.forwarded
		r.RemoteAddr = s.peer(r)
		if got := remoteAddress(r); got != test.want {
			t.Errorf("%s: %s", test.name, got)
		}
	}
	direct := httptest.NewRequest(http.MethodGet, "/", nil)
	direct.RemoteAddr = "10.0.0.1:4711"
	direct.Header.Set("X-Forwarded-For", "203.0.113.7")
	if got := (&Server{}).peer(direct); got != direct.RemoteAddr {
		t.Errorf("without trusted proxies: %s", got)
	}
}
