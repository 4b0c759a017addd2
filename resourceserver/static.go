package resourceserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// StaticIssuer is the Issuer of the [AccessToken] of a static token. It is no
// URL, so that no authorization server can be called so.
const StaticIssuer = "static"

// minStaticToken is how short a static token may be, in bytes: it is all that
// stands between the resource and whoever guesses.
const minStaticToken = 32

// never is when a static token expires: nobody lives to see it, and unlike the
// end of time it leaves room for arithmetic.
var never = time.Unix(1<<40, 0)

// staticTokens are known by their SHA-256, as cached tokens are.
type staticTokens []knownToken

type knownToken struct {
	digest [sha256.Size]byte
	token  *verified
}

func newStaticTokens(list []StaticToken, resource string, catalog *scopes.Catalog) staticTokens {
	var s staticTokens
	for _, t := range list {
		e := newVerified(AccessToken{
			Issuer: StaticIssuer, Subject: t.Name, ClientID: t.Name,
			Audience: []string{resource}, Scopes: scopes.Of(t.Scopes...),
		}, catalog, 0)
		e.until, e.foreign = never, true
		s = append(s, knownToken{digest(t.Token), e})
	}
	return s
}

// find returns the static token with that SHA-256, or nil. It looks at all of
// them, and at all of each, whatever it finds.
func (s staticTokens) find(key *[sha256.Size]byte) *verified {
	var found *verified
	for i := range s {
		if subtle.ConstantTimeCompare(s[i].digest[:], key[:]) == 1 {
			found = s[i].token
		}
	}
	return found
}

// checkStaticTokens refuses tokens that could be guessed, mistaken for each
// other, or never presented. Errors name a token, they do not show it.
func checkStaticTokens(list []StaticToken) error {
	names, tokens := map[string]bool{}, map[string]bool{}
	for i, t := range list {
		switch {
		case t.Name == "":
			return fmt.Errorf("static token %d has no name", i+1)
		case names[t.Name]:
			return fmt.Errorf("two static tokens are called %q", t.Name)
		case len(t.Token) < minStaticToken:
			return fmt.Errorf("static token %q is shorter than %d bytes", t.Name, minStaticToken)
		case len(t.Token) > maxCredentials/2 || !isToken68(t.Token):
			return fmt.Errorf("static token %q cannot stand in a header: it may have letters, digits, -._~+/ and = at the end", t.Name)
		case tokens[t.Token]:
			return fmt.Errorf("static token %q is the same as another one", t.Name)
		}
		for _, scope := range t.Scopes {
			if !scopes.ValidToken(scope) {
				return fmt.Errorf("static token %q: %q is not a scope", t.Name, scope)
			}
		}
		names[t.Name], tokens[t.Token] = true, true
	}
	return nil
}
