package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

func (l checklist) transport() []question {
	rs := l.ResourceServer
	return []question{
		{"issuer", func() verdict { return l.https(l.Issuer, l.TLS, "trusted_proxies", l.TrustedProxies) }},
		{"resource", func() verdict {
			return l.https(l.Audience(), rs.TLS, "resource_server.trusted_proxies", rs.TrustedProxies)
		}},
		{"require_https", l.requireHTTPS},
		{"localhost_only", l.localhostOnly},
		{"trusted_proxies", l.proxies},
	}
}

// https judges the address of a server.
func (checklist) https(address string, own settings.TLS, key string, proxies []string) verdict {
	switch {
	case !strings.HasPrefix(address, "https://"):
		return fail("use an https address, and tls or a proxy that terminates it", "%s is plain http", address)
	case own.Certificate != "":
		return certificateVerdict(address, own.Certificate)
	case len(proxies) == 0:
		return warn("name it in "+key, "%s: TLS ends at a proxy whose word counts for nothing, so that all people share one address", address)
	}
	return ok("%s, TLS ends at a proxy in %s", address, strings.Join(proxies, ", "))
}

func (l checklist) requireHTTPS() verdict {
	switch rs := l.ResourceServer; {
	case rs.TLS.Certificate != "":
		return ok("the resource server speaks TLS and nothing else")
	case rs.RequireHTTPS:
		return ok("a request that came by plain http is refused")
	default:
		return fail("set resource_server.require_https: true", "a token that was sent by plain http is accepted")
	}
}

func (l checklist) localhostOnly() verdict {
	rs := l.ResourceServer
	host, _, _ := net.SplitHostPort(rs.Listen)
	switch here := settings.IsLoopback(host); {
	case rs.LocalhostOnly && len(rs.AllowedIPs) == 0 && len(rs.TrustedProxies) > 0:
		return fail("set resource_server.localhost_only: false, or name who may connect in allowed_ips",
			"the proxies say whom a request is from, and only this machine may connect")
	case rs.LocalhostOnly && len(rs.AllowedIPs) == 0 && !here:
		return fail("set resource_server.localhost_only: false, or name who may connect in allowed_ips", "it listens on %s, and only this machine may connect", rs.Listen)
	case rs.LocalhostOnly:
		return ok("who may connect: %s", strings.Join(append([]string{"this machine"}, rs.AllowedIPs...), ", "))
	case len(rs.AllowedIPs) > 0:
		return ok("who may connect: %s", strings.Join(rs.AllowedIPs, ", "))
	default:
		return ok("everybody who can reach %s may connect, and needs a token", rs.Listen)
	}
}

// proxies judges whose word is believed.
func (l checklist) proxies() verdict {
	for _, text := range slices.Concat(l.TrustedProxies, l.ResourceServer.TrustedProxies) {
		networks, err := settings.Networks([]string{text})
		if err != nil || !isOwn(networks[0]) && networks[0].Addr().BitLen()-networks[0].Bits() > 8 {
			return warn("name the proxies' own addresses", "%s are many machines, each of which may say that it speaks for anybody", text)
		}
	}
	if len(l.TrustedProxies)+len(l.ResourceServer.TrustedProxies) == 0 {
		return ok("there are none; the address of a connection counts")
	}
	return ok("only in networks of one's own")
}

// isOwn reports whether no address of a network is on the internet.
func isOwn(network netip.Prefix) bool {
	own, err := settings.Networks([]string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1",
	})
	return err == nil && slices.ContainsFunc(own, func(o netip.Prefix) bool {
		return o.Bits() <= network.Bits() && o.Contains(network.Addr())
	})
}

func (l checklist) access() []question {
	return []question{
		{"allowed_origins", l.origins},
		{"cors", l.cors},
		{"auth_exempt_paths", l.exemptPaths},
		{"rate_limits", l.rateLimits},
		{"security_headers", l.securityHeaders},
	}
}

func (l checklist) origins() verdict {
	const better = "name the origins of your own pages in resource_server.allowed_origins"
	list := l.ResourceServer.AllowedOrigins
	for _, origin := range list {
		u, err := url.Parse(origin)
		switch {
		case matchesStrangers(origin):
			return fail(better, "%s lets pages of strangers call", origin)
		case err == nil && u.Scheme == "http" && !settings.IsLoopback(u.Hostname()):
			return warn(better+", with https", "whoever is on the way can change pages of %s", origin)
		}
	}
	if len(list) == 0 {
		return ok("only pages of the resource's own origin may call")
	}
	return ok("only pages of %s may call", strings.Join(list, ", "))
}

