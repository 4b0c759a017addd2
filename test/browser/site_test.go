package browser

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// Somebody who has an account everywhere.
const (
	username = "ada@example.com"
	password = "a gate without a key"
)

// site is a pair of servers, at the one host name of this machine at which
// browsers allow passkeys.
type site struct {
	*world.World
	t *testing.T
}

// newSite starts servers with one person.
func newSite(t *testing.T, adapt ...func(*authserver.Config)) *site {
	t.Helper()
	return siteOn(t, world.SQLite(t), adapt...)
}

func siteOn(t *testing.T, store storage.Store, adapt ...func(*authserver.Config)) *site {
	t.Helper()
	s := &site{world.Config{Store: store, Adapt: func(cfg *authserver.Config) {
		cfg.Issuer = strings.Replace(cfg.Issuer, "127.0.0.1", "localhost", 1)
		for _, change := range adapt {
			change(cfg)
		}
	}}.Start(t), t}
	s.User(username, password)
	return s
}

// signIn signs the person in, at the page where the tab is.
func (b *tab) signIn() {
	b.t.Helper()
	b.fill("#username", username)
	b.fill("#password", password)
	b.follow(`form:has(#password) button.primary`)
}

// account opens a page of the account, and signs in before.
func (s *site) account(b *tab, path string) {
	s.t.Helper()
	b.open(s.Issuer + "/login")
	b.signIn()
	if b.path() != path {
		b.open(s.Issuer + path)
	}
}

// app is a client on this machine that waits for its answer at a port.
type app struct {
	*site
	id       string
	callback string // the redirect URI
	answers  chan url.Values
	verifier string
}

// newApp registers a client with these changes and starts to listen. It is
// called Paperclip.
func (s *site) newApp(change ...func(*storage.Client)) *app {
	s.t.Helper()
	a := s.listen()
	a.id = "paperclip"
	s.PublicClient(a.id, append([]func(*storage.Client){func(c *storage.Client) { c.Name = "Paperclip" }}, change...)...)
	return a
}

// listen starts a client that is not registered yet.
func (s *site) listen() *app {
	s.t.Helper()
	a := &app{site: s, answers: make(chan url.Values, 1), verifier: rand.Text() + rand.Text()}
	server := httptest.NewServer(http.HandlerFunc(a.arrive))
	s.t.Cleanup(server.Close)
	a.callback = server.URL + "/callback"
	return a
}

// arrive is the page of the client that the browser returns to.
func (a *app) arrive(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.URL.Path != "/callback" {
		w.WriteHeader(http.StatusNoContent) // the icon that browsers look for
		return
	}
	a.answers <- r.URL.Query()
	_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Paperclip</title><h1>Back in Paperclip</h1>`))
}

// ask is an authorization request; pairs add parameters or replace them.
func (a *app) ask(scope string, pairs ...string) string {
	challenge := sha256.Sum256([]byte(a.verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {a.callback}, "resource": {a.Resource}, "state": {"state-of-paperclip"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if scope != "" {
		query.Set("scope", scope)
	}
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	return a.Issuer + "/oauth/authorize?" + query.Encode()
}

// answer is what the client has got; the browser is there already.
func (a *app) answer() url.Values {
	a.t.Helper()
	select {
	case got := <-a.answers:
		if got.Get("state") != "state-of-paperclip" || got.Get("iss") != a.Issuer {
			a.t.Fatalf("answer %v", got)
		}
		return got
	case <-time.After(limit):
		a.t.Fatal("the client got no answer")
		return nil
	}
}

// token is what the client gets for a code.
type token struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
}

// redeem exchanges a code for tokens.
func (a *app) redeem(code string) (got token) {
	a.t.Helper()
	response, err := a.HTTP.PostForm(a.Issuer+"/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {a.id}, "redirect_uri": {a.callback}, "code": {code}, "code_verifier": {a.verifier},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != http.StatusOK {
		a.t.Fatalf("redeem: %s %v", response.Status, err)
	}
	return got
}

// connect has the person, who is signed in or not, allow a request.
func (a *app) connect(b *tab, scope string, pairs ...string) token {
	a.t.Helper()
	b.open(a.ask(scope, pairs...))
	if b.path() == "/login" {
		b.signIn()
	}
	b.follow(`button[value="allow"]`)
	return a.redeem(a.answer().Get("code"))
}
