package resourceserver

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestSeed_S02_AllowedIPs(t *testing.T) {
	t.Parallel()
	list := prefixes("192.0.2.7/32", "198.51.100.0/24", "2001:db8:1::/48", "::ffff:203.0.113.0/120")
	beside := newGate(t, func(c *Config) { c.AllowedIPs = list })
	only := newGate(t, func(c *Config) { c.AllowedIPs, c.AllowRemote = list, true })
	everybody := newGate(t, func(c *Config) { c.AllowRemote = true })
	for _, c := range []struct {
		remote                  string
		beside, only, everybody bool
	}{
		{"192.0.2.7:1", true, true, true}, {"[::ffff:192.0.2.7]:1", true, true, true}, {"192.0.2.8:1", false, false, true},
		{"198.51.100.255:1", true, true, true}, {"198.51.101.0:1", false, false, true}, {"203.0.113.5:1", true, true, true}, {"203.0.114.5:1", false, false, true},
		{"[2001:db8:1:ffff::1]:1", true, true, true}, {"[2001:db8:2::1]:1", false, false, true},
		{"127.0.0.1:1", true, false, true}, {"[::1]:1", true, false, true}, {"", false, false, true},
	} {
		for g, want := range map[*gate]bool{beside: c.beside, only: c.only, everybody: c.everybody} {
			if got := g.knock(t, c.remote, nil); (got == "") != want || !want && got != CodeIPNotAllowed {
				t.Errorf("from %q: %q, want allowed: %v", c.remote, got, want)
			}
		}
	}
	refusedConfig(t, func(c *Config) { c.AllowedIPs = []netip.Prefix{{}} })
	refusedConfig(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{{}} })
}

