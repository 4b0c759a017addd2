package integration

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

const (
	username = "ann"
	password = "correct horse battery staple"
	callback = "http://127.0.0.1:33418/callback"
	// remembered is where a consent is remembered for: nobody else can answer
	// there.
	remembered = "https://app.example/callback"
)

// request is an authorization request and the verifier that goes with it.
type request struct {
	clientID, redirectURI, verifier string
}

func newRequest(clientID, redirectURI string) request {
	return request{clientID, redirectURI, rand.Text() + rand.Text()}
}

// address is where the person is sent with it.
func (r request) address(w *world.World) string {
	challenge := sha256.Sum256([]byte(r.verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {r.clientID}, "redirect_uri": {r.redirectURI}, "resource": {w.Resource},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	return w.Issuer + "/oauth/authorize?" + query.Encode()
}

// code has the person allow the request.
func (r request) code(ctx context.Context, w *world.World, b *world.Browser) (string, error) {
	back, err := b.SignInAndAllow(ctx, r.address(w))
	if err != nil {
		return "", err
	}
	if code := back.Query().Get("code"); code != "" {
		return code, nil
	}
	return "", fmt.Errorf("no code: %s", back)
}

// redemption is the form that presents a code of the request.
func (r request) redemption(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.redirectURI}, "code_verifier": {r.verifier}}
}

// refreshing is the form that presents a refresh token.
func refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// tokens is an answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Error   string `json:"error"`
}

// present sends a form of a public client to a token endpoint.
func present(ctx context.Context, w *world.World, server, clientID string, form url.Values) (int, tokens, error) {
	status, body, err := w.PostTo(ctx, server+"/oauth/token", clientID, "", form)
	if err != nil {
		return 0, tokens{}, err
	}
	var got tokens
	err = json.Unmarshal(body, &got)
	return status, got, err
}

// obtain goes the whole way of a public client to its tokens.
func obtain(ctx context.Context, w *world.World, b *world.Browser, clientID, redirectURI string) (tokens, error) {
	r := newRequest(clientID, redirectURI)
	code, err := r.code(ctx, w, b)
	if err != nil {
		return tokens{}, err
	}
	status, got, err := present(ctx, w, w.Issuer, clientID, r.redemption(code))
	if err == nil && status != http.StatusOK {
		err = errors.New("token endpoint: " + http.StatusText(status) + " " + got.Error)
	}
	return got, err
}
