package resourceserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSeed_S23_PerAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, func(c *Config) { c.AllowRemote, c.RateLimits.PerAddress = true, 30 }) // 3 at once, one each 2 s
		get := func(door http.Handler, remote string) *httptest.ResponseRecorder {
			return ask(door, http.MethodGet, publicMCP, remote, func(r *http.Request) { r.Header = http.Header{} })
		}
		for i, door := range []http.Handler{g.protect, g.edge, g.metadata} { // one count for all doors
			if a := get(door, "192.0.2.1:1"); a.Code == http.StatusTooManyRequests {
				t.Errorf("door %d: %d", i, a.Code)
			}
		}
		for _, door := range []http.Handler{g.protect, g.edge, g.metadata} {
			a := get(door, "192.0.2.1:2") // another port is the same address
			if code(t, a) != CodeRateLimited || a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") != "2" || a.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%d %v", a.Code, a.Header())
			}
		}
		if a := get(g.edge, "192.0.2.2:1"); a.Code != http.StatusOK {
			t.Errorf("another address: %d", a.Code)
		}
		time.Sleep(1500 * time.Millisecond) // what was refused was not counted
		if a := get(g.edge, "192.0.2.1:1"); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") != "1" {
			t.Errorf("too early: %d %v", a.Code, a.Header())
		}
		time.Sleep(500 * time.Millisecond)
		if a := get(g.edge, "192.0.2.1:1"); a.Code != http.StatusOK {
			t.Errorf("in time: %d", a.Code)
		}
	})
}

func TestSeed_S23_PerAddressBehindAProxy(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) {
		c.AllowRemote, c.RateLimits.PerAddress, c.TrustedProxies = true, 10, prefixes("10.0.0.0/8") // one at once
	})
	from := func(peer, client string) bool {
		a := ask(g.edge, http.MethodGet, publicMCP, peer, func(r *http.Request) { r.Header.Set("X-Forwarded-For", client) })
		return a.Code == http.StatusOK
	}
	for i, c := range []struct {
		peer, client string
		passes       bool
	}{
		{"10.0.0.1:1", "192.0.2.1", true}, {"10.0.0.2:1", "192.0.2.1", false}, {"10.0.0.1:1", "192.0.2.2", true},
		{"192.0.2.9:1", "203.0.113.1", true}, {"192.0.2.9:1", "203.0.113.2", false}, // who is not believed cannot be many
		{"10.0.0.1:1", "203.0.113.3, 192.0.2.3", true}, {"10.0.0.1:1", "203.0.113.4, 192.0.2.3", false},
		{"10.0.0.1:1", "2001:db8::1", true}, {"10.0.0.1:1", "2001:db8::ffff:2", false}, {"10.0.0.1:1", "2001:db8:0:1::1", true}, // a /64
		{"10.0.0.1:1", "unknown", true}, {"10.0.0.1:1", "hidden", false}, // all that nobody knows are one
		{"10.0.0.1:1", "::ffff:192.0.2.4", true}, {"10.0.0.1:1", "192.0.2.4", false},
	} {
		if got := from(c.peer, c.client); got != c.passes {
			t.Errorf("%d, %s for %s: %v", i, c.peer, c.client, got)
		}
	}
}

func TestSeed_S23_PerPrincipal(t *testing.T) {
	t.Parallel()
	const other = "another-token-of-thirty-two-bytes"
	g := newGate(t, func(c *Config) {
		c.AllowRemote, c.RateLimits = true, RateLimits{PerAddress: -1, PerPrincipal: 10} // one at once
		c.StaticTokens = append(c.StaticTokens, StaticToken{Name: "other", Token: other, Scopes: []string{"mcp:read"}})
	})
	post := func(token, remote string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, publicMCP, strings.NewReader(listTools))
		r.RemoteAddr = remote
		r.Header.Set("Authorization", "Bearer "+token)
		a := httptest.NewRecorder()
		g.protect.ServeHTTP(a, r)
		return a
	}
	for range 3 { // whoever guesses is counted by address only, and spends nothing of others
		if a := post("wrong-token-of-thirty-two-bytes", "192.0.2.1:1"); a.Code != http.StatusUnauthorized {
			t.Errorf("wrong token: %d", a.Code)
		}
	}
	for i, c := range []struct {
		token, remote string
		status        int
	}{
		{robotToken, "192.0.2.1:1", 403}, {robotToken, "192.0.2.2:1", 429}, {other, "192.0.2.2:1", 403}, {other, "192.0.2.1:1", 429},
	} {
		a := post(c.token, c.remote)
		if a.Code != c.status {
			t.Errorf("%d: %d %s", i, a.Code, a.Body)
		}
		if seconds, err := strconv.Atoi(a.Header().Get("Retry-After")); c.status == 429 && (err != nil || seconds < 5 || seconds > 6 || !strings.Contains(a.Body.String(), `"id":7`)) {
			t.Errorf("%d: %v %s", i, a.Header(), a.Body)
		}
	}
}

func TestSeed_S23_BodyIsJSONRPCWhateverIsKnown(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.RateLimits.PerAddress = 10 })
	ask(g.edge, http.MethodGet, publicMCP, "127.0.0.1:1", nil)
	a := ask(g.protect, http.MethodPost, publicMCP, "127.0.0.1:1", nil)
	var body struct {
		Version string `json:"jsonrpc"`
		ID      any
		Error   struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(a.Body.Bytes(), &body); err != nil || body.Version != "2.0" || body.ID != nil || body.Error.Code >= 0 || !strings.HasPrefix(body.Error.Message, "rate_limited: ") {
		t.Errorf("%s %v", a.Body, err)
	}
}

func TestSeed_S23_NoLimit(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.RateLimits = RateLimits{PerAddress: -1, PerPrincipal: -1} })
	for range 2000 {
		if a := ask(g.protect, http.MethodGet, publicMCP, "127.0.0.1:1", nil); a.Code != http.StatusOK {
			t.Fatalf("%d", a.Code)
		}
	}
}

func TestSeed_S23_RacersShareOneLimit(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for round := range 20 {
		l, err := newLimit[netip.Addr](100) // ten at once
		if err != nil {
			t.Fatal(err)
		}
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if l.charge(netip.MustParseAddr("192.0.2.1"), now) == 0 {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if passed.Load() != 10 {
			t.Errorf("round %d: %d passed", round, passed.Load())
		}
	}
}

func TestSeed_S23_HotPathAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	addresses, err := newLimit[netip.Addr](600_000_000)
	if err != nil {
		t.Fatal(err)
	}
	principals, err := newLimit[string](600_000_000)
	if err != nil {
		t.Fatal(err)
	}
	client, principal, now := netip.MustParseAddr("2001:db8::1"), fmt.Sprint("https://as.example", "|alice|client"), time.Now()
	allocated := testing.AllocsPerRun(1000, func() {
		if addresses.charge(neighbourhood(client), now)+principals.charge(principal, now) > 0 {
			t.Error("refused")
		}
	})
	if allocated > 0.1 { // the cache drains its buffers now and then
		t.Errorf("%v allocations", allocated)
	}
}
