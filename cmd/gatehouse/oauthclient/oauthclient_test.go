package oauthclient

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// serve runs a server on loopback whose answers are written by hand.
func serve(t *testing.T, routes map[string]http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if route, ok := routes[r.URL.Path]; ok {
			route(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func answer(format string, args ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, strings.ReplaceAll(format, "ORIGIN", "http://"+r.Host), args...)
	}
}

func TestDiscover_RFC8414_3_1_AllForms(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/.well-known/oauth-authorization-server/tenant",
		"/.well-known/openid-configuration/tenant",
		"/tenant/.well-known/openid-configuration",
	} {
		origin := serve(t, map[string]http.HandlerFunc{path: answer(`{"issuer":"ORIGIN/tenant","token_endpoint":"ORIGIN/token"}`)})
		m, err := Discover(t.Context(), origin+"/tenant")
		if err != nil || m.TokenEndpoint != origin+"/token" {
			t.Errorf("%s: %+v, %v", path, m, err)
		}
	}
}

func TestDiscover_RFC8414_3_3_IssuerMustBeIdentical(t *testing.T) {
	t.Parallel()
	const path = "/.well-known/oauth-authorization-server"
	for name, route := range map[string]http.HandlerFunc{
		"another issuer":      answer(`{"issuer":"https://evil.example.com"}`),
		"trailing slash":      answer(`{"issuer":"ORIGIN/"}`),
		"not JSON":            answer(`<html>`),
		"another type":        func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") },
		"broken":              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirects elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
	} {
		origin := serve(t, map[string]http.HandlerFunc{path: route, "/other": answer(`{"issuer":"ORIGIN"}`)})
		if m, err := Discover(t.Context(), origin); err == nil {
			t.Errorf("%s: accepted %+v", name, m)
		}
	}
	for _, issuer := range []string{"http://auth.example.com", "auth.example.com", "https://u:p@auth.example.com", "ftp://localhost", ""} {
		if _, err := Discover(t.Context(), issuer); err == nil {
			t.Errorf("%q was asked", issuer)
		}
	}
}

func TestDiscoverResource_RFC9728_3(t *testing.T) {
	t.Parallel()
	document := answer(`{"resource":"ORIGIN/mcp","authorization_servers":["ORIGIN"]}`)
	for name, test := range map[string]struct {
		routes map[string]http.HandlerFunc
		hint   string
		ok     bool
	}{
		"path form":               {map[string]http.HandlerFunc{"/.well-known/oauth-protected-resource/mcp": document}, "", true},
		"root form":               {map[string]http.HandlerFunc{"/.well-known/oauth-protected-resource": document}, "", true},
		"from the challenge":      {map[string]http.HandlerFunc{"/meta": document}, "/meta", true},
		"nowhere":                 {nil, "", false},
		"another resource":        {map[string]http.HandlerFunc{"/meta": answer(`{"resource":"ORIGIN/x","authorization_servers":["ORIGIN"]}`)}, "/meta", false},
		"no authorization server": {map[string]http.HandlerFunc{"/meta": answer(`{"resource":"ORIGIN/mcp"}`)}, "/meta", false},
	} {
		origin := serve(t, test.routes)
		hint := test.hint
		if hint != "" {
			hint = origin + hint
		}
		m, err := DiscoverResource(t.Context(), origin+"/mcp", hint)
		if (err == nil) != test.ok {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := DiscoverResource(t.Context(), "http://localhost/mcp", "http://evil.example.com/meta"); err == nil {
		t.Error("metadata was fetched over plain http from elsewhere")
	}
}

// tokenEndpoint runs a server that hands every token request to check.
func tokenEndpoint(t *testing.T, methods string, check func(*http.Request)) Metadata {
	t.Helper()
	origin := serve(t, map[string]http.HandlerFunc{"/token": func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		check(r)
		fmt.Fprint(w, `{"access_token":"x"}`)
	}})
	m := Metadata{Issuer: origin, TokenEndpoint: origin + "/token"}
	if methods != "" {
		m.TokenAuthMethods = strings.Fields(methods)
	}
	return m
}

func TestToken_RFC6749_2_3_1_ClientAuthentication(t *testing.T) {
	t.Parallel()
	c := Credentials{ClientID: "a b:c", Secret: "s%:/+é"}
	basic := func(r *http.Request) {
		id, secret, ok := r.BasicAuth()
		if !ok || id != url.QueryEscape(c.ClientID) || secret != url.QueryEscape(c.Secret) || r.Form.Has("client_secret") {
			t.Errorf("basic: %q %q %v", id, secret, r.Form)
		}
	}
	post := func(r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.Form.Get("client_id") != c.ClientID || r.Form.Get("client_secret") != c.Secret {
			t.Errorf("post: %v", r.Form)
		}
	}
	for methods, check := range map[string]func(*http.Request){
		"": basic, "client_secret_basic": basic, "client_secret_post client_secret_basic": basic, "client_secret_post": post,
	} {
		m := tokenEndpoint(t, methods, check)
		if _, err := m.Token(t.Context(), c, TokenRequest{}); err != nil {
			t.Error(err)
		}
	}
}

func TestToken_RFC8707_2_OptionalParameters(t *testing.T) {
	t.Parallel()
	m := tokenEndpoint(t, "", func(r *http.Request) {
		if got := r.PostForm.Encode(); got != "grant_type=client_credentials&resource=https%3A%2F%2Fm&scope=a+b" {
			t.Error(got)
		}
	})
	if _, err := m.Token(t.Context(), Credentials{ClientID: "x", Secret: "y"}, TokenRequest{Scope: "a b", Resource: "https://m"}); err != nil {
		t.Error(err)
	}
	m = tokenEndpoint(t, "", func(r *http.Request) {
		if got := r.PostForm.Encode(); got != "grant_type=client_credentials" {
			t.Error(got)
		}
	})
	if _, err := m.Token(t.Context(), Credentials{ClientID: "x", Secret: "y"}, TokenRequest{}); err != nil {
		t.Error(err)
	}
}

func TestToken_RFC7523_2_2_Assertion(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey(private, "k1", "")
	if err != nil {
		t.Fatal(err)
	}
	var m Metadata
	m = tokenEndpoint(t, "", func(r *http.Request) {
		signed, err := jwt.ParseSigned(r.Form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Error(err)
			return
		}
		var claims jwt.Claims
		if err := signed.Claims(private.Public(), &claims); err != nil {
			t.Error(err)
		}
		expected := jwt.Expected{Issuer: "robot", Subject: "robot", AnyAudience: jwt.Audience{m.Issuer}, Time: time.Now()}
		if err := claims.Validate(expected); err != nil || claims.ID == "" || signed.Headers[0].KeyID != "k1" {
			t.Errorf("%+v, %v", claims, err)
		}
		if r.Header.Get("Authorization") != "" || r.Form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("%v", r.Form)
		}
	})
	if _, err := m.Token(t.Context(), Credentials{ClientID: "robot", Key: key}, TokenRequest{}); err != nil {
		t.Error(err)
	}
}

