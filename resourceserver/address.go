package resourceserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// addresses tells whom a request is from, and whether they may connect.
type addresses struct {
	proxies []netip.Prefix // believed about the hop before them
	allowed []netip.Prefix
	remote  bool // other machines may connect
}

// sender is whom a request is from. Client is not valid when a trusted proxy
// does not tell. Proto is how the nearest trusted proxy was reached, in lower
// case; empty if there is no such proxy, or if it does not tell.
type sender struct {
	client netip.Addr
	proto  string
}

func newAddresses(cfg Config) (*addresses, error) {
	a := &addresses{remote: cfg.AllowRemote}
	var err error
	if a.proxies, err = networks(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	if a.allowed, err = networks(cfg.AllowedIPs); err != nil {
		return nil, fmt.Errorf("allowed addresses: %w", err)
	}
	return a, nil
}

// networks returns the list in the form in which addresses are compared: what
// is mapped into IPv6 is IPv4.
func networks(list []netip.Prefix) ([]netip.Prefix, error) {
	out := slices.Clone(list)
	for i, network := range out {
		if !network.IsValid() {
			return nil, errors.New("a network is not valid")
		}
		const mapped = 96 // bits of ::ffff:0:0/96
		if network.Addr().Is4In6() && network.Bits() >= mapped {
			out[i] = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mapped)
		}
	}
	return out, nil
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	for _, network := range list {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// may reports whether the client may connect. One that nobody knows may only
// where everybody may.
func (a *addresses) may(client netip.Addr) bool {
	if a.remote && len(a.allowed) == 0 || contains(a.allowed, client) {
		return true
	}
	return !a.remote && client.IsLoopback()
}

// errContradiction: a proxy sets one of the headers; the other is whoever
// sends requests through it.
var errContradiction = errors.New("the headers Forwarded and X-Forwarded-* contradict each other")

// sender finds out whom r is from. The headers of proxies count only if the
// peer is trusted, and of them only what trusted proxies wrote.
func (a *addresses) sender(r *http.Request) (sender, error) {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // a socket without addresses has peers that nobody knows
	from := sender{client: canonical(peer.Addr())}
	if len(a.proxies) == 0 || !contains(a.proxies, from.client) {
		return from, nil
	}
	common, inUse := a.xForwarded(r.Header, from)
	standard := r.Header["Forwarded"]
	if len(standard) == 0 {
		return common, nil
	}
	said := a.forwarded(standard, from)
	if inUse && said != common {
		return from, errContradiction
	}
	return said, nil
}

// xForwarded reads X-Forwarded-For and X-Forwarded-Proto, and reports whether
// there is any of them.
func (a *addresses) xForwarded(h http.Header, peer sender) (sender, bool) {
	chain, proto := h["X-Forwarded-For"], h["X-Forwarded-Proto"]
	from := sender{client: a.walk(peer.client, chain, parseNode)}
	if len(proto) > 0 {
		_, last, _ := cutLast(proto[len(proto)-1])
		from.proto = strings.ToLower(strings.TrimSpace(last))
	}
	return from, len(chain)+len(proto) > 0
}

// forwarded reads the values of Forwarded (RFC 7239 §4).
func (a *addresses) forwarded(values []string, peer sender) sender {
	from := sender{client: a.walk(peer.client, values, func(element string) netip.Addr {
		node, _ := parseForwarded(element)
		return parseNode(node)
	})}
	_, last, _ := cutLast(values[len(values)-1])
	_, from.proto = parseForwarded(last)
	return from
}

// walk follows the hops that the lines of a header name, from the right, for
// as long as whoever wrote them is trusted. It returns the first that is not,
// or an address that is not valid where a trusted proxy does not tell.
func (a *addresses) walk(client netip.Addr, lines []string, parse func(string) netip.Addr) netip.Addr {
	for _, line := range slices.Backward(lines) {
		for more := true; more; {
			if !contains(a.proxies, client) {
				return client
			}
			var element string
			line, element, more = cutLast(line)
			client = parse(element)
		}
	}
	return client
}

// parseNode returns the address of a node (RFC 7239 §6), or of an element of
// X-Forwarded-For: with or without port and brackets. It is not valid for
// "unknown", an obfuscated identifier and everything else.
func parseNode(node string) netip.Addr {
	host, port := strings.TrimSpace(node), ""
	if inside, found := strings.CutPrefix(host, "["); found {
		if host, port, found = strings.Cut(inside, "]"); !found || !strings.Contains(host, ":") {
			return netip.Addr{}
		}
	} else if at := strings.IndexByte(host, ':'); at >= 0 && at == strings.LastIndexByte(host, ':') {
		host, port = host[:at], host[at:]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || port != "" && !isNodePort(port) {
		return netip.Addr{}
	}
	return canonical(addr)
}

// isNodePort reports whether s is a colon with a port or an obfuscated one.
func isNodePort(s string) bool {
	port, found := strings.CutPrefix(s, ":")
	return found && (isPort(port) || strings.HasPrefix(port, "_"))
}

// canonical returns the one form in which addresses are compared.
func canonical(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
