package authserver_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// push pushes an authorization request of a public client.
func (w *world) push(pushed request) answer {
	w.t.Helper()
	return w.do(form("/oauth/par", pushed.Values))
}

// reference is the request that a browser brings for a pushed one.
func reference(clientID string, pushed answer, pairs ...string) request {
	return request{values(append([]string{"client_id", clientID, "request_uri", pushed.str("request_uri")}, pairs...)...), ""}
}

// A pushed request is what counts; what the browser brings besides its
// request_uri and client_id changes nothing.
func TestPAR_RFC9126_4_FrontChannelChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	ada := w.as("ada")
	asked := ask("app", "scope", "mcp:read", "nonce", "n-1")
	pushed := w.push(asked)
	if pushed.Code != http.StatusCreated || pushed.json["expires_in"] != 90.0 ||
		!strings.HasPrefix(pushed.str("request_uri"), "urn:ietf:params:oauth:request_uri:") || pushed.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("push: %d %v %s", pushed.Code, pushed.Header(), pushed.Body)
	}
	page := ada.authorize(reference("app", pushed,
		"redirect_uri", "https://evil.example/", "scope", "mcp:tools openid", "state", "evil", "nonce", "evil", "resource", rootURL,
		"code_challenge", strings.Repeat("A", 43), "response_type", "token", "prompt", "none", "max_age", "0", "request", "x"), "")
	response := ada.decide(page, "allow").arrived(t, appURL)
	if response.Get("state") != "st-app" || response.Get("iss") != issuer {
		t.Errorf("response: %v", response)
	}
	tokens := w.exchange(asked, response.Get("code"))
	if tokens.Code != http.StatusOK || tokens.str("scope") != "mcp:read" || tokens.str("id_token") != "" {
		t.Errorf("tokens: %d %s", tokens.Code, tokens.Body)
	}
	if aud := decodeSegment(t, strings.Split(tokens.str("access_token"), ".")[1])["aud"]; aud != notesURL {
		t.Errorf("aud: %v", aud)
	}
}

// A request_uri is good once, for its own client, and only ours is one at all.
// Whatever is wrong is a page: no redirect URI is proven.
func TestPAR_RFC9126_7_3_RequestURIIsSingleUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("other")
	ada := w.as("ada")
	pushed := w.push(ask("app"))
	uri := pushed.str("request_uri")
	refused := func(name string, pairs ...string) {
		t.Helper()
		a := ada.get("/oauth/authorize?" + values(append(pairs, "redirect_uri", appURL)...).Encode())
		if a.Code != http.StatusBadRequest || a.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", name, a.Code, a.Header())
		}
	}
	refused("another client", "client_id", "other", "request_uri", uri)
	refused("no client_id", "request_uri", uri)
	refused("unknown", "client_id", "app", "request_uri", uri+"x")
	refused("somewhere else", "client_id", "app", "request_uri", "https://app.example/request.jwt")
	refused("no reference", "client_id", "app", "request_uri", "urn:ietf:params:oauth:request_uri:")
	if a := ada.authorize(reference("app", pushed), ""); a.Code != http.StatusOK {
		t.Errorf("first use: %d %s", a.Code, a.Body)
	}
	refused("second use", "client_id", "app", "request_uri", uri)
	if !strings.Contains(w.logs.String(), "invalid_request_uri") {
		t.Error("the log does not say why")
	}
}

// Of many browsers with one request_uri one gets on.
func TestPAR_RFC9126_7_3_RaceHasOneWinner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	once := reference("app", w.push(ask("app")))
	var racing sync.WaitGroup
	codes := make(chan int, 8)
	for range cap(codes) {
		racing.Go(func() {
			codes <- w.browser().get("/oauth/authorize?" + once.Encode()).Code
		})
	}
	racing.Wait()
	close(codes)
	won := 0
	for code := range codes {
		if code == http.StatusSeeOther {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d browsers got on", won)
	}
}

func TestPAR_RFC9126_2_2_Expiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		ada := w.as("ada")
		early, late := w.push(ask("app")), w.push(ask("app"))
		<-time.After(89 * time.Second)
		if a := ada.authorize(reference("app", early), ""); a.Code != http.StatusOK {
			t.Errorf("in time: %d %s", a.Code, a.Body)
		}
		<-time.After(time.Second)
		if a := ada.authorize(reference("app", late), ""); a.Code != http.StatusBadRequest {
			t.Errorf("too late: %d %s", a.Code, a.Body)
		}
	})
}

