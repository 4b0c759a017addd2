package resourceserver

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// network decides which Host and Origin headers may reach the resource, on
// every verb: it is what stops DNS rebinding and cross-site requests (MCP,
// Streamable HTTP, security warning).
type network struct {
	scheme   string
	hosts    []string // authorities in canonical form
	origins  *originSet
	loopback bool // the resource is on this machine
}

func newNetwork(resource *url.URL, hosts, origins []string) (*network, error) {
	n := &network{scheme: resource.Scheme, loopback: isLoopback(resource.Hostname())}
	for _, host := range append([]string{resource.Host}, hosts...) {
		canonical := authority(n.scheme, host)
		if canonical == "" {
			return nil, fmt.Errorf("host %q: not a name or an address, and a port", host)
		}
		n.hosts = append(n.hosts, canonical)
	}
	var err error
	if n.origins, err = newOriginSet(append([]string{resource.Scheme + "://" + resource.Host}, origins...)); err != nil {
		return nil, fmt.Errorf("allowed origin %w", err)
	}
	return n, nil
}

// host reports whether the Host header names the resource. On loopback every
// loopback name does, with any port: proxies and port mappings change it, and
// a page cannot make a foreign name out of them.
func (n *network) host(host string) bool {
	if slices.Contains(n.hosts, host) || slices.Contains(n.hosts, authority(n.scheme, host)) {
		return true
	}
	name, _, ok := splitAuthority(host)
	return ok && n.loopback && isLoopback(strings.Trim(name, "[]"))
}

// isLiteral reports whether the Host header is an IP address. A load balancer
// probes by address; a name that was rebound never looks like one.
func isLiteral(host string) bool {
	name, _, ok := splitAuthority(host)
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return ok && err == nil
}

// origin returns the one Origin of a request with that Host, if it may call.
// On loopback, an origin may that has the port which the client dialled.
func (n *network) origin(values []string, host string) (origin, bool) {
	if len(values) != 1 {
		return origin{}, false
	}
	o, ok := parseOrigin(values[0])
	if !ok || n.origins.match(o) {
		return o, ok
	}
	_, port, _ := splitAuthority(host)
	if port == "" {
		port = defaultPort(n.scheme)
	}
	return o, n.loopback && o.scheme == n.scheme && o.port == port && isLoopback(strings.Trim(o.host, "[]"))
}

// authority returns host[:port] in canonical form, without the scheme's own
// port; empty if it is malformed.
func authority(scheme, s string) string {
	host, port, ok := splitAuthority(s)
	switch {
	case !ok:
		return ""
	case port == "" || port == defaultPort(scheme):
		return host
	}
	return host + ":" + port
}