// matchesStrangers reports whether a regular expression is satisfied by hosts
// that nobody has anything to do with.
func matchesStrangers(origin string) bool {
	expression, found := strings.CutPrefix(origin, "/")
	if !found {
		return false
	}
	compiled, err := regexp.Compile(`\A(?i:` + strings.TrimSuffix(expression, "/") + `)\z`)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(strangers(expression), func(host string) bool {
		return compiled.MatchString(host) || compiled.MatchString("https://"+host) || compiled.MatchString("http://"+host)
	})
}

// strangers are hosts of nobody, some of which look like those that an
// expression names: it may want the dot before a domain, or the end behind it.
func strangers(expression string) []string {
	hosts := []string{"a.example-of-nobody.invalid", "203.0.113.77"}
	for _, top := range []string{"test", "com", "net", "org", "io", "dev", "app", "ai", "co", "eu"} {
		hosts = append(hosts, "gatehouse-stranger."+top)
	}
	domain := regexp.MustCompile(`[a-z0-9-]+\.(?:[a-z]{2,3}\.[a-z]{2}|[a-z]{2,})\b`) // example.com, example.co.uk
	for _, name := range domain.FindAllString(strings.ReplaceAll(expression, `\.`, "."), -1) {
		hosts = append(hosts, "stranger"+name, "a."+name+".gatehouse-stranger.test")
	}
	return hosts
}

func (l checklist) cors() verdict {
	switch rs := l.ResourceServer; {
	case !rs.CORSEnabled:
		return ok("off: no script in a browser reads answers")
	case slices.Contains(rs.CORSOrigins, "*"):
		return warn("name origins in resource_server.cors_origins, or leave it out", `cors_origins is "*": scripts of any page that may call read answers`)
	case slices.ContainsFunc(rs.CORSOrigins, matchesStrangers):
		return fail("name origins in resource_server.cors_origins", "cors_origins lets scripts of strangers read answers")
	}
	return ok("only scripts of pages that may call read answers, without cookies")
}

func (l checklist) exemptPaths() verdict {
	var others []string
	for _, path := range l.ResourceServer.AuthExemptPaths {
		if !slices.Contains([]string{pathHealth, pathStatus, pathReady, pathMetrics}, path) {
			others = append(others, path)
		}
	}
	if len(others) > 0 {
		return warn("see whether that is meant", "%s need no token", strings.Join(others, ", "))
	}
	return ok("only probes need no token")
}

func (l checklist) rateLimits() verdict {
	const better = "leave resource_server.rate_limits out, or set limits"
	switch limits := l.ResourceServer.RateLimits; {
	case limits.PerAddress < 0:
		return fail(better, "one address may send any number of requests")
	case limits.PerPrincipal < 0:
		return warn(better, "one client may send any number of requests")
	case limits.PerAddress > 100_000 || limits.PerPrincipal > 100_000 || l.Settings.RateLimits.RequestsPerMinute > 6000:
		return warn(better, "the limits are so high that they stop nobody")
	default:
		return ok("%d requests per minute and address, %d per client; %d at the authorization server",
			limits.PerAddress, limits.PerPrincipal, l.Settings.RateLimits.RequestsPerMinute)
	}
}

func (l checklist) securityHeaders() verdict {
	for name, value := range l.ResourceServer.SecurityHeaders {
		weak := map[string]string{
			"Strict-Transport-Security": `\bmax-age="?0*("|;|$)`, "X-Content-Type-Options": `^[^n]`, "X-Frame-Options": `^[^DdSs]`,
			"Content-Security-Policy": `\*|unsafe-`, "Referrer-Policy": `unsafe-url`,
		}[http.CanonicalHeaderKey(name)]
		switch {
		case value == "":
			return warn("leave it out of resource_server.security_headers", "answers have no %s", name)
		case weak != "" && regexp.MustCompile(weak).MatchString(strings.TrimSpace(value)):
			return warn("leave it out of resource_server.security_headers", "%s: %s protects nobody", name, value)
		}
	}
	return ok("on every answer")
}
