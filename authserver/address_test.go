package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
)

// Behind a proxy one address that uses up its quota leaves the others theirs.
func TestAddress_AS24_QuotaBehindAProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}
		c.Registration.Dynamic = authserver.DynamicRegistration{Enabled: true, PerAddress: 2}
	})
	n := 0
	register := func(peer, forwarded string) int {
		n++
		r := httptest.NewRequest(http.MethodPost, issuer+"/oauth/register", strings.NewReader(
			`{"client_name":"`+strconv.Itoa(n)+`","redirect_uris":["https://app.example/cb"]}`))
		r.RemoteAddr = peer
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", forwarded)
		return w.do(r).Code
	}
	for _, test := range []struct {
		peer, forwarded string
		want            int
	}{
		{"10.0.0.1:1", "203.0.113.7", http.StatusCreated},
		{"10.0.0.1:2", "198.51.100.9, 203.0.113.7", http.StatusCreated},
		{"10.0.0.1:3", "198.51.100.8, 203.0.113.7", http.StatusTooManyRequests},
		{"10.0.0.1:4", "203.0.113.8", http.StatusCreated},
		{"203.0.113.7:5", "198.51.100.7", http.StatusTooManyRequests},
	} {
		if got := register(test.peer, test.forwarded); got != test.want {
			t.Errorf("%s for %s: %d, want %d", test.peer, test.forwarded, got, test.want)
		}
	}
}
