package authserver_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// asserting are the parameters of a client that authenticates by key.
func asserting(t *testing.T, id, kid string, key *rsa.PrivateKey, audience string) []string {
	t.Helper()
	claims := goodClaims(id)
	claims["aud"] = audience
	return []string{"client_assertion_type", assertionType, "client_assertion", assert(t, jose.RS256, key, kid, claims)}
}

// Q7: ChatGPT's document prefers private_key_jwt with RS256 by jwks_uri and says
// that it could do without; with us it cannot. The audience of its assertions is
// the issuer or the token endpoint.
func TestQuirk_Q07_ChatGPT(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	key := rsaKey(t)
	p.put("/oauth/jwks.json", string(keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"})))
	id := p.publish("/oauth/IbUR3zxyNQ16/client.json", "client_name", "ChatGPT", "client_uri", "https://chatgpt.com/",
		"token_endpoint_auth_method", "private_key_jwt", "token_endpoint_auth_methods_supported", []string{"none", "private_key_jwt"},
		"token_endpoint_auth_signing_alg", "RS256", "response_types", []string{"code"}, "jwks_uri", p.URL+"/oauth/jwks.json")
	b := w.as("ann")
	request := ask(id)
	code := b.code(request, "")
	if a := w.exchange(request, code); a.Code != http.StatusUnauthorized || a.str("error") != "invalid_client" {
		t.Errorf("without assertion: %d %s", a.Code, a.Body)
	}
	if a := w.exchange(request, code, asserting(t, id, "k1", rsaKey(t), issuer)...); a.Code != http.StatusUnauthorized {
		t.Errorf("with a forged assertion: %d %s", a.Code, a.Body)
	}
	tokens := w.exchange(request, code, asserting(t, id, "k1", key, issuer+"/oauth/token")...)
	if tokens.Code != http.StatusOK {
		t.Fatalf("aud is the token endpoint: %d %s", tokens.Code, tokens.Body)
	}
	next := w.refresh(id, tokens.str("refresh_token"), asserting(t, id, "k1", key, issuer)...)
	if next.Code != http.StatusOK {
		t.Errorf("aud is the issuer: %d %s", next.Code, next.Body)
	}
	if a := w.refresh(id, next.str("refresh_token")); a.Code != http.StatusUnauthorized {
		t.Errorf("refresh without assertion: %d %s", a.Code, a.Body)
	}
	if n := p.fetched("/oauth/jwks.json"); n != 1 {
		t.Errorf("keys were fetched %d times", n)
	}
}

// Forged assertions cause no fetch when they name a known key, and one a minute
// when they do not, at once or one by one; for a registered client as well.
func TestAssertion_CLIENTS3_ForgeriesDoNotFetch(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	key, forger := rsaKey(t), rsaKey(t)
	p.put("/jwks", string(keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k1"})))
	w.client("remote", func(c *storage.Client) {
		c.AuthMethod, c.SecretHash, c.JWKSURI = "private_key_jwt", nil, p.URL+"/jwks"
	})
	try := func(kid string, key *rsa.PrivateKey) int {
		return w.withAssertion(assert(t, jose.RS256, key, kid, goodClaims("remote"))).Code
	}
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			if got := try("k1", key); got != http.StatusOK {
				t.Errorf("good assertion: %d", got)
			}
		})
	}
	callers.Wait()
	if n := p.fetched("/jwks"); n != 1 {
		t.Errorf("10 at once: %d fetches", n)
	}
	for range 10 {
		for _, kid := range []string{"k1", "k2", ""} {
			if got := try(kid, forger); got != http.StatusUnauthorized {
				t.Errorf("forged with kid %q: %d", kid, got)
			}
		}
	}
	if n := p.fetched("/jwks"); n != 1 {
		t.Errorf("30 forgeries right after a fetch: %d fetches", n)
	}
}

// A key set whose host is down is asked for again only after a while.
func TestAssertion_AS19_KeysCannotBeHad(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	key := rsaKey(t)
	p.put("/html", "<html>")
	p.put("/secret", `{"keys":[{"kty":"oct","k":"AAAA","kid":"k1"}]}`)
	for _, path := range []string{"/absent", "/html", "/secret"} {
		id := "client" + path[1:]
		w.client(id, func(c *storage.Client) { c.AuthMethod, c.SecretHash, c.JWKSURI = "private_key_jwt", nil, p.URL+path })
		for range 5 {
			if a := w.withAssertion(assert(t, jose.RS256, key, "k1", goodClaims(id))); a.Code != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", path, a.Code, a.Body)
			}
		}
		if n := p.fetched(path); n != 1 {
			t.Errorf("%s was fetched %d times", path, n)
		}
	}
	w.client("inside", func(c *storage.Client) {
		c.AuthMethod, c.SecretHash, c.JWKSURI = "private_key_jwt", nil, "https://169.254.169.254/latest/meta-data"
	})
	began := time.Now()
	if a := w.withAssertion(assert(t, jose.RS256, key, "k1", goodClaims("inside"))); a.Code != http.StatusUnauthorized || time.Since(began) > time.Minute {
		t.Errorf("keys of the cloud: %d %s", a.Code, a.Body)
	}
}
