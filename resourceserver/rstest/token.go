package rstest

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Claims are members of a token or of an introspection answer. As arguments
// they replace the default ones; a nil value removes a claim.
type Claims map[string]any

// Claims returns the claims of [Issuer.Token], for use with [Issuer.Sign].
func (i *Issuer) Claims(overrides ...Claims) Claims {
	now := time.Now().Unix()
	c := Claims{
		"iss": i.URL, "sub": "alice", "aud": i.Resource, "client_id": "client", "jti": rand.Text(), "grant": "grant",
		"iat": now, "exp": now + 3600, "scope": "mcp:read mcp:write mcp:tools",
	}
	for _, o := range overrides {
		maps.Copy(c, o)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// Token mints a valid JWT access token for alice with the scopes mcp:read,
// mcp:write and mcp:tools, unless overrides say otherwise.
func (i *Issuer) Token(overrides ...Claims) string {
	return i.Sign(nil, i.Claims(overrides...))
}

// Sign signs claims with the issuer's key. header replaces members of the
// header typ at+jwt; kid and alg are the key's unless it names a kid.
func (i *Issuer) Sign(header map[string]any, claims Claims) string {
	i.tb.Helper()
	key := i.key()
	if kid, ok := header["kid"].(string); ok {
		key.KeyID = kid
	}
	options := (&jose.SignerOptions{}).WithType("at+jwt")
	for name, value := range header {
		if name != "kid" {
			options.WithHeader(jose.HeaderKey(name), value)
		}
	}
	return i.sign(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options, claims)
}

func (i *Issuer) sign(key jose.SigningKey, options *jose.SignerOptions, claims Claims) string {
	i.tb.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		i.tb.Fatal(err)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		i.tb.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		i.tb.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		i.tb.Fatal(err)
	}
	return token
}

// Opaque mints an opaque access token; introspection tells its claims.
func (i *Issuer) Opaque(overrides ...Claims) string {
	token := "gha_" + rand.Text() + rand.Text()
	claims := i.Claims(append([]Claims{{"active": true, "token_type": "Bearer", "jti": nil}}, overrides...)...)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.opaque[token] = claims
	return token
}

// Activate makes introspection answer for any token, a JWT for example.
// Without claims the token becomes inactive.
func (i *Issuer) Activate(token string, claims Claims) {
	if claims != nil {
		claims = i.Claims(Claims{"active": true, "token_type": "Bearer"}, claims)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.opaque[token] = claims
}

func (i *Issuer) introspect(w http.ResponseWriter, r *http.Request) {
	if !authenticated(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	i.mu.Lock()
	claims := i.opaque[r.PostFormValue("token")]
	i.mu.Unlock()
	if claims == nil {
		claims = Claims{"active": false}
	}
	answer(w, claims)
}

// authenticated checks client_secret_basic with form-encoded parts.
func authenticated(r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	clientID, err1 := url.QueryUnescape(id)
	clientSecret, err2 := url.QueryUnescape(secret)
	return ok && err1 == nil && err2 == nil && clientID == ClientID && clientSecret == ClientSecret
}

// TokenHash is what a revocation event calls an opaque token.
func TokenHash(token string) string {
	h := crypto.SHA256.New()
	h.Write([]byte(token))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
