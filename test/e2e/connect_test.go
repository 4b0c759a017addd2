package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

const (
	username = "ann"
	password = "correct horse battery staple"
	callback = "http://127.0.0.1:33418/callback" // nobody listens: the answer is read from the redirect
)

// person sits at a browser and allows what a client asks for, until they leave.
type person struct {
	browser *world.Browser
	without []string // scopes that are not allowed

	mu    sync.Mutex // guards the fields below
	asked [][]string // scopes of each consent
	left  bool
}

var errLeft = errors.New("the person has left")

// newPerson is somebody with an account, at a browser of their own.
func newPerson(w *world.World, without ...string) *person {
	return &person{browser: w.Browser(username, password), without: without}
}

// allow opens the address of an authorization request and returns where the
// browser was sent back to.
func (p *person) allow(ctx context.Context, address string) (*url.URL, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return nil, errLeft
	}
	back, err := p.browser.SignInAndAllow(ctx, address, p.without...)
	if err == nil {
		p.asked = append(p.asked, p.browser.Asked)
	}
	return back, err
}

func (p *person) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
}

// consents returns the scopes that the person was asked for, one by one.
func (p *person) consents() [][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// start runs a pair in which somebody has an account.
func start(t *testing.T) *world.World {
	t.Helper()
	w := world.Start(t, world.Postgres(t, nil))
	w.User(username, password)
	return w
}

// kinds are the ways in which a client becomes known.
var kinds = []string{"operator", "dynamic", "document"}

// preregistered registers a client with a secret for people.
func preregistered(w *world.World, id string) (secret string) {
	return w.Client(id, func(c *storage.Client) {
		c.GrantTypes = []string{"authorization_code", "refresh_token"}
		c.RedirectURIs = []string{"http://127.0.0.1/callback"}
	})
}

// document publishes the metadata of a program, as real ones write them.
func document(w *world.World, name string) (clientID string) {
	return w.Document(name, map[string]any{
		"client_name": "Program " + name, "redirect_uris": []string{"http://127.0.0.1/callback", "http://localhost/callback"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	})
}

// known is what a client has got.
type known struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
}

// useful fails unless the tokens are there and the access token is good for the
// resource alone.
func useful(t *testing.T, w *world.World, got known) {
	t.Helper()
	if got.AccessToken == "" || got.RefreshToken == "" || got.AccessToken == got.RefreshToken {
		t.Fatalf("not a pair of tokens for %q", got.ClientID)
	}
	if answer := introspect(t, w, got.AccessToken); answer["active"] != true || answer["client_id"] != got.ClientID || answer["aud"] != w.Resource || answer["sub"] == nil || answer["sub"] == got.ClientID {
		t.Errorf("introspection of %s: %v", got.ClientID, answer)
	}
	if status := call(t, w, got.RefreshToken); status != http.StatusUnauthorized {
		t.Errorf("the refresh token as a bearer token: %d", status)
	}
}

// revoke ends the grant as a client does (RFC 7009), and fails unless nothing of
// it is any good afterwards, at either server.
func revoke(t *testing.T, w *world.World, got known) {
	t.Helper()
	if status, answer := post(t, w, "/oauth/revoke", got, url.Values{"token": {got.RefreshToken}}); status != http.StatusOK {
		t.Fatalf("revocation: %d %v", status, answer)
	}
	w.Eventually("the resource server refuses the access token", func() bool { return call(t, w, got.AccessToken) == http.StatusUnauthorized })
	if answer := introspect(t, w, got.AccessToken); answer["active"] != false {
		t.Errorf("the access token: %v", answer)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}
	if status, answer := post(t, w, "/oauth/token", got, form); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("the refresh token: %d %v", status, answer)
	}
}

func introspect(t *testing.T, w *world.World, token string) map[string]any {
	t.Helper()
	_, answer := post(t, w, "/oauth/introspect", known{ClientID: w.IntrospectID, ClientSecret: w.IntrospectSecret}, url.Values{"token": {token}})
	return answer
}

func post(t *testing.T, w *world.World, path string, as known, form url.Values) (int, map[string]any) {
	t.Helper()
	status, body, err := w.Post(t.Context(), path, as.ClientID, as.ClientSecret, form)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if len(body) > 0 && json.Unmarshal(body, &answer) != nil {
		t.Fatalf("%s: %s", path, body)
	}
	return status, answer
}

func call(t *testing.T, w *world.World, token string) int {
	t.Helper()
	status, _, err := w.Call(t.Context(), token, "tools/list", "", "")
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// asks reports whether one set of scopes has all of others.
func asks(consent []string, others string) bool {
	for scope := range strings.FieldsSeq(others) {
		if !slices.Contains(consent, scope) {
			return false
		}
	}
	return true
}