func TestSeed_S02_ClientBehindProxies(t *testing.T) {
	t.Parallel()
	a, err := newAddresses(Config{TrustedProxies: prefixes("10.0.0.0/8", "127.0.0.1/32", "2001:db8:a::/48", "::ffff:172.16.0.0/108")})
	if err != nil {
		t.Fatal(err)
	}
	const unknown = "invalid IP"
	for _, c := range []struct{ peer, forwardedFor, forwarded, want string }{
		{"192.0.2.1:1", "203.0.113.9", "", "192.0.2.1"}, {"192.0.2.1:1", "", "for=203.0.113.9", "192.0.2.1"},
		{"10.0.0.1:1", "", "", "10.0.0.1"}, {"10.0.0.1:1", "203.0.113.9", "", "203.0.113.9"}, {"[::ffff:10.0.0.1]:1", "203.0.113.9", "", "203.0.113.9"},
		{"172.16.0.1:1", "203.0.113.9", "", "203.0.113.9"}, {"172.32.0.1:1", "203.0.113.9", "", "172.32.0.1"},
		{"10.0.0.1:1", "127.0.0.1, 203.0.113.9", "", "203.0.113.9"}, {"10.0.0.1:1", "127.0.0.1,203.0.113.9 , 10.0.0.2,10.0.0.3", "", "203.0.113.9"},
		{"10.0.0.1:1", "127.0.0.1\n203.0.113.9", "", "203.0.113.9"}, {"10.0.0.1:1", "127.0.0.1, 203.0.113.9\n10.0.0.2", "", "203.0.113.9"},
		{"10.0.0.1:1", "10.0.0.4, 10.0.0.3", "", "10.0.0.4"}, // nobody but proxies
		{"10.0.0.1:1", "203.0.113.9:4711", "", "203.0.113.9"}, {"10.0.0.1:1", "[2001:db8::1]:4711", "", "2001:db8::1"}, {"10.0.0.1:1", "[2001:db8::1]", "", "2001:db8::1"},
		{"10.0.0.1:1", "2001:db8::1", "", "2001:db8::1"}, {"10.0.0.1:1", "::ffff:203.0.113.9", "", "203.0.113.9"}, {"10.0.0.1:1", "fe80::1%eth0", "", "fe80::1"},
		{"10.0.0.1:1", "203.0.113.9, ", "", unknown}, {"10.0.0.1:1", "\n", "", unknown}, {"10.0.0.1:1", "127.0.0.1, unknown", "", unknown}, {"10.0.0.1:1", "127.0.0.1, x, 10.0.0.2", "", unknown},
		{"10.0.0.1:1", "127.0.0.1, 203.0.113.9:99999", "", unknown}, {"10.0.0.1:1", "[127.0.0.1]", "", unknown}, {"10.0.0.1:1", "[2001:db8::1", "", unknown}, {"10.0.0.1:1", "[::1]x", "", unknown},
		{"10.0.0.1:1", "", "for=203.0.113.9", "203.0.113.9"}, {"10.0.0.1:1", "", "For=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"}, {"10.0.0.1:1", "", `proto=https ; for="203.0.113.9:80"`, "203.0.113.9"},
		{"10.0.0.1:1", "", `for="[2001:db8::1]:4711"`, "2001:db8::1"}, {"10.0.0.1:1", "", `for="[2001:db8::1]"`, "2001:db8::1"}, {"10.0.0.1:1", "", `for="203.0.113.9:_x"`, "203.0.113.9"},
		{"10.0.0.1:1", "", `for=127.0.0.1, for=203.0.113.9, for="[2001:db8:a::1]"`, "203.0.113.9"}, {"10.0.0.1:1", "", "for=127.0.0.1\nfor=203.0.113.9\nfor=10.0.0.2", "203.0.113.9"},
		{"10.0.0.1:1", "", `for="127.0.0.1, for=203.0.113.9`, "203.0.113.9"},                        // a quote left open
		{"10.0.0.1:1", "", `for=127.0.0.1;x="\, for=203.0.113.9`, "203.0.113.9"},                    // and one escaped
		{"10.0.0.1:1", "", `for=127.0.0.1, host="a, for=127.0.0.1";for=203.0.113.9`, "203.0.113.9"}, // within a value of the proxy
		{"10.0.0.1:1", "", `for=127.0.0.1, host="a\", for=1.1.1.1";for=203.0.113.9`, "203.0.113.9"}, // with an escape
		{"10.0.0.1:1", "", "for=unknown", unknown}, {"10.0.0.1:1", "", "for=_hidden", unknown}, {"10.0.0.1:1", "", "for=_hidden, for=10.0.0.2", unknown},
		{"10.0.0.1:1", "", "for=127.0.0.1, proto=https", unknown}, {"10.0.0.1:1", "", "for=127.0.0.1;for=203.0.113.9", unknown}, {"10.0.0.1:1", "", "for", unknown}, {"10.0.0.1:1", "", "for=", unknown},
		{"10.0.0.1:1", "", `for="203.0.113.9`, unknown}, {"10.0.0.1:1", "", `for="203.0.113.9"x`, unknown}, {"10.0.0.1:1", "", "for=203.0.113.9 proto=https", unknown}, {"10.0.0.1:1", "", "\n", unknown},
		{"10.0.0.1:1", "", "for=203.0.113.9;a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1", "203.0.113.9"},
		{"10.0.0.1:1", "", "for=203.0.113.9;a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1", unknown}, // nobody's proxy
		{"10.0.0.1:1", "203.0.113.9", "for=203.0.113.9", "203.0.113.9"}, {"10.0.0.1:1", "10.0.0.2", `for="[::ffff:10.0.0.2]"`, "10.0.0.2"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		for name, value := range map[string]string{"X-Forwarded-For": c.forwardedFor, "Forwarded": c.forwarded} {
			if value != "" {
				r.Header[name] = strings.Split(value, "\n")
			}
		}
		from, err := a.sender(r)
		if err != nil || from.client.String() != c.want {
			t.Errorf("%+v: %v %v", c, from, err)
		}
	}
}

func TestSeed_S02_ContradictionIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.AllowRemote, c.TrustedProxies = true, prefixes("10.0.0.0/8") })
	for _, c := range []struct{ forwardedFor, proto, forwarded, want string }{
		{"203.0.113.9", "", "for=127.0.0.1", CodeInvalidRequest}, {"203.0.113.9", "", "for=unknown", CodeInvalidRequest}, {"unknown", "", "for=203.0.113.9", CodeInvalidRequest},
		{"203.0.113.9", "", "for=203.0.113.9;proto=https", CodeInvalidRequest}, {"203.0.113.9", "http", "for=203.0.113.9;proto=https", CodeInvalidRequest},
		{"", "https", "for=203.0.113.9;proto=https", CodeInvalidRequest}, {"203.0.113.9", "", "", ""}, {"203.0.113.9", "https", "for=203.0.113.9;proto=https", ""},
	} {
		edit := func(r *http.Request) {
			for name, value := range map[string]string{"X-Forwarded-For": c.forwardedFor, "X-Forwarded-Proto": c.proto, "Forwarded": c.forwarded} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
		}
		if got := g.knock(t, "10.0.0.1:1", edit); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
		if got := g.knock(t, "192.0.2.1:1", edit); got != "" { // who is not believed contradicts nobody
			t.Errorf("%+v from elsewhere: %q", c, got)
		}
	}
}

