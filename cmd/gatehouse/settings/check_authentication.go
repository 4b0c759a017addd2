package settings

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// StaticTokenName is the subject of whoever presents the auth_token.
const StaticTokenName = "auth_token"

// MinStaticToken is the least length of a static token, in bytes.
const MinStaticToken = 32

// checkAuthentication is about where a token stands, and about the tokens that
// do not come from the issuer.
func (r ResourceServer) checkAuthentication(c *checker, s Settings) {
	const here = "resource_server."
	r.checkExemptPaths(c, s)
	c.require(resourceserver.CheckAuthHeaderName(r.AuthHeaderName), here+"auth_header_name")
	if r.AuthToken != "" {
		c.require(CheckStaticToken(r.AuthToken), here+"auth_token")
		r.checkTokenScopes(c, s, here+"auth_token_scopes", r.AuthTokenScopes)
	}
	for i, t := range r.AuthTokens {
		key := fmt.Sprintf("%sauth_tokens[%d]", here, i)
		t.check(c, key)
		if t.Name == StaticTokenName || slices.ContainsFunc(r.AuthTokens[:i], func(other AuthToken) bool { return other.Name == t.Name }) {
			c.fail(key+".name", "%q is the name of another token", t.Name)
		}
		r.checkTokenScopes(c, s, key+".scopes", t.Scopes)
	}
	if !r.OAuthEnabled && r.AuthToken == "" && len(r.AuthTokens) == 0 {
		c.fail(here+"oauth_enabled", "is false and there is neither auth_token nor auth_tokens, so that nobody could get in")
	}
}

func (t AuthToken) check(c *checker, key string) {
	if !validName(t.Name) {
		c.fail(key+".name", "%q must be a name of at most 64 letters, digits and -_.", t.Name)
	}
	switch {
	case t.TokenEnv == "" && t.TokenFile == "":
		c.fail(key, "needs token_env or token_file: where the token is")
	case t.TokenEnv != "" && t.TokenFile != "":
		c.fail(key, "needs token_env or token_file, not both")
	case strings.ContainsAny(t.TokenEnv, "= \t"):
		c.fail(key+".token_env", "is the name of an environment variable, not the token")
	}
}

// checkTokenScopes finds a static token that would be refused everywhere.
func (r ResourceServer) checkTokenScopes(c *checker, s Settings, key string, names []string) {
	before := len(c.problems)
	c.known(key, names)
	catalog, err := s.Catalog()
	if err != nil || len(c.problems) > before {
		return // said already
	}
	if missing := catalog.Missing(scopes.Of(names...), scopes.Of(r.RequiredScopes...)); len(missing) > 0 {
		c.fail(key, "lacks %s of required_scopes, so that the token would be refused everywhere", missing)
	}
}

// CheckStaticToken checks what every static token must be: at least 32 bytes
// that can stand in a header. The error does not repeat it.
func CheckStaticToken(token string) error {
	switch {
	case len(token) < MinStaticToken:
		return fmt.Errorf("must have at least %d bytes; make one with: openssl rand -base64 32", MinStaticToken)
	case !regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`).MatchString(token): // RFC 6750 §2.1
		return errors.New("cannot stand in a header: it may have letters, digits, -._~+/ and = at the end")
	case len(token) > 4096:
		return errors.New("must have at most 4096 bytes")
	case distinct(token) < 8:
		return errors.New("is too regular to be random; make one with: openssl rand -base64 32")
	}
	return nil
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, c := range s {
		seen[c] = true
	}
	return len(seen)
}

func validName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", c)
	})
}

// isToken reports whether s can be the name of a header (RFC 9110 §5.6.2).
func isToken(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}
