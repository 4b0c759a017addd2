package clientmetadata

import (
	"errors"
	"slices"
	"strings"
)

// CheckRedirectURI says what is wrong with a redirect URI, or nil. It must be
// https, or http on this very device (RFC 8252 §7.3; localhost too, because the
// clients that there are use it). Schemes of an app's own are refused: MCP
// allows none, and any app may claim one.
func CheckRedirectURI(uri string) error {
	u := ParseURL(uri)
	switch {
	case strings.Contains(uri, "#"):
		return errors.New("a redirect URI has a fragment")
	case strings.Contains(uri, "*"):
		return errors.New("a redirect URI has a wildcard; they are compared exactly")
	case u == nil:
		return errors.New("a redirect URI is not an absolute https or http URL")
	case slices.ContainsFunc([]string{"code", "state", "iss", "error"}, u.Query().Has):
		return errors.New("a redirect URI has a parameter that answers have")
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return errors.New("a redirect URI is http; only those on loopback may be")
	}
	return nil
}

// AnyPort returns checked redirect URIs sorted, unique and, where they are on
// loopback, without port: those match whatever port an app gets from its
// system, so that two registrations that differ by it are the same.
func AnyPort(uris []string) []string {
	out := make([]string, 0, len(uris))
	for _, uri := range uris {
		if u := ParseURL(uri); u != nil && u.Scheme == "http" && u.Port() != "" {
			after := strings.TrimPrefix(uri, "http://"+u.Host)
			uri = "http://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + after
		}
		out = append(out, uri)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
