package cimd

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
)

// maxID bounds a client_id that is a URL, in bytes.
const maxID = 1024

// CheckID says why a client_id cannot be that of a document that may be read,
// or nil (draft §3: https, a path, no dot segments, no user information, no
// fragment; a query is tolerated).
func (f *Fetcher) CheckID(id string) error {
	if len(id) > maxID {
		return errors.New("the client_id is too long")
	}
	u, err := f.address(id)
	switch {
	case err != nil:
		return err
	case u.Path == "" || u.Path == "/":
		return errors.New("the client_id has no path")
	case dotted(u):
		return errors.New("the client_id has a dot segment")
	case len(f.cfg.AllowedHosts) > 0 && !among(u.Hostname(), f.cfg.AllowedHosts) && !f.local(u):
		return errors.New("the host of the client_id is not an allowed one")
	}
	return nil
}

// address parses a URL that may be fetched.
func (f *Fetcher) address(raw string) (*url.URL, error) {
	u := clientmetadata.ParseURL(raw)
	if u == nil {
		return nil, errors.New("not an absolute URL without user information and fragment")
	}
	if f.local(u) {
		return u, nil
	}
	_, notIP := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "https":
		return nil, errors.New("not an https URL")
	case notIP == nil || clientmetadata.Loopback(u.Hostname()):
		return nil, errors.New("the host is an address, not a name")
	case u.Port() != "" && u.Port() != "443":
		return nil, errors.New("the port is not 443")
	case strings.HasSuffix(u.Hostname(), ".") || !strings.Contains(u.Hostname(), "."):
		return nil, errors.New("the host is not a full domain name")
	case among(u.Hostname(), f.cfg.DeniedHosts):
		return nil, errors.New("the host is a denied one")
	}
	return u, nil
}

// local reports whether u is of this machine and that is allowed.
func (f *Fetcher) local(u *url.URL) bool {
	return f.cfg.AllowLoopback && clientmetadata.Loopback(u.Hostname())
}

// dotted reports whether a path has a segment . or .., however encoded.
func dotted(u *url.URL) bool {
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		if plain, err := url.PathUnescape(segment); err != nil || plain == "." || plain == ".." {
			return true
		}
	}
	return false
}

// among reports whether host is one of the names; a name that begins with a
// dot stands for all hosts below it.
func among(host string, names []string) bool {
	host = strings.ToLower(host)
	for _, name := range names {
		name = strings.ToLower(name)
		if host == name || (strings.HasPrefix(name, ".") && strings.HasSuffix(host, name)) {
			return true
		}
	}
	return false
}