func TestSeed_S01_S02_WhomAProxyHidesIsNotAllowed(t *testing.T) {
	t.Parallel()
	hidden := func(r *http.Request) { r.Header.Set("Forwarded", "for=127.0.0.1, for=_hidden") }
	for want, configure := range map[string]func(*Config){
		CodeIPNotAllowed: func(c *Config) { c.AllowedIPs = prefixes("0.0.0.0/0", "::/0") },
		"":               func(c *Config) { c.AllowRemote = true },
	} {
		g := newGate(t, func(c *Config) {
			c.TrustedProxies = prefixes("127.0.0.1/32")
			configure(c)
		})
		if got := g.knock(t, "127.0.0.1:1", hidden); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// FuzzForwarded: whatever a client sends in front of what the trusted proxies
// write, in the same line or in an earlier one, the answer is the first hop
// that is not trusted. The chain that the proxies write is made from seed.
func FuzzForwarded(f *testing.F) {
	for i, garbage := range []string{"", "for=127.0.0.1", `for="127.0.0.1`, `x="\`, `\"`, ",", `","`, `for="a\\"`, ";;;", "for=10.0.0.9", "127.0.0.1", "10.0.0.9, ", "\x00\xff"} {
		f.Add(garbage, uint64(i))
	}
	a, err := newAddresses(Config{TrustedProxies: prefixes("10.0.0.0/8", "2001:db8:a::/48")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, garbage string, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		client := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.UintN(256))})
		if random.UintN(2) == 0 {
			client = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0xb, 15: byte(random.UintN(256))})
		}
		chain := []netip.Addr{client}
		for range random.UintN(4) {
			chain = append(chain, netip.AddrFrom4([4]byte{10, 0, 0, byte(random.UintN(256))}))
		}
		common, standard := []string{garbage}, []string{garbage}
		for _, hop := range chain {
			common = extend(random, common, hop.String())
			standard = extend(random, standard, forwardedElement(random, hop))
		}
		for name, lines := range map[string][]string{"X-Forwarded-For": common, "Forwarded": standard} {
			from, err := a.sender(&http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{name: lines}})
			if err != nil || from.client != client {
				t.Errorf("%s %q: %v %v, want %v", name, lines, from, err, client)
			}
			if name == "Forwarded" && from.proto != "https" {
				t.Errorf("%q: proto %q", lines, from.proto)
			}
		}
		// By itself the garbage is refused or a chain, never a panic.
		_, _ = a.sender(&http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"Forwarded": {garbage}, "X-Forwarded-For": {garbage}}})
	})
}

// extend appends an element as proxies do: to the last line, or as a new one.
func extend(random *rand.Rand, lines []string, element string) []string {
	if random.UintN(2) == 0 {
		return append(lines, element)
	}
	lines[len(lines)-1] += [...]string{",", ", "}[random.UintN(2)] + element
	return lines
}

// forwardedElement writes an element in one of the forms that RFC 7239 allows.
func forwardedElement(random *rand.Rand, hop netip.Addr) string {
	node := hop.String()
	switch port := random.UintN(3); {
	case hop.Is6() && port == 0:
		node = fmt.Sprintf(`"[%s]"`, hop)
	case hop.Is6():
		node = fmt.Sprintf(`"[%s]:%d"`, hop, 1+random.UintN(65535))
	case port == 0:
		node = `"` + node + `:_obfuscated"`
	case port == 1:
		node = `"` + node + `"`
	}
	pairs := []string{"for=" + node, "PROTO=https", `host="a,b;\"for=127.0.0.1\\"`, "by=_proxy"}
	random.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	return strings.Join(pairs, [...]string{";", "; "}[random.UintN(2)])
}
