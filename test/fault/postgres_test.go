package fault

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// While Postgres is down every answer that rests on it is 503 with Retry-After
// and readiness says so; nothing is 500, a revocation is not called done. When
// it is back everything goes on, and what was revoked stays revoked.
func TestFault_PostgresGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	store, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := world.Start(t, store)
	secret := w.Client("app", world.Opaque)
	revoked, kept, late := token(t, w, secret), token(t, w, secret), token(t, w, secret)
	if status := post(t, w, "/oauth/revoke", secret, url.Values{"token": {revoked}}).StatusCode; status != http.StatusOK {
		t.Fatalf("revocation: %d", status)
	}

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	w.Eventually("the authorization server is not ready", func() bool { return get(t, w, "/ready") == http.StatusServiceUnavailable })
	if status := get(t, w, "/health"); status != http.StatusOK {
		t.Errorf("health: %d", status)
	}
	for path, form := range map[string]url.Values{
		"/oauth/token":      {"grant_type": {"client_credentials"}},
		"/oauth/introspect": {"token": {late}},
		"/oauth/revoke":     {"token": {late}},
	} {
		if response := post(t, w, path, secret, form); response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", path, response.StatusCode, response.Header.Get("Retry-After"))
		}
	}

	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Eventually("the authorization server is ready again", func() bool { return get(t, w, "/ready") == http.StatusOK })
	w.Eventually("the resource server is ready again", func() bool { return w.Gate.Ready(t.Context()) == nil })
	for name, test := range map[string]struct {
		token  string
		status int
	}{"kept": {kept, http.StatusOK}, "revoked": {revoked, http.StatusUnauthorized}, "late": {late, http.StatusOK}} {
		status, body, err := w.Call(t.Context(), test.token, "tools/list", "", "")
		if err != nil || status != test.status {
			t.Errorf("%s token: %d %s %v", name, status, body, err)
		}
	}
}

func token(t *testing.T, w *world.World, secret string) string {
	t.Helper()
	response := post(t, w, "/oauth/token", secret, url.Values{"grant_type": {"client_credentials"}})
	var issued struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(response.body, &issued); err != nil || issued.AccessToken == "" {
		t.Fatalf("token: %d %s", response.StatusCode, response.body)
	}
	return issued.AccessToken
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

func post(t *testing.T, w *world.World, path, secret string, form url.Values) answer {
	t.Helper()
	form.Set("client_id", "app")
	form.Set("client_secret", secret)
	response, err := w.HTTP.PostForm(w.Issuer+path, form)
	return read(t, response, err)
}

func get(t *testing.T, w *world.World, path string) int {
	t.Helper()
	response, err := w.HTTP.Get(w.Issuer + path)
	return read(t, response, err).StatusCode
}

func read(t *testing.T, response *http.Response, err error) answer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, body}
}
