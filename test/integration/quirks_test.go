package integration

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// The metadata at the path of the endpoint names the endpoint exactly as the
// user typed it, and so does the challenge that leads there.
func TestQuirk_Q05_MetadataResourceIsExactPerPath(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	response, err := w.HTTP.Post(w.Resource, "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	at := strings.TrimSuffix(w.Resource, "/mcp") + "/.well-known/oauth-protected-resource/mcp"
	if challenge := response.Header.Get("WWW-Authenticate"); response.StatusCode != http.StatusUnauthorized || !strings.Contains(challenge, `resource_metadata="`+at+`"`) {
		t.Errorf("%d %s", response.StatusCode, challenge)
	}
	metadata, err := w.HTTP.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer metadata.Body.Close()
	var answer struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
	}
	if err := json.NewDecoder(metadata.Body).Decode(&answer); err != nil || answer.Resource != w.Resource || !slices.Equal(answer.Servers, []string{w.Issuer}) {
		t.Errorf("%+v, %v", answer, err)
	}
}

// A client that never asks for offline_access stays connected, over the wire.
func TestQuirk_Q09_RefreshTokenWithoutOfflineAccess(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	w.User(username, password)
	w.PublicClient("app", func(c *storage.Client) { c.DefaultScopes = []string{"mcp:read", "mcp:tools"} })
	got, err := obtain(t.Context(), w, w.Browser(username, password), "app", callback)
	if err != nil || strings.Contains(got.Scope, "offline_access") || got.Refresh == "" {
		t.Fatalf("scope %q, %v", got.Scope, err)
	}
	status, next, err := present(t.Context(), w, w.Issuer, "app", refreshing(got.Refresh))
	if err != nil || status != http.StatusOK || call(t, w, next.Access) != http.StatusOK {
		t.Errorf("%d %s %v", status, next.Error, err)
	}
}

// Some clients only register themselves, some are only set up, some only have a
// document: at one server all three are served side by side.
func TestQuirk_Q13_AllKindsOfRegistrationSideBySide(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	w.User(username, password)
	w.PublicClient("static")
	described := map[string]any{
		"client_name": "Program", "redirect_uris": []string{callback}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	}
	body, err := json.Marshal(described)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.HTTP.Post(w.Issuer+"/oauth/register", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var dynamic struct {
		ClientID string `json:"client_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&dynamic); err != nil || dynamic.ClientID == "" {
		t.Fatalf("%d %v", response.StatusCode, err)
	}
	b := w.Browser(username, password)
	for _, id := range []string{"static", dynamic.ClientID, w.Document("program.json", described)} {
		got, err := obtain(t.Context(), w, b, id, callback)
		if err != nil || got.Refresh == "" {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if status := call(t, w, got.Access); status != http.StatusOK {
			t.Errorf("%s: the MCP endpoint answers %d", id, status)
		}
		if status, next, err := present(t.Context(), w, w.Issuer, id, refreshing(got.Refresh)); err != nil || status != http.StatusOK {
			t.Errorf("%s: refresh: %d %s %v", id, status, next.Error, err)
		}
	}
}

// A client that shows only the text of an error still tells its user which
// scopes are missing.
func TestQuirk_Q15_StepUpHintInTheMessage(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	secret := w.Client("reader", func(c *storage.Client) { c.Scopes = []string{"mcp:read"} })
	_, answer := post(t, w, "/oauth/token", "reader", secret, url.Values{"grant_type": {"client_credentials"}})
	token, _ := answer["access_token"].(string)
	status, body, err := w.Call(t.Context(), token, "tools/call", "write_note", `"name":"write_note","arguments":{}`)
	var refusal struct {
		Error struct{ Message string }
	}
	if err != nil || status != http.StatusForbidden || json.Unmarshal(body, &refusal) != nil {
		t.Fatalf("%d %s %v", status, body, err)
	}
	message := refusal.Error.Message
	if !strings.HasPrefix(message, "insufficient_scope") || !strings.Contains(message, "mcp:tools") || !strings.Contains(message, "mcp:write") {
		t.Errorf("%q", message)
	}
}

// A failed connect can be followed: each attempt leaves one event with its
// request_id, the endpoint, the client and what was wrong.
func TestQuirk_Q16_OneEventPerAttempt(t *testing.T) {
	t.Parallel()
	said := &logs{}
	w := world.Config{Store: world.Postgres(t, nil), Logs: said}.Start(t)
	w.PublicClient("app")
	r := newRequest("app", callback)
	bad, err := url.Parse(r.address(w))
	if err != nil {
		t.Fatal(err)
	}
	query := bad.Query()
	query.Set("redirect_uri", "https://elsewhere.example/callback")
	requests := map[string]func() (*http.Response, error){
		"page_authorize": func() (*http.Response, error) { return w.HTTP.Get(w.Issuer + "/oauth/authorize?" + query.Encode()) },
		"token": func() (*http.Response, error) {
			form := refreshing("ghr_unknown")
			form.Set("client_id", "app")
			return w.HTTP.PostForm(w.Issuer+"/oauth/token", form)
		},
	}
	for endpoint, send := range requests {
		response, err := send()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		id := response.Header.Get("X-Request-Id")
		var events []map[string]any
		w.Eventually("the attempt is logged", func() bool { events = eventsOf(said, id); return len(events) > 0 })
		if len(events) != 1 || id == "" {
			t.Fatalf("%s: %d events", endpoint, len(events))
		}
		if e := events[0]; e["endpoint"] != endpoint || e["client_id"] != "app" || e["error"] == nil || e["cause"] == nil {
			t.Errorf("%s: %v", endpoint, e)
		}
	}
}

// eventsOf returns the lines of the log about a request.
func eventsOf(said *logs, requestID string) (events []map[string]any) {
	lines := bufio.NewScanner(strings.NewReader(said.String()))
	for lines.Scan() {
		var event map[string]any
		if json.Unmarshal(lines.Bytes(), &event) == nil && event["request_id"] == requestID && event["msg"] == "request" {
			events = append(events, event)
		}
	}
	return events
}
