package authserver_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// RoundTrip lets foreign clients call the server without a network.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// foreign is the context in which x/oauth2 and go-oidc call the server.
func (w *world) foreign() context.Context {
	return oidc.ClientContext(w.t.Context(), &http.Client{Transport: w})
}

// The ID token as an independent client sees it: discovery, code exchange,
// verification, nonce, at_hash and userinfo, with every signing algorithm.
func TestIDToken_OIDC_3_1_3_7_IndependentClient(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "EdDSA", "PS256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *authserver.Config) { c.Tokens.SigningAlg = alg })
			w.app("app")
			raw, access := w.signInWithForeignClient(w.as("ada"))
			ctx := w.foreign()
			provider, err := oidc.NewProvider(ctx, issuer)
			if err != nil {
				t.Fatal(err)
			}
			id, err := provider.Verifier(&oidc.Config{ClientID: "app"}).Verify(ctx, raw)
			if err != nil {
				t.Fatal(err)
			}
			if id.Nonce != "n-1" || id.Subject != "ada" || id.VerifyAccessToken(access.AccessToken) != nil || id.Expiry.Sub(id.IssuedAt) != time.Hour {
				t.Errorf("ID token: %+v", id)
			}
			claims := decodeSegment(t, strings.Split(raw, ".")[1])
			if claims["name"] != "Name of ada" || claims["preferred_username"] != "ada" || claims["email"] != "ada@people.example" ||
				claims["email_verified"] != false || claims["auth_time"] == nil || !reflect.DeepEqual(claims["amr"], []any{"pwd"}) {
				t.Errorf("claims: %v", claims)
			}
			if info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(access)); err != nil || info.Subject != id.Subject || info.Email != claims["email"] {
				t.Errorf("userinfo: %+v %v", info, err)
			}
		})
	}
}

// signInWithForeignClient runs the code flow with x/oauth2 as client app.
func (w *world) signInWithForeignClient(person *browser) (idToken string, access *oauth2.Token) {
	w.t.Helper()
	client := oauth2.Config{
		ClientID: "app", RedirectURL: appURL, Scopes: []string{"openid", "profile", "email", "mcp:read"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/oauth/authorize", TokenURL: issuer + "/oauth/token"},
	}
	verifier := oauth2.GenerateVerifier()
	link := client.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier), oidc.Nonce("n-1"))
	page := person.follow(person.get(strings.TrimPrefix(link, issuer)), "")
	code := person.decide(page, "allow").arrived(w.t, appURL).Get("code")
	access, err := client.Exchange(w.foreign(), code, oauth2.VerifierOption(verifier))
	if err != nil {
		w.t.Fatal(err)
	}
	idToken, _ = access.Extra("id_token").(string)
	return idToken, access
}

// at_hash is the left half of the hash that the signature uses: SHA-512 for
// Ed25519, SHA-256 for the others.
func TestIDToken_OIDC_3_1_3_6_AccessTokenHash(t *testing.T) {
	t.Parallel()
	for alg, half := range map[string]func(string) []byte{
		"ES256": func(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:16] },
		"EdDSA": func(s string) []byte { sum := sha512.Sum512([]byte(s)); return sum[:32] },
	} {
		w := newWorld(t, func(c *authserver.Config) { c.Tokens.SigningAlg = alg })
		w.app("app")
		tokens := w.as("ada").connect(ask("app", "scope", "openid"), "")
		claims := decodeSegment(t, strings.Split(tokens.str("id_token"), ".")[1])
		if want := base64.RawURLEncoding.EncodeToString(half(tokens.str("access_token"))); claims["at_hash"] != want {
			t.Errorf("%s: at_hash %v, want %s", alg, claims["at_hash"], want)
		}
	}
}