// What the authorization endpoint would refuse is refused when it is pushed,
// and so is a client that does not authenticate (RFC 9126 §2.1, §2.3).
func TestPAR_RFC9126_2_3_Refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("machine", func(c *storage.Client) { c.GrantTypes = []string{"refresh_token"} })
	secret := w.client("web", confidential)
	changed := func(name, value string) url.Values { return ask("app", name, value).Values }
	twice := changed("scope", "mcp:read")
	twice.Add("scope", "mcp:tools")
	for name, test := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"request_uri":          {changed("request_uri", "urn:ietf:params:oauth:request_uri:x"), 400, "invalid_request"},
		"request object":       {changed("request", "e30.e30."), 400, "request_not_supported"},
		"wrong redirect_uri":   {changed("redirect_uri", "https://evil.example/"), 400, "invalid_request"},
		"no challenge":         {changed("code_challenge", ""), 400, "invalid_request"},
		"plain":                {changed("code_challenge_method", "plain"), 400, "invalid_request"},
		"implicit":             {changed("response_type", "token"), 400, "unsupported_response_type"},
		"foreign resource":     {changed("resource", "https://elsewhere.example/"), 400, "invalid_target"},
		"malformed scope":      {changed("scope", "\"quoted\""), 400, "invalid_scope"},
		"repeated parameter":   {twice, 400, "invalid_request"},
		"unknown client":       {changed("client_id", "nobody"), 401, "invalid_client"},
		"no client":            {changed("client_id", ""), 401, "invalid_client"},
		"no secret":            {changed("client_id", "web"), 401, "invalid_client"},
		"client without grant": {changed("client_id", "machine"), 400, "unauthorized_client"},
	} {
		a := w.do(form("/oauth/par", test.form))
		if a.Code != test.status || a.str("error") != test.code || a.str("request_uri") != "" {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	large := changed("state", strings.Repeat("x", 20_000))
	if a := w.do(form("/oauth/par", large)); a.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %s", a.Code, a.Body)
	}
	if a := w.post("/oauth/par", "web", secret, "redirect_uri", appURL); a.str("error") != "invalid_request" {
		t.Errorf("incomplete: %d %s", a.Code, a.Body)
	}
}

// confidential makes a client one that people use and that has a secret.
func confidential(c *storage.Client) {
	c.GrantTypes, c.RedirectURIs = []string{"authorization_code", "refresh_token"}, []string{appURL}
}

// pushSpy keeps what the server stores of pushed requests.
type pushSpy struct {
	storage.Store
	mu     sync.Mutex // guards stored
	stored []storage.PushedRequest
}

func (s *pushSpy) PushRequest(ctx context.Context, p storage.PushedRequest) error {
	s.mu.Lock()
	s.stored = append(s.stored, p)
	s.mu.Unlock()
	return s.Store.PushRequest(ctx, p)
}

// Nothing that authenticated the client is stored with its request, nor the
// reference itself, nor what has no meaning; and a client that names itself in
// the header only is the one that the request belongs to.
func TestPAR_RFC9126_2_StoresNoSecret(t *testing.T) {
	t.Parallel()
	spy := &pushSpy{Store: migratedStore(t)}
	w := newWorld(t, func(c *authserver.Config) { c.Store = spy })
	secret := w.client("app", confidential)
	byBody := w.push(ask("app", "client_secret", secret, "unknown", "thing"))
	r := form("/oauth/par", ask("app", "client_id", "").Values)
	r.SetBasicAuth("app", secret)
	byHeader := w.do(r)
	if byBody.Code != http.StatusCreated || byHeader.Code != http.StatusCreated || len(spy.stored) != 2 {
		t.Fatalf("%d %s, %d %s", byBody.Code, byBody.Body, byHeader.Code, byHeader.Body)
	}
	for i, stored := range spy.stored {
		for _, leak := range []string{secret, "client_secret", "unknown", byBody.str("request_uri")[40:]} {
			if strings.Contains(stored.Params, leak) {
				t.Errorf("stored: %s", stored.Params)
			}
		}
		if kept, _ := url.ParseQuery(stored.Params); kept.Get("client_id") != "app" || stored.ClientID != "app" || kept.Get("state") != "st-app" {
			t.Errorf("%d: %s", i, stored.Params)
		}
	}
	if a := w.as("ada").authorize(reference("app", byHeader), ""); a.Code != http.StatusOK {
		t.Errorf("use: %d %s", a.Code, a.Body)
	}
}

// An assertion for this very endpoint is as good as one for the issuer or the
// token endpoint, and it goes once.
func TestPAR_RFC9126_2_AssertionForThisEndpoint(t *testing.T) {
	t.Parallel()
	spy := &pushSpy{Store: migratedStore(t)}
	w := newWorld(t, func(c *authserver.Config) { c.Store = spy })
	key := ecKey(t)
	w.client("app", confidential, keyed(keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k"})))
	for aud, want := range map[string]int{
		issuer + "/oauth/par": 201, issuer + "/oauth/token": 201, issuer: 201, issuer + "/oauth/authorize": 401, "https://elsewhere.example/oauth/par": 401,
	} {
		claims := goodClaims("app")
		claims["aud"] = aud
		pushed := ask("app", "client_assertion_type", assertionType, "client_assertion", assert(t, jose.ES256, key, "k", claims))
		if a := w.push(pushed); a.Code != want {
			t.Errorf("%s: %d %s", aud, a.Code, a.Body)
		}
		if again := w.push(pushed); again.Code != http.StatusUnauthorized {
			t.Errorf("%s again: %d %s", aud, again.Code, again.Body)
		}
	}
	if len(spy.stored) != 3 || strings.Contains(spy.stored[0].Params, "assertion") {
		t.Errorf("stored: %v", spy.stored)
	}
}