func TestToken_RFC6749_5_2_ErrorAnswer(t *testing.T) {
	t.Parallel()
	origin := serve(t, map[string]http.HandlerFunc{
		"/token": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_scope","error_description":"No."}`)
		},
		"/moved": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/token", http.StatusTemporaryRedirect)
		},
	})
	c := Credentials{ClientID: "x", Secret: "top-secret"}
	_, err := Metadata{TokenEndpoint: origin + "/token"}.Token(t.Context(), c, TokenRequest{})
	refusal, ok := errors.AsType[*Error](err)
	if !ok || refusal.Code != "invalid_scope" || refusal.Status != 400 || refusal.Description != "No." {
		t.Errorf("%v", err)
	}
	_, err = Metadata{TokenEndpoint: origin + "/moved"}.Token(t.Context(), c, TokenRequest{})
	if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Status != 307 {
		t.Errorf("credentials followed a redirect: %v", err)
	}
	for _, endpoint := range []string{"", "http://auth.example.com/token"} {
		if _, err := (Metadata{TokenEndpoint: endpoint}).Token(t.Context(), c, TokenRequest{}); err == nil {
			t.Errorf("credentials were sent to %q", endpoint)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "top-secret") {
		t.Errorf("printing shows the secret: %s", text)
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	for name, test := range map[string]struct {
		data []byte
		alg  jose.SignatureAlgorithm // empty: refused
	}{
		"PKCS #8 P-256":   {pkcs8(t, p256), jose.ES256},
		"PKCS #8 Ed25519": {pkcs8(t, ed), jose.EdDSA},
		"PKCS #8 RSA":     {pkcs8(t, rsa2048), jose.RS256},
		"PKCS #1 RSA":     {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048)), jose.RS256},
		"JWK with PS256":  {jwkOf(t, jose.JSONWebKey{Key: rsa2048, Algorithm: "PS256"}), jose.PS256},
		"JWK P-256":       {jwkOf(t, jose.JSONWebKey{Key: p256}), jose.ES256},
		"P-384":           {pkcs8(t, p384), ""},
		"public JWK":      {jwkOf(t, jose.JSONWebKey{Key: p256.Public()}), ""},
		"symmetric JWK":   {jwkOf(t, jose.JSONWebKey{Key: bytes.Repeat([]byte("k"), 32)}), ""},
		"certificate":     {pemOf("CERTIFICATE", []byte("x")), ""},
		"neither":         {[]byte("hello"), ""},
		"nothing":         {nil, ""},
		"half a JWK":      {[]byte(`{"kty":`), ""},
	} {
		key, err := ParseKey(test.data)
		if (err == nil) != (test.alg != "") || err == nil && key.alg != test.alg {
			t.Errorf("%s: %+v, %v", name, key, err)
		}
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

func jwkOf(t *testing.T, key jose.JSONWebKey) []byte {
	t.Helper()
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
