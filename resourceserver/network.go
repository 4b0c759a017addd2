package resourceserver

import (
	"net/http"
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
	origins  []string // origins in canonical form
	loopback bool     // the resource is on this machine
}

func newNetwork(resource *url.URL, hosts, origins []string) *network {
	n := &network{scheme: resource.Scheme, loopback: isLoopback(resource.Hostname())}
	for _, host := range append([]string{resource.Host}, hosts...) {
		n.hosts = append(n.hosts, authority(n.scheme, host))
	}
	for _, origin := range append([]string{resource.Scheme + "://" + resource.Host}, origins...) {
		canonical, _ := parseOrigin(origin)
		n.origins = append(n.origins, canonical)
	}
	return n
}

// host reports whether the Host header names the resource. On loopback every
// loopback name does, with any port: proxies and port mappings change it, and
// a page cannot make a foreign name out of them.
func (n *network) host(host string) bool {
	if slices.Contains(n.hosts, authority(n.scheme, host)) {
		return true
	}
	return n.loopback && isLoopback(hostname(host))
}

// origin reports whether a request with that Host may have the Origin values.
// No Origin is fine: the caller is no browser. On loopback, an origin passes
// that has the port which the client dialled.
func (n *network) origin(values []string, host string) bool {
	if len(values) != 1 {
		return len(values) == 0
	}
	canonical, ok := parseOrigin(values[0])
	if !ok {
		return false
	}
	if slices.Contains(n.origins, canonical) {
		return true
	}
	scheme, at, _ := strings.Cut(canonical, "://")
	return n.loopback && isLoopback(hostname(at)) && scheme == n.scheme &&
		port(at) == port(authority(n.scheme, host))
}

// cors tells a browser that the checked origin may read the answer (Fetch
// standard §3.2), and answers a preflight, which never has credentials.
func (n *network) cors(w http.ResponseWriter, r *http.Request) (done bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Mcp-Session-Id, Retry-After, X-Request-Id")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", allowedHeaders(r.Header.Get("Access-Control-Request-Headers")))
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// allowedHeaders are the request headers of the transport, with those
// Mcp-Param-* ones that the preflight asks for (they have no fixed names).
func allowedHeaders(requested string) string {
	allowed := []string{"Authorization", "Content-Type", "Accept", "Last-Event-ID", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"}
	for name := range strings.SplitSeq(requested, ",") {
		name = strings.TrimSpace(name)
		if param, found := strings.CutPrefix(strings.ToLower(name), "mcp-param-"); found && isToken(param) && len(param) < 64 {
			allowed = append(allowed, name)
		}
	}
	return strings.Join(allowed, ", ")
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
}

// parseOrigin returns the canonical form of an origin (RFC 6454 §6.2): lower
// case, no default port. "null" is not one.
func parseOrigin(origin string) (string, bool) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || !strings.EqualFold(origin, u.Scheme+"://"+u.Host) {
		return "", false
	}
	return u.Scheme + "://" + authority(u.Scheme, u.Host), true
}

// authority returns host[:port] in lower case without the scheme's own port.
func authority(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

func hostname(authority string) string { return (&url.URL{Host: authority}).Hostname() }
func port(authority string) string     { return (&url.URL{Host: authority}).Port() }
