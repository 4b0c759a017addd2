package resourceserver

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// transportSecurity is sent over https only (RFC 6797 §7.2).
const transportSecurity = "Strict-Transport-Security"

// defaultHeaders are carried by every answer. Nothing here is a page: what a
// browser would make of an answer anyway must load and frame nothing. The XSS
// filter of old browsers is a hole of its own, so it is off. Subdomains of the
// resource's host are somebody else's: who owns them all may say so.
func defaultHeaders() map[string]string {
	return map[string]string{
		"X-Content-Type-Options":  "nosniff",
		"X-Frame-Options":         "DENY",
		"X-Xss-Protection":        "0",
		"Referrer-Policy":         "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		"Cache-Control":           "no-store",
		transportSecurity:         "max-age=31536000",
	}
}

// securityHeaders are the headers of every answer, compiled. The values are
// shared between answers: nobody may change one in place.
type securityHeaders struct {
	fields []headerField
	https  []string // Strict-Transport-Security, nil for none
}

type headerField struct {
	name   string
	values []string
}

// newSecurityHeaders changes the defaults; an empty value removes one.
func newSecurityHeaders(changes map[string]string) (*securityHeaders, error) {
	all, changed := defaultHeaders(), map[string]bool{}
	for name, value := range changes {
		canonical := http.CanonicalHeaderKey(name)
		if err := checkSecurityHeader(canonical, value); err != nil {
			return nil, fmt.Errorf("security header %q: %w", name, err)
		}
		if changed[canonical] {
			return nil, fmt.Errorf("security header %q: stands there in another spelling too", name)
		}
		all[canonical], changed[canonical] = value, true
	}
	h := &securityHeaders{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch value := all[name]; {
		case value == "":
		case name == transportSecurity:
			h.https = []string{value}
		default:
			h.fields = append(h.fields, headerField{name, []string{value}})
		}
	}
	return h, nil
}

func checkSecurityHeader(name, value string) error {
	protocol := []string{
		"Allow", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Dpop-Nonce", "Location", "Mcp-Session-Id",
		"Retry-After", "Set-Cookie", "Trailer", "Transfer-Encoding", "Vary", "Www-Authenticate", "X-Request-Id",
	}
	switch {
	case !isToken(strings.ToLower(name)):
		return errors.New("this is not the name of a header")
	case slices.Contains(protocol, name) || strings.HasPrefix(name, "Access-Control-"):
		return errors.New("this one belongs to the protocol")
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }):
		return errors.New("the value must be printable ASCII")
	}
	return nil
}

// set is called before anything is decided, so that no answer lacks them; what
// comes later may replace one.
func (s *securityHeaders) set(h http.Header) {
	for _, field := range s.fields {
		h[field.name] = field.values
	}
}

// setHTTPS adds what only a request that came by https gets.
func (s *securityHeaders) setHTTPS(h http.Header) {
	if s.https != nil {
		h[transportSecurity] = s.https
	}
}
