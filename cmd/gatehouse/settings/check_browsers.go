package settings

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
)

// checkBrowsers is about origins, CORS and the headers of answers.
func (r ResourceServer) checkBrowsers(c *checker) {
	const here = "resource_server."
	c.origins(here+"allowed_origins", r.AllowedOrigins)
	if !slices.Equal(r.CORSOrigins, []string{"*"}) {
		c.origins(here+"cors_origins", r.CORSOrigins)
	}
	for i, method := range r.CORSMethods {
		c.oneOf(fmt.Sprintf("%scors_methods[%d]", here, i), method, http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodHead)
	}
	if r.CORSEnabled && len(r.CORSMethods) == 0 {
		c.fail(here+"cors_methods", "must not be empty; use cors_enabled: false")
	}
	for i, name := range r.CORSHeaders {
		if !isToken(name) || name == "*" {
			c.fail(fmt.Sprintf("%scors_headers[%d]", here, i), "%q is not the name of a header", name)
		}
	}
	for key, list := range map[string][]string{"cors_origins": r.CORSOrigins, "cors_headers": r.CORSHeaders} {
		if !r.CORSEnabled && len(list) > 0 {
			c.fail(here+key, "is for nothing, because cors_enabled is false")
		}
	}
	c.between(here+"cors_max_age", r.CORSMaxAge, 0, 24*time.Hour)
	seen := map[string]bool{}
	for name, value := range r.SecurityHeaders {
		key, canonical := here+"security_headers."+name, http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			c.fail(key, "%q is not the name of a header", name)
		case slices.Contains(ownHeaders(), canonical) || strings.HasPrefix(canonical, "Access-Control-"):
			c.fail(key, "belongs to the protocol")
		case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }):
			c.fail(key, "must be printable ASCII text on one line")
		case seen[canonical]:
			c.fail(key, "stands here in another spelling too")
		}
		seen[canonical] = true
	}
}

// ownHeaders of answers are what they are.
func ownHeaders() []string {
	return []string{
		"Allow", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Dpop-Nonce", "Location", "Mcp-Session-Id",
		"Retry-After", "Set-Cookie", "Trailer", "Transfer-Encoding", "Vary", "Www-Authenticate", "X-Request-Id",
	}
}

func (c *checker) origins(key string, list []string) {
	for i, text := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch err := checkOrigin(text); {
		case err != nil:
			c.require(err, at)
		case slices.Contains(list[:i], text):
			c.fail(at, "%q stands here twice", text)
		}
	}
}

// checkOrigin checks an origin, a host, or a regular expression between
// slashes.
func checkOrigin(text string) error {
	if expression, ok := strings.CutPrefix(text, "/"); ok {
		return checkExpression(expression)
	}
	switch scheme, rest, whole := strings.Cut(strings.ToLower(text), "://"); {
	case strings.Contains(text, "*"):
		return fmt.Errorf(`%q is not an origin; for many hosts write a regular expression such as '/.*\.example\.com/'`, text)
	case whole && scheme != "http" && scheme != "https":
		return fmt.Errorf("%q is not an origin of http or https", text)
	case whole && isAuthority(rest):
		return nil
	case whole:
		return fmt.Errorf("%q is not an origin such as https://app.example.com: scheme and host, nothing else", text)
	case isAuthority(text) && text != "null":
		return nil
	}
	if address, err := netip.ParseAddr(text); err == nil {
		return fmt.Errorf("%q must have brackets: \"[%s]\"", text, address)
	}
	return fmt.Errorf("%q is neither an origin such as https://app.example.com nor a host", text)
}

func checkExpression(expression string) error {
	expression, ok := strings.CutSuffix(expression, "/")
	if !ok || expression == "" {
		return errors.New("a regular expression stands between two slashes")
	}
	_, err := regexp.Compile(expression)
	if bad, ok := errors.AsType[*syntax.Error](err); ok {
		return fmt.Errorf("is not a regular expression: %s: %s", bad.Code, bad.Expr)
	}
	return err
}
