package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

func (l checklist) protocol() []question {
	return []question{
		{"sessions", l.sessions},
		{"session_id_entropy", l.sessionIDs},
		{"protocol_versions", l.versions},
		{"request_size", l.requestSize},
	}
}

func (l checklist) sessions() verdict {
	switch rs := l.ResourceServer; {
	case rs.SessionTimeout > 24*time.Hour:
		return fail("set resource_server.session_timeout to 30m", "a session that is not used lives for %s", settings.ShortDuration(rs.SessionTimeout))
	case rs.SessionTimeout > time.Hour:
		return warn("set resource_server.session_timeout to 30m", "a session that is not used lives for %s", settings.ShortDuration(rs.SessionTimeout))
	case rs.MaxSessionsPerClient > 100:
		return warn("set resource_server.max_sessions_per_client to 5", "one client may hold %d sessions", rs.MaxSessionsPerClient)
	default:
		return ok("%d per client, closed after %s without a request", rs.MaxSessionsPerClient, settings.ShortDuration(rs.SessionTimeout))
	}
}

func (l checklist) sessionIDs() verdict {
	if bits := l.ResourceServer.SessionIDEntropy; bits < 256 {
		return warn("set resource_server.session_id_entropy to 256", "%d random bits", bits)
	}
	return ok("%d random bits", l.ResourceServer.SessionIDEntropy)
}

func (l checklist) versions() verdict {
	if !l.ResourceServer.EnforceProtocolVersion {
		return warn("set resource_server.enforce_protocol_version: true", "a revision of MCP that is not supported is ignored")
	}
	return ok("a revision of MCP that is not supported is refused")
}

func (l checklist) requestSize() verdict {
	if l.ResourceServer.MaxBody > 16<<20 || l.ResourceServer.MaxHeaders > 200 {
		return warn("set resource_server.max_body to 4MiB and max_headers to 100", "a request may have %s and %d headers", l.ResourceServer.MaxBody, l.ResourceServer.MaxHeaders)
	}
	return ok("at most %s and %d headers", l.ResourceServer.MaxBody, l.ResourceServer.MaxHeaders)
}

func (l checklist) watching() []question {
	return []question{
		{"metrics", l.metrics},
		{"monitoring", l.monitoring},
		{"security_log", l.securityLog},
	}
}

// metrics judges who can read them.
func (l checklist) metrics() verdict {
	const better = "set metrics_listen and resource_server.metrics_listen to an address that only Prometheus reaches"
	rs := l.ResourceServer
	exempt := slices.Contains(rs.AuthExemptPaths, pathMetrics)
	for _, server := range []struct {
		name, listen, apart string
		open                bool
		proxies             int
	}{
		{"the authorization server", l.Listen, l.MetricsListen, true, len(l.TrustedProxies)},
		{"the resource server", rs.Listen, rs.MetricsListen, exempt, len(rs.TrustedProxies)},
	} {
		switch {
		case public(server.apart):
			return warn("see that only Prometheus reaches it, or name an address of a network of your own", "/metrics of %s is at %s, by plain http", server.name, server.apart)
		case server.apart != "" || !server.open || listensHere(server.listen) && server.proxies == 0:
		case server.proxies > 0:
			return warn(better+", or refuse the path at the proxy", "/metrics of %s is where people come", server.name)
		default:
			return fail(better, "everybody can read /metrics of %s", server.name)
		}
	}
	return ok("people cannot read them")
}

// public reports whether an address to listen on can be one of the internet.
func public(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil { // there is none
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && !isOwn(netip.PrefixFrom(ip, ip.BitLen()))
}

func listensHere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && settings.IsLoopback(host)
}

// monitoring is somebody's task; from here it can only be seen whether there is
// something to watch.
func (l checklist) monitoring() verdict {
	const do = "load deploy/prometheus/alerts.yaml and deploy/grafana/gatehouse.json"
	if l.MetricsListen == "" && l.ResourceServer.MetricsListen == "" {
		return warn(do+", and set metrics_listen for both servers", "the metrics have no address of their own to be watched at")
	}
	addresses := slices.DeleteFunc([]string{l.MetricsListen, l.ResourceServer.MetricsListen}, func(s string) bool { return s == "" })
	v := ok("signs of intrusion (refused tokens, failed sign-ins, missing scopes) are in the metrics at %s", strings.Join(addresses, " and "))
	v.Do = do
	return v
}

func (l checklist) securityLog() verdict {
	switch log := l.SecurityLog; {
	case !log.LogFailedAuth:
		return fail("set security_log.log_failed_auth: true", "refused tokens are not in the security log")
	case log.Level == "error":
		return fail("set security_log.level: info", "the security log has errors only, and a refusal is a warning")
	case !log.LogAuthorizationFailures:
		return warn("set security_log.log_authorization_failures: true", "refusals for want of scopes are not in the security log")
	case log.File == "":
		return ok(`on stderr, with "log":"security"`)
	default:
		return ok("in %s", log.File)
	}
}
