package resourceserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// authorization is the header that carries the token unless the configuration
// names another.
const authorization = "Authorization"

// maxCredentials bounds the header, in bytes.
const maxCredentials = 16 << 10

// What the header can be short of.
var (
	errNoToken   = errors.New("no bearer token")
	errMalformed = errors.New("malformed credentials")
)

// bearerToken returns the token of the one header with that name, in canonical
// form (RFC 6750 §2.1); in another than Authorization it may stand without the
// scheme. errNoToken: there is none, or one of another scheme. errMalformed:
// several headers, more than 16 KiB, or syntax that RFC 9110 §11.4 does not
// allow. Tokens elsewhere are never looked for.
func bearerToken(h http.Header, name string) (string, error) {
	values := h[name]
	switch {
	case len(values) == 0:
		return "", errNoToken
	case len(values) > 1 || len(values[0]) > maxCredentials:
		return "", errMalformed
	}
	scheme, token, spaced := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		token = strings.TrimLeft(token, " ")
	case name != authorization && !spaced:
		token = scheme
	case isToken(strings.ToLower(scheme)):
		return "", errNoToken
	default:
		return "", errMalformed
	}
	if !isToken68(token) {
		return "", errMalformed
	}
	return token, nil
}

// CheckAuthHeaderName refuses, as [Config].AuthHeaderName, names that are none,
// and headers that mean something else to clients, proxies or the protocol.
func CheckAuthHeaderName(name string) error {
	lower := strings.ToLower(name)
	if !isToken(lower) {
		return fmt.Errorf("%q is not the name of a header", name)
	}
	taken := func(prefix string) bool { return strings.HasPrefix(lower, prefix) }
	switch lower {
	case "host", "cookie", "set-cookie", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect",
		"origin", "referer", "date", "range", "via", "forwarded", "user-agent", "cache-control", "pragma", "last-event-id",
		"dpop", "x-request-id", "x-real-ip", "www-authenticate", "http2-settings", "vary", "location", "retry-after":
		return fmt.Errorf("%s means something else already", http.CanonicalHeaderKey(name))
	}
	if slices.ContainsFunc([]string{"content-", "accept", "proxy-", "sec-", "if-", "access-control-", "x-forwarded-", "mcp-"}, taken) {
		return fmt.Errorf("%s means something else already", http.CanonicalHeaderKey(name))
	}
	return nil
}

// isToken68 checks the syntax of RFC 9110 §11.2.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return s != ""
}
