package settings

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
)

// Networks reads a list of addresses and networks.
func Networks(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, err
		}
		out = append(out, network)
	}
	return out, nil
}

// parseNetwork reads an address or a network in CIDR form; what is mapped into
// IPv6 is what it is in IPv4.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return address.Prefix(address.BitLen())
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address or a network such as 10.0.0.0/8", text)
	}
	if network.Masked() != network {
		return netip.Prefix{}, fmt.Errorf("%q is an address within a network; did you mean %q?", text, network.Masked())
	}
	const mapped = 96 // bits of ::ffff:0:0/96
	if network.Addr().Is4In6() && network.Bits() >= mapped {
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mapped)
	}
	return network, nil
}

// networks checks a list and returns what is right of it, at its place.
func (c *checker) networks(key string, list []string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		network, err := parseNetwork(text)
		if err != nil {
			c.require(err, at)
			continue
		}
		for j, other := range out[:i] {
			if other.Bits() > 0 && other.Bits() <= network.Bits() && other.Contains(network.Addr()) {
				c.fail(at, "%q is within %q, which stands here too", text, list[j])
				break
			}
		}
		out[i] = network
	}
	return out
}

// proxies checks networks whose word is believed.
func (c *checker) proxies(key string, list []string) {
	for i, network := range c.networks(key, list) {
		if network.IsValid() && network.Bits() == 0 {
			c.fail(fmt.Sprintf("%s[%d]", key, i), "%q trusts everybody, so that anybody could say that they are somebody else", list[i])
		}
	}
}

// checkNetwork is about who may connect, how, and how often.
func (r ResourceServer) checkNetwork(c *checker, s Settings) {
	const here = "resource_server."
	c.proxies(here+"trusted_proxies", r.TrustedProxies)
	for i, network := range c.networks(here+"allowed_ips", r.AllowedIPs) {
		at := fmt.Sprintf("%sallowed_ips[%d]", here, i)
		switch {
		case !network.IsValid():
		case network.Bits() == 0:
			c.fail(at, "%q is everybody; use localhost_only: false and no allowed_ips", r.AllowedIPs[i])
		case r.LocalhostOnly && network.Addr().IsLoopback():
			c.fail(at, "%q may connect in any case, because of localhost_only", r.AllowedIPs[i])
		case !network.Addr().IsLoopback() && r.listensForItself() && len(r.TrustedProxies) == 0:
			c.fail(at, "%q cannot reach listen: %s; listen on another address, or name a proxy in trusted_proxies", r.AllowedIPs[i], r.Listen)
		}
	}
	if r.RequireHTTPS && r.TLS.Certificate == "" && len(r.TrustedProxies) == 0 {
		c.fail(here+"require_https", "refuses everybody without tls, or a proxy in trusted_proxies that says how it was reached")
	}
	seen := map[string]bool{hostOf(s.Audience()): true}
	for i, host := range r.AllowedHosts {
		at := fmt.Sprintf("%sallowed_hosts[%d]", here, i)
		switch {
		case !isAuthority(host):
			c.fail(at, "%q is not a host such as mcp.internal:8080", host)
		case seen[host]:
			c.fail(at, "%q is allowed already", host)
		}
		seen[host] = true
	}
	for key, limit := range map[string]int{"per_address": r.RateLimits.PerAddress, "per_principal": r.RateLimits.PerPrincipal} {
		if limit != -1 && (limit < 1 || limit > maxRate) {
			c.fail(here+"rate_limits."+key, "must be between 1 and %d, or -1 for no limit", maxRate)
		}
	}
	if r.MaxHeaders < 20 || r.MaxHeaders > 1000 {
		c.fail(here+"max_headers", "must be between 20 and 1000")
	}
	if r.MaxBody < 1<<10 || r.MaxBody > 1<<30 {
		c.fail(here+"max_body", "must be between 1KiB and 1GiB")
	}
}

// listensForItself reports whether only this machine can reach the server.
func (r ResourceServer) listensForItself() bool {
	host, _, err := net.SplitHostPort(r.Listen)
	return err == nil && IsLoopback(host)
}

// isAuthority reports whether s is host or host:port, as a Host header has it.
func isAuthority(s string) bool {
	parts := regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|\[([0-9A-Fa-f:.]+)\])(?::([1-9][0-9]*))?$`).FindStringSubmatch(s)
	if parts == nil {
		return false
	}
	if address, port := parts[1], parts[2]; address != "" || port != "" {
		ip, err := netip.ParseAddr(address)
		number, portErr := strconv.ParseUint(port, 10, 16)
		return (address == "" || err == nil && ip.Is6()) && (port == "" || portErr == nil && number > 0)
	}
	return true
}

// hostOf returns the authority of a URL, empty if there is none.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// resourcePath returns the path of the resource as it stands in a request.
func (s Settings) resourcePath() string {
	u, err := url.Parse(s.Audience())
	if err != nil || u.EscapedPath() == "" {
		return "/"
	}
	return u.EscapedPath()
}
