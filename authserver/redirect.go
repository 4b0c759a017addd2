package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
)

const maxRedirectURI = 2048

// redirectURI returns where the client wants its answer, once that is proven to
// be the client's (OAuth 2.1 §2.3.1): equal to a registered URI, byte for byte,
// except for the port of one on this device. Asking for none means the only
// registered one.
func (c *client) redirectURI(requested string) (string, error) {
	if requested == "" {
		if len(c.RedirectURIs) != 1 {
			return "", errors.New("redirect_uri is missing and the client has not exactly one")
		}
		requested = c.RedirectURIs[0]
	}
	switch {
	case len(requested) > maxRedirectURI:
		return "", errors.New("redirect_uri is too long")
	case !slices.ContainsFunc(c.RedirectURIs, func(registered string) bool { return sameRedirect(registered, requested) }):
		return "", errors.New("redirect_uri is not registered")
	case !redirectable(requested):
		return "", errors.New("redirect_uri is no place to send anybody to")
	}
	return requested, nil
}

// sameRedirect compares a requested redirect URI with a registered one.
func sameRedirect(registered, requested string) bool {
	if registered == requested {
		return true
	}
	host, rest, loopback := loopbackURI(registered)
	otherHost, otherRest, too := loopbackURI(requested)
	return loopback && too && host == otherHost && rest == otherRest
}

// loopbackURI splits a plain http URI of this very device into its host and
// what follows the port (RFC 8252 §7.3); localhost counts, because the clients
// that there are use it.
func loopbackURI(uri string) (host, rest string, ok bool) {
	after, found := strings.CutPrefix(uri, "http://")
	u, err := url.Parse(uri)
	if !found || err != nil || u.User != nil || strings.ContainsAny(uri, "#\\") || !clientmetadata.Loopback(u.Hostname()) {
		return "", "", false
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); (u.Port() != "" && (err != nil || port == 0)) || strings.HasSuffix(u.Host, ":") {
		return "", "", false
	}
	return strings.TrimSuffix(u.Host, ":"+u.Port()), strings.TrimPrefix(after, u.Host), strings.HasPrefix(after, u.Host)
}

// redirectable reports whether a browser may be sent to a registered URI at
// all: to https, to this device, or to an app of this device by a scheme of
// its own, but never to what a browser would run or what others can read.
func redirectable(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || !u.IsAbs() || u.User != nil || strings.Contains(uri, "#") || strings.ContainsAny(uri, "\\ ") {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		_, _, loopback := loopbackURI(uri)
		return loopback
	case "javascript", "data", "vbscript", "blob", "filesystem", "file", "about", "view-source":
		return false
	}
	return true
}

// impersonable reports whether any program could pose as the owner of the
// redirect URI: nobody but an https host proves who it is (RFC 8252 §8.6).
func impersonable(redirectURI string) bool { return !strings.HasPrefix(redirectURI, "https://") }

// redirectBack sends the browser to a proven redirect URI with the parameters
// of the answer, state as it was sent, and who answers (RFC 9207 §2). A query
// of the URI's own stays (RFC 6749 §3.1.2).
func (s *Server) redirectBack(w http.ResponseWriter, redirectURI, state string, answer url.Values) error {
	answer.Set("iss", s.cfg.Issuer)
	if state != "" {
		answer.Set("state", state)
	}
	separator := "?"
	if strings.Contains(redirectURI, "?") {
		separator = "&"
	}
	return seeOther(w, redirectURI+separator+answer.Encode())
}

// redirectError is redirectBack with an error (RFC 6749 §4.1.2.1); it is the
// request's outcome in the log too.
func (s *Server) redirectError(w http.ResponseWriter, entry *logEntry, redirectURI, state string, told *oauthError) error {
	entry.failure = told
	s.metrics.failed(told.code)
	return s.redirectBack(w, redirectURI, state, url.Values{"error": {told.code}, "error_description": {told.description}})
}
