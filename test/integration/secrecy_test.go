package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// logs is what both servers log.
type logs struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Of all the credentials that pass the wire while clients of every kind connect,
// refresh, fail and are revoked, none is in the logs, even at debug level:
// neither of the authorization server nor of the resource server.
func TestLogs_NoCredentialIsLogged(t *testing.T) {
	t.Parallel()
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			said := &logs{}
			w := world.Config{Store: world.Postgres(t, nil), Logs: said}.Start(t)
			wire := &world.Wire{Base: w.HTTP.Transport}
			w.HTTP.Transport = wire
			live(t, w, format)
			text, seen := said.String(), wire.Seen()
			kinds := map[string]int{}
			for value, what := range seen {
				what, _, _ = strings.Cut(what, "-")
				if kinds[what]++; strings.Contains(text, value) {
					t.Errorf("a %s is in the logs", what)
				}
			}
			for _, what := range []string{
				"access_token", "refresh_token", "code", "code_verifier", "password", "client_secret", "registration_access_token",
				"device_code", "user_code", "id_token", "interaction", "request_uri", "cookie gatehouse", "Bearer",
			} {
				if kinds[what] == 0 {
					t.Errorf("no %s was on the wire", what)
				}
			}
			if lines := strings.Count(text, "\n"); lines < 20 || !strings.Contains(text, `"endpoint":"token"`) || !strings.Contains(text, `"level":"DEBUG"`) {
				t.Errorf("the logs have %d lines", lines)
			}
		})
	}
}

// live does with a pair all that hands out credentials, and much that fails.
func live(t *testing.T, w *world.World, format storage.TokenFormat) {
	t.Helper()
	w.User(username, password)
	inFormat := func(c *storage.Client) { c.TokenFormat = format }
	device := func(c *storage.Client) {
		c.GrantTypes = append(c.GrantTypes, "urn:ietf:params:oauth:grant-type:device_code")
	}
	w.PublicClient("app", inFormat, device)
	secret := w.Client("machine", inFormat)
	b := w.Browser(username, password)
	if _, err := w.Browser(username, "wrong "+rand.Text()).SignInAndAllow(t.Context(), newRequest("app", callback).address(w)); err == nil {
		t.Error("a wrong password signs in")
	}
	got, err := obtain(t.Context(), w, b, "app", callback)
	if err != nil {
		t.Fatal(err)
	}
	call(t, w, got.Access)
	call(t, w, got.Refresh)
	call(t, w, got.Access[:len(got.Access)-4]+"AAAA")

	r := newRequest("app", callback)
	code, err := r.code(t.Context(), w, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []url.Values{
		r.redemption(code), r.redemption(code), refreshing(got.Refresh), refreshing(got.Refresh), refreshing("ghr_" + rand.Text()), r.redemption("ghc_" + rand.Text()),
	} {
		if _, _, err := present(t.Context(), w, w.Issuer, "app", form); err != nil {
			t.Fatal(err)
		}
	}
	post(t, w, "/oauth/token", "machine", secret, url.Values{"grant_type": {"client_credentials"}})
	post(t, w, "/oauth/token", "machine", "ghs_"+rand.Text(), url.Values{"grant_type": {"client_credentials"}})
	post(t, w, "/oauth/revoke", "app", "", url.Values{"token": {got.Refresh}})
	post(t, w, "/oauth/introspect", w.IntrospectID, w.IntrospectSecret, url.Values{"token": {got.Access}})
	pushed(t, w, b)
	post(t, w, "/oauth/device_authorization", "app", "", url.Values{"resource": {w.Resource}})
	registered(t, w)
}

// pushed goes by a pushed request, with openid for an ID token.
func pushed(t *testing.T, w *world.World, b *world.Browser) {
	t.Helper()
	r := newRequest("app", callback)
	address, err := url.Parse(r.address(w))
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("scope", "openid mcp:read")
	_, answer := post(t, w, "/oauth/par", "app", "", query)
	requestURI, _ := answer["request_uri"].(string)
	back, err := b.SignInAndAllow(t.Context(), w.Issuer+"/oauth/authorize?"+url.Values{"client_id": {"app"}, "request_uri": {requestURI}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if status, got, err := present(t.Context(), w, w.Issuer, "app", r.redemption(back.Query().Get("code"))); err != nil || status != http.StatusOK {
		t.Errorf("pushed: %d %s %v", status, got.Error, err)
	}
}

// registered has a client with a secret register itself, read itself with a good
// token and a bad one.
func registered(t *testing.T, w *world.World) {
	t.Helper()
	body := `{"client_name":"Self","redirect_uris":["https://app.example/callback"],"token_endpoint_auth_method":"client_secret_basic"}`
	send := func(method, address, token, body string) (answer map[string]any) {
		request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := w.HTTP.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	answer := send(http.MethodPost, w.Issuer+"/oauth/register", "", body)
	address, _ := answer["registration_client_uri"].(string)
	token, _ := answer["registration_access_token"].(string)
	if address == "" || token == "" {
		t.Fatalf("registration: %v", answer["error"])
	}
	if answer := send(http.MethodGet, address, token, ""); answer["client_id"] == nil {
		t.Errorf("it cannot read itself: %v", answer)
	}
	send(http.MethodGet, address, "ghm_"+rand.Text(), "")
}
