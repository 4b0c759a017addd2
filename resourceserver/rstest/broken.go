package rstest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Broken returns tokens that a resource server must refuse as invalid, by what
// is wrong with them. Each is otherwise like [Issuer.Token].
func (i *Issuer) Broken() map[string]string {
	now := time.Now().Unix()
	good := i.Token()
	header, payload, signature := split(good)
	broken := map[string]string{
		"empty signature":         header + "." + payload + ".",
		"signature of another":    header + "." + payload + "." + last(i.Token()),
		"payload of another":      header + "." + middle(i.Token()) + "." + signature,
		"non-canonical base64url": good[:len(good)-1] + nonCanonical(good[len(good)-1]),
		"four parts":              good + "." + signature,
		"alg none":                encode(`{"alg":"none","typ":"at+jwt"}`) + "." + payload + ".",
		"duplicate header member": encode(`{"alg":"ES256","typ":"at+jwt","kid":"`+i.key().KeyID+`","kid":"x"}`) + "." + payload + "." + signature,
		"alg HS256, public key":   i.confused(),
		"alg RS256, other key":    i.foreign(),
		"no kid":                  i.Sign(map[string]any{"kid": ""}, i.Claims()),
		"unknown kid":             i.Sign(map[string]any{"kid": "unknown"}, i.Claims()),
		"critical header":         i.Sign(map[string]any{"crit": []string{"b64"}, "b64": true}, i.Claims()),
		"embedded key":            i.embedded(),
		"expired":                 i.Token(Claims{"exp": now - 3600, "iat": now - 7200}),
		"not valid yet":           i.Token(Claims{"nbf": now + 3600}),
		"issued in the future":    i.Token(Claims{"iat": now + 3600}),
		"issuer of another":       i.Token(Claims{"iss": "https://evil.example"}),
		"issuer with slash":       i.Token(Claims{"iss": i.URL + "/"}),
		"audience of another":     i.Token(Claims{"aud": "https://other.example/mcp"}),
		"audience is the client":  i.Token(Claims{"aud": "client"}),
		"audience is below":       i.Token(Claims{"aud": i.Resource + "/sub"}),
		"bound by DPoP":           i.Token(Claims{"cnf": map[string]any{"jkt": "x"}}),
		"malformed scope":         i.Token(Claims{"scope": `a"b`}),
		"exp is a string":         i.Token(Claims{"exp": "tomorrow"}),
	}
	for _, claim := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id"} {
		broken["no "+claim] = i.Token(Claims{claim: nil})
	}
	for name, typ := range map[string]string{
		"ID token": "JWT", "ID-JAG": "oauth-id-jag+jwt", "DPoP proof": "dpop+jwt", "logout token": "logout+jwt",
		"security event token": "secevent+jwt", "introspection response": "token-introspection+jwt",
	} {
		broken[name] = i.Sign(map[string]any{"typ": typ}, i.Claims())
	}
	return broken
}

// confused is signed with HS256; its secret is the public key.
func (i *Issuer) confused() string {
	key := i.key()
	secret, err := x509.MarshalPKIXPublicKey(key.Public().Key)
	if err != nil {
		i.tb.Fatal(err)
	}
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", key.KeyID)
	return i.sign(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, options, i.Claims())
}

// foreign is signed by another key under the issuer's kid.
func (i *Issuer) foreign() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.tb.Fatal(err)
	}
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", i.key().KeyID)
	return i.sign(jose.SigningKey{Algorithm: jose.RS256, Key: key}, options, i.Claims())
}

// embedded brings the key that it is signed with.
func (i *Issuer) embedded() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.tb.Fatal(err)
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("at+jwt").WithHeader("kid", i.key().KeyID)
	return i.sign(jose.SigningKey{Algorithm: jose.PS256, Key: key}, options, i.Claims())
}

func split(token string) (header, payload, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

func middle(token string) string { _, payload, _ := split(token); return payload }
func last(token string) string   { _, _, signature := split(token); return signature }
func encode(s string) string     { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// nonCanonical returns another last character that decodes to the same bytes:
// of the six bits of the last one of 86, two mean something.
func nonCanonical(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}