// What an ID token says depends on what was granted; a refreshed one repeats
// when the person signed in, and not the nonce.
func TestIDToken_OIDC_12_2_Refresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		ada := w.as("ada")
		signedIn := float64(time.Now().Unix())
		<-time.After(time.Minute)
		tokens := ada.connect(ask("app", "scope", "openid mcp:read", "nonce", "n-1"), "")
		first := decodeSegment(t, strings.Split(tokens.str("id_token"), ".")[1])
		if header := decodeSegment(t, strings.Split(tokens.str("id_token"), ".")[0]); header["typ"] != "JWT" || header["kid"] == nil {
			t.Errorf("header: %v", header)
		}
		for _, absent := range []string{"name", "preferred_username", "email", "email_verified", "scope", "client_id", "jti"} {
			if first[absent] != nil {
				t.Errorf("%s without its scope: %v", absent, first)
			}
		}
		<-time.After(time.Minute)
		refreshed := w.refresh("app", tokens.str("refresh_token"))
		second := decodeSegment(t, strings.Split(refreshed.str("id_token"), ".")[1])
		if first["nonce"] != "n-1" || second["nonce"] != nil || first["auth_time"] != signedIn || second["auth_time"] != signedIn ||
			second["iat"].(float64)-first["iat"].(float64) != 60 || first["sub"] != second["sub"] || second["aud"] != "app" {
			t.Errorf("first %v\nrefreshed %v", first, second)
		}
		narrowed := w.refresh("app", refreshed.str("refresh_token"), "scope", "mcp:read")
		if narrowed.Code != http.StatusOK || narrowed.str("id_token") != "" {
			t.Errorf("ID token without openid: %s", narrowed.Body)
		}
	})
}

// An ID token is for the client that asked for it, and opens nothing here.
func TestIDToken_FOSITE_IsNoAccessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	rs := w.client("rs", introspecting, func(c *storage.Client) { c.Resources = []string{notesURL} })
	tokens := w.as("ada").connect(ask("app", "scope", "openid"), "")
	id := tokens.str("id_token")
	if a := w.userinfo(http.MethodGet, id); a.Code != http.StatusUnauthorized {
		t.Errorf("userinfo: %d %s", a.Code, a.Body)
	}
	if w.active("rs", rs, id) || w.active("rs", rs, tokens.str("refresh_token")) || !w.active("rs", rs, tokens.str("access_token")) {
		t.Error("introspection takes the wrong token for an access token")
	}
	if a := w.do(form("/oauth/revoke", values("client_id", "app", "token", id))); a.Code != http.StatusOK || !w.active("rs", rs, tokens.str("access_token")) {
		t.Errorf("revocation: %d %s", a.Code, a.Body)
	}
}

// A resource server takes the access token and neither the ID token nor the
// refresh token that came with it (RFC 9068 §4).
func TestIDToken_RFC9068_4_ResourceServerRefusesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	tokens := w.as("ada").connect(ask("app", "scope", "openid mcp:read"), "")
	gate, err := resourceserver.New(t.Context(), resourceserver.Config{Issuer: issuer, Resource: notesURL, HTTPClient: &http.Client{Transport: w}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the resource server knows the keys", func() bool { return gate.Ready(t.Context()) == nil })
	for name, good := range map[string]bool{"access_token": true, "id_token": false, "refresh_token": false} {
		if token, err := gate.Verifier().Verify(t.Context(), tokens.str(name)); (err == nil) != good || good && token.Subject != "ada" {
			t.Errorf("%s: %+v %v", name, token, err)
		}
	}
}

// A device connects with x/oauth2, which polls as RFC 8628 §3.5 says.
func TestDevice_RFC8628_IndependentClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("tv", onDevices)
		ctx := w.foreign()
		client := oauth2.Config{ClientID: "tv", Scopes: []string{"mcp:read"}, Endpoint: oauth2.Endpoint{
			DeviceAuthURL: issuer + "/oauth/device_authorization", TokenURL: issuer + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams,
		}}
		begun, err := client.DeviceAuth(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ada := w.as("ada")
		go func() {
			<-time.After(12 * time.Second)
			ada.decide(ada.enter(begun.UserCode), "allow")
		}()
		token, err := client.DeviceAccessToken(ctx, begun)
		if err != nil || token.RefreshToken == "" || !token.Valid() {
			t.Fatalf("%+v %v", token, err)
		}
	})
}
