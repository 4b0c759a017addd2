package resourceserver

import (
	"errors"
	"net/http"
	"strings"
)

// maxCredentials bounds the Authorization header, in bytes.
const maxCredentials = 16 << 10

// What an Authorization header can be short of.
var (
	errNoToken   = errors.New("no bearer token")
	errMalformed = errors.New("malformed credentials")
)

// bearerToken returns the token of the one Authorization header (RFC 6750
// §2.1). errNoToken: there is none, or one of another scheme. errMalformed:
// several headers, more than 16 KiB, or syntax that RFC 9110 §11.4 does not
// allow. Tokens in the query or the body are never looked for.
func bearerToken(h http.Header) (string, error) {
	values := h["Authorization"]
	switch {
	case len(values) == 0:
		return "", errNoToken
	case len(values) > 1 || len(values[0]) > maxCredentials:
		return "", errMalformed
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if isToken(strings.ToLower(scheme)) {
			return "", errNoToken
		}
		return "", errMalformed
	}
	token := strings.TrimLeft(rest, " ")
	if !isToken68(token) {
		return "", errMalformed
	}
	return token, nil
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
