package resourceserver

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// origin is a web origin (RFC 6454 §4). Its parts are in lower case, an IPv6
// host is in brackets; port is the scheme's own if none was given.
type origin struct{ scheme, host, port string }

// String returns the serialisation of RFC 6454 §6.2.
func (o origin) String() string {
	if o.port == defaultPort(o.scheme) {
		return o.scheme + "://" + o.host
	}
	return o.scheme + "://" + o.host + ":" + o.port
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// parseOrigin reads the serialisation of an origin of https or http. Others,
// such as "null", are nobody's.
func parseOrigin(s string) (origin, bool) {
	scheme, rest, found := strings.Cut(s, "://")
	scheme = lower(scheme)
	if !found || scheme != "https" && scheme != "http" {
		return origin{}, false
	}
	host, port, ok := splitAuthority(rest)
	if port == "" {
		port = defaultPort(scheme)
	}
	return origin{scheme, host, port}, ok
}

// splitAuthority returns the host in canonical form, and the port, empty if
// there is none.
func splitAuthority(s string) (host, port string, ok bool) {
	host = lower(s)
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		host, port = host[:at], host[at+1:]
		if !isPort(port) {
			return "", "", false
		}
	}
	if inside, found := strings.CutPrefix(host, "["); found {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(inside, "]") {
			return "", "", false
		}
		return "[" + addr.String() + "]", port, true
	}
	return host, port, isHostname(host)
}

// isHostname reports whether s is a name in lower case or an IPv4 address, as
// browsers write them: IDNs are in their ASCII form.
func isHostname(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// lower is for what is ASCII if it is valid: there are other letters whose
// lower case is.
func lower(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c > '~' }) {
		return s
	}
	return strings.ToLower(s)
}

// originSet is a list of origins as in [Config].AllowedOrigins, compiled.
type originSet struct {
	whole    []origin
	hosts    []origin // without scheme; without port for any
	onHost   []*regexp.Regexp
	onOrigin []*regexp.Regexp
}

// newOriginSet compiles the list.
func newOriginSet(list []string) (*originSet, error) {
	s := &originSet{}
	for _, entry := range list {
		if err := s.add(entry); err != nil {
			return nil, fmt.Errorf("%q: %w", entry, err)
		}
	}
	return s, nil
}

func (s *originSet) add(entry string) error {
	if expression, found := strings.CutPrefix(entry, "/"); found {
		return s.addExpression(expression)
	}
	if strings.Contains(entry, "://") {
		whole, ok := parseOrigin(entry)
		if !ok {
			return errors.New("an origin is https or http, host and port")
		}
		s.whole = append(s.whole, whole)
		return nil
	}
	host, port, ok := splitAuthority(entry)
	if !ok || host == "null" { // what a browser says of an origin that is nobody's
		return errors.New("neither an origin nor a host; a pattern is a regular expression between slashes")
	}
	s.hosts = append(s.hosts, origin{"", host, port})
	return nil
}

// addExpression adds a regular expression that must match all of what it is
// compared with, in any case of letters.
func (s *originSet) addExpression(expression string) error {
	expression, ok := strings.CutSuffix(expression, "/")
	if !ok || expression == "" {
		return errors.New("a regular expression stands between two slashes")
	}
	// It is compiled by itself first: what is not one expression, like "a)|(b",
	// must not become one within the anchors.
	if _, err := regexp.Compile(expression); err != nil {
		return err
	}
	compiled, err := regexp.Compile(`\A(?i:` + expression + `)\z`)
	if err != nil {
		return err
	}
	if strings.Contains(strings.ReplaceAll(expression, `\/`, "/"), "://") {
		s.onOrigin = append(s.onOrigin, compiled)
	} else {
		s.onHost = append(s.onHost, compiled)
	}
	return nil
}

// match reports whether the origin is in the set.
func (s *originSet) match(o origin) bool {
	if slices.Contains(s.whole, o) {
		return true
	}
	for _, h := range s.hosts {
		if h.host == o.host && (h.port == "" || h.port == o.port) {
			return true
		}
	}
	for _, expression := range s.onHost {
		if expression.MatchString(o.host) {
			return true
		}
	}
	return len(s.onOrigin) > 0 && s.matchWhole(o.String())
}

func (s *originSet) matchWhole(text string) bool {
	for _, expression := range s.onOrigin {
		if expression.MatchString(text) {
			return true
		}
	}
	return false
}
