package authserver_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assert signs claims as a client assertion.
func assert(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keySet is a client's JWKS with one key that nobody understands in front.
func keySet(t *testing.T, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	set := map[string]any{"keys": []any{map[string]string{"kty": "PQ", "kid": "strange"}}}
	for _, key := range keys {
		set["keys"] = append(set["keys"].([]any), key)
	}
	document, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func keyed(document []byte) func(*storage.Client) {
	return func(c *storage.Client) { c.AuthMethod, c.SecretHash, c.JWKS = "private_key_jwt", nil, document }
}

func goodClaims(id string) map[string]any {
	now := time.Now()
	return map[string]any{"iss": id, "sub": id, "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
}

func (w *world) withAssertion(assertion string, pairs ...string) answer {
	w.t.Helper()
	return w.do(form("/oauth/token", values(append([]string{
		"grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", assertion,
	}, pairs...)...)))
}

func TestClientAuth_RFC7523_2_2_Algorithms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ec := ecKey(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w.client("keyed", keyed(keySet(t,
		jose.JSONWebKey{Key: ec.Public(), KeyID: "ec", Use: "sig"}, jose.JSONWebKey{Key: ed.Public(), KeyID: "ed"}, jose.JSONWebKey{Key: rs.Public(), KeyID: "rs"})))
	for _, test := range []struct {
		alg jose.SignatureAlgorithm
		key any
		kid string
		ok  bool
	}{
		{jose.ES256, ec, "ec", true}, {jose.EdDSA, ed, "ed", true}, {jose.RS256, rs, "rs", true}, {jose.PS256, rs, "rs", true},
		{jose.ES256, ec, "", true}, {jose.ES256, ec, "rs", false}, {jose.RS512, rs, "rs", false},
		{jose.HS256, []byte("0123456789abcdef0123456789abcdef"), "ec", false},
	} {
		a := w.withAssertion(assert(t, test.alg, test.key, test.kid, goodClaims("keyed")))
		if (a.Code == http.StatusOK) != test.ok {
			t.Errorf("%s with kid %q: %d %s", test.alg, test.kid, a.Code, a.Body)
		}
	}
}

// CC-03: the client is found by the assertion's sub; a client_id beside it
// must agree.
func TestClientAuth_RFC7523_3_ClaimsAndReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := ecKey(t)
	document := keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k"})
	w.client("keyed", keyed(document))
	w.client("twin", keyed(document))
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		ok     bool
	}{
		{"good", func(map[string]any) {}, true},
		{"aud is issuer and token endpoint", func(c map[string]any) { c["aud"] = []string{issuer, issuer + "/oauth/token"} }, true},
		{"aud names another server besides", func(c map[string]any) { c["aud"] = []string{issuer, "https://evil.example"} }, false},
		{"aud is empty", func(c map[string]any) { c["aud"] = []string{} }, false},
		{"aud is another server", func(c map[string]any) { c["aud"] = "https://evil.example" }, false},
		{"aud is missing", func(c map[string]any) { delete(c, "aud") }, false},
		{"iss differs", func(c map[string]any) { c["iss"] = "twin" }, false},
		{"sub is unknown", func(c map[string]any) { c["sub"] = "nobody" }, false},
		{"no jti", func(c map[string]any) { delete(c, "jti") }, false},
		{"no exp", func(c map[string]any) { delete(c, "exp") }, false},
		{"expired", func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }, false},
		{"expired within the skew", func(c map[string]any) { c["exp"] = time.Now().Add(-10 * time.Second).Unix() }, true},
		{"exp in the year 9999", func(c map[string]any) { c["exp"] = 253402300799 }, false},
		{"nbf in the future", func(c map[string]any) { c["nbf"] = time.Now().Add(time.Minute).Unix() }, false},
		{"iat in the future", func(c map[string]any) { c["iat"] = time.Now().Add(time.Minute).Unix() }, false},
	} {
		claims := goodClaims("keyed")
		test.change(claims)
		a := w.withAssertion(assert(t, jose.ES256, key, "k", claims))
		if (a.Code == http.StatusOK) != test.ok || (!test.ok && a.str("error") != "invalid_client") {
			t.Errorf("%s: %d %s", test.name, a.Code, a.Body)
		}
	}
	claims := goodClaims("keyed")
	once := assert(t, jose.ES256, key, "k", claims)
	if a := w.withAssertion(once, "client_id", "twin"); a.str("error") != "invalid_client" {
		t.Errorf("client_id of another client: %d %s", a.Code, a.Body)
	}
	if a := w.withAssertion(once, "client_id", "keyed"); a.Code != http.StatusOK {
		t.Errorf("a refused presentation has burnt the jti: %d %s", a.Code, a.Body)
	}
	if a := w.withAssertion(once); a.str("error") != "invalid_client" {
		t.Errorf("replay: %d %s", a.Code, a.Body)
	}
	claims["iss"], claims["sub"] = "twin", "twin"
	if a := w.withAssertion(assert(t, jose.ES256, key, "k", claims)); a.Code != http.StatusOK {
		t.Errorf("the jti of another client is another jti: %d %s", a.Code, a.Body)
	}
}

func TestClientAuth_RFC7523_SignatureAndMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := ecKey(t)
	w.client("keyed", keyed(keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k"})))
	w.client("keyless", keyed(nil))
	w.client("secretive")
	good := assert(t, jose.ES256, key, "k", goodClaims("keyed"))
	for name, assertion := range map[string]string{
		"other key":            assert(t, jose.ES256, ecKey(t), "k", goodClaims("keyed")),
		"client without keys":  assert(t, jose.ES256, key, "k", goodClaims("keyless")),
		"client with a secret": assert(t, jose.ES256, key, "k", goodClaims("secretive")),
		"alg none":             "eyJhbGciOiJub25lIn0.eyJpc3MiOiJrZXllZCIsInN1YiI6ImtleWVkIn0.",
		"not a JWT":            "x",
		"cut signature":        good[:len(good)-4],
	} {
		if a := w.withAssertion(assertion); a.Code != http.StatusUnauthorized || a.str("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	wrongType := w.do(form("/oauth/token", values("grant_type", "client_credentials", "client_assertion", good, "client_assertion_type", "saml")))
	if wrongType.str("error") != "invalid_client" {
		t.Errorf("unknown assertion type: %d %s", wrongType.Code, wrongType.Body)
	}
}

func TestClientAuth_SecretRotationOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var old []byte
	keep := func(until time.Time) func(*storage.Client) {
		return func(c *storage.Client) {
			old = c.SecretHash
			c.PreviousSecretHash, c.PreviousSecretExpiresAt = old, until
			c.SecretHash = make([]byte, 32)
		}
	}
	overlapping := w.client("overlapping", keep(time.Now().Add(time.Hour)))
	ended := w.client("ended", keep(time.Now().Add(-time.Second)))
	if a := w.post("/oauth/token", "overlapping", overlapping, "grant_type", "client_credentials"); a.Code != http.StatusOK {
		t.Errorf("previous secret within its time: %d %s", a.Code, a.Body)
	}
	if a := w.post("/oauth/token", "ended", ended, "grant_type", "client_credentials"); a.str("error") != "invalid_client" {
		t.Errorf("previous secret after its time: %d %s", a.Code, a.Body)
	}
}
