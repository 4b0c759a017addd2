package notes

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// site is the notebook behind the real gate.
type site struct {
	url    string
	issuer *rstest.Issuer
}

func open(t *testing.T) *site {
	t.Helper()
	p, err := policy.New(Policy())
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := scopes.NewCatalog(Scopes()...)
	if err != nil {
		t.Fatal(err)
	}
	server, err := New(Config{File: filepath.Join(t.TempDir(), "notes.json")})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(nil)
	url := "http://" + front.Listener.Addr().String() + "/mcp"
	issuer := rstest.NewIssuer(t, url)
	gate, err := resourceserver.New(t.Context(), resourceserver.Config{Resource: url, Issuer: issuer.URL, Policy: p, Scopes: catalog})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := streamable.Handler(server, &streamable.Options{HostChecked: true})
	front.Config.Handler = gate.Protect(endpoint)
	front.Start()
	t.Cleanup(func() {
		endpoint.CloseSessions(nil)
		front.CloseClientConnections()
		front.Close()
	})
	return &site{url, issuer}
}

// bearer adds a token to every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// connect opens a client session with a token for scope; version empty speaks
// the newest revision.
func (s *site) connect(t *testing.T, scope, version string, opts *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, opts)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint:   s.url,
		HTTPClient: &http.Client{Transport: bearer(s.issuer.Token(rstest.Claims{"scope": scope}))},
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// call calls a tool and decodes its structured result.
func call[T any](t *testing.T, session *mcp.ClientSession, tool string, args map[string]any) (T, *mcp.CallToolResult) {
	t.Helper()
	var out T
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	raw, err := json.Marshal(result.StructuredContent)
	if err == nil && !result.IsError {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return out, result
}

func TestNotebook_ToolsWork(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, version := range []string{"", "2025-11-25"} {
		session := s.connect(t, "mcp:admin", version, nil)
		note, _ := call[Note](t, session, "write_note", map[string]any{"title": "Milk", "text": "two bottles"})
		if note.ID == "" || note.Author != "alice" {
			t.Fatalf("%+v", note)
		}
		if read, _ := call[Note](t, session, "read_note", map[string]any{"id": note.ID}); read != note {
			t.Errorf("%+v, want %+v", read, note)
		}
		if list, _ := call[listResult](t, session, "list_notes", map[string]any{"query": "BOTTLES"}); len(list.Notes) != 1 || list.Notes[0].ID != note.ID {
			t.Errorf("%+v", list)
		}
		if stats, _ := call[status](t, session, "admin_stats", nil); stats.Notes != 1 || stats.Bytes != len("Milk"+"two bottles") || stats.Status != "ok" {
			t.Errorf("%+v", stats)
		}
		call[deleteResult](t, session, "delete_note", map[string]any{"id": note.ID})
		for tool, args := range map[string]map[string]any{
			"read_note":   {"id": note.ID},
			"delete_note": {"id": note.ID},
			"write_note":  {"id": note.ID, "title": "x", "text": ""},
		} {
			_, result := call[Note](t, session, tool, args)
			if said, ok := result.Content[0].(*mcp.TextContent); !result.IsError || !ok || !strings.Contains(said.Text, "list_notes shows the ids") {
				t.Errorf("%s of a note that is gone: %+v", tool, result.Content[0])
			}
		}
	}
}

func TestNotebook_ToolsAreAnnotated(t *testing.T) {
	t.Parallel()
	list, err := open(t).connect(t, "mcp:admin", "", nil).ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 5 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, tool := range list.Tools {
		a := tool.Annotations
		reads := !slices.Contains([]string{"write_note", "delete_note"}, tool.Name)
		if a == nil || a.ReadOnlyHint != reads || (a.DestructiveHint != nil && *a.DestructiveHint) == reads || tool.Title == "" || tool.Description == "" {
			t.Errorf("%+v %+v", tool, a)
		}
	}
}

// The scopes are those that the demonstration promises, at the gate and in
// what a client is shown.
func TestNotebook_Scopes(t *testing.T) {
	t.Parallel()
	s := open(t)
	reader := s.connect(t, "mcp:tools mcp:read", "", nil)
	admin := s.connect(t, "mcp:admin", "", nil)
	if got := listed(t, reader); got != "list_notes read_note file:///public/readme.md notes://all" {
		t.Error(got)
	}
	if got := listed(t, admin); got != "admin_stats delete_note list_notes read_note write_note file:///public/readme.md notes://all" {
		t.Error(got)
	}
	for tool, allowed := range map[string]bool{"list_notes": true, "write_note": false, "delete_note": false, "admin_stats": false} {
		_, err := reader.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{}})
		if refused := err != nil && strings.Contains(err.Error(), "insufficient_scope"); refused == allowed {
			t.Errorf("%s: %v", tool, err)
		}
	}
}

// No tool is left to the scope of its family, and no rule is for a tool that
// does not exist.
func TestNotebook_EveryToolHasARule(t *testing.T) {
	t.Parallel()
	list, err := open(t).connect(t, "mcp:admin", "", nil).ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var tools, ruled []string
	for _, tool := range list.Tools {
		tools = append(tools, tool.Name)
	}
	for _, rule := range Policy().ToolScopes {
		ruled = append(ruled, rule.Match)
	}
	slices.Sort(tools)
	slices.Sort(ruled)
	if !slices.Equal(tools, ruled) {
		t.Errorf("tools %v, rules for %v", tools, ruled)
	}
}

// listed returns the names of the tools and the URIs of the resources.
func listed(t *testing.T, session *mcp.ClientSession) string {
	t.Helper()
	tools, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resources, err := session.ListResources(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
	}
	for _, resource := range resources.Resources {
		names = append(names, resource.URI)
	}
	return strings.Join(names, " ")
}

func TestNotebook_FilesHaveTheirScopes(t *testing.T) {
	t.Parallel()
	s := open(t)
	for scope, uris := range map[string]map[string]bool{
		"mcp:read":             {uriReadme: true, uriAll: true, uriPlan: false, "file:///public/../private/plan.md": false},
		"mcp:admin":            {uriPlan: false},
		"mcp:read files:admin": {uriPlan: true},
	} {
		session := s.connect(t, scope, "", nil)
		for uri, allowed := range uris {
			_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
			if (err == nil) != allowed || !allowed && !strings.Contains(err.Error(), "insufficient_scope") {
				t.Errorf("%s with %s: %v", uri, scope, err)
			}
		}
	}
}

func TestNotebook_ResourcesPromptAndCompletion(t *testing.T) {
	t.Parallel()
	session := open(t).connect(t, "mcp:admin", "", nil)
	note, _ := call[Note](t, session, "write_note", map[string]any{"title": "Milk", "text": "two bottles"})
	for uri, want := range map[string]string{uriAll: `"title":"Milk"`, noteURI(note.ID): `"text":"two bottles"`, uriReadme: "# Notebook"} {
		result, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		if err != nil || !strings.Contains(result.Contents[0].Text, want) {
			t.Errorf("%s: %+v, %v", uri, result, err)
		}
	}
	if _, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "notes://none"}); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"", note.ID} {
		prompt, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: promptName, Arguments: map[string]string{"id": id}})
		if err != nil || len(prompt.Messages) != 2 {
			t.Errorf("%q: %+v, %v", id, prompt, err)
		}
	}
	for _, ref := range []*mcp.CompleteReference{{Type: "ref/resource", URI: uriTemplate}, {Type: "ref/prompt", Name: promptName}} {
		result, err := session.Complete(t.Context(), &mcp.CompleteParams{Ref: ref, Argument: mcp.CompleteParamsArgument{Name: "id", Value: note.ID[:2]}})
		if err != nil || !slices.Equal(result.Completion.Values, []string{note.ID}) {
			t.Errorf("%+v: %+v, %v", ref, result, err)
		}
	}
}

func TestNotebook_WatchersAreTold(t *testing.T) {
	t.Parallel()
	s := open(t)
	updates := make(chan string, 8)
	watcher := s.connect(t, "mcp:read", "2025-11-25", &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, req *mcp.ResourceUpdatedNotificationRequest) { updates <- req.Params.URI },
	})
	if err := watcher.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uriAll}); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{uriPlan, "notes://none", uriReadme} {
		if err := watcher.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err == nil {
			t.Errorf("subscribed to %s", uri)
		}
	}
	call[Note](t, s.connect(t, "mcp:admin", "", nil), "write_note", map[string]any{"title": "Milk", "text": ""})
	select {
	case uri := <-updates:
		if uri != uriAll {
			t.Error(uri)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
}

func TestNotebook_AdminMethods(t *testing.T) {
	t.Parallel()
	s := open(t)
	session := s.connect(t, "mcp:read system:admin", "2025-11-25", nil)
	post := func(scope, method string) (int, string) {
		return s.post(t, scope, `{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`, "Mcp-Session-Id", session.ID())
	}
	for _, scope := range []string{"mcp:admin", "mcp:read system:admin"} {
		if code, body := post(scope, "admin/status"); code != http.StatusOK || !strings.Contains(body, `"sessions":1`) {
			t.Errorf("%s: %d %s", scope, code, body)
		}
	}
	if code, body := s.modernStatus(t); code != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
		t.Errorf("without a session: %d %s", code, body)
	}
	for _, method := range []string{"admin/status", "admin/restart"} {
		if code, body := post("mcp:read mcp:tools mcp:write", method); code != http.StatusForbidden || !strings.Contains(body, "insufficient_scope") || !strings.Contains(body, "system:admin") {
			t.Errorf("%s: %d %s", method, code, body)
		}
	}
	if code, body := post("mcp:admin", "admin/restart"); code != http.StatusOK || !strings.Contains(body, `"closed_sessions":1`) {
		t.Errorf("restart: %d %s", code, body)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		code, body := post("mcp:admin", "admin/status")
		if code == http.StatusNotFound {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the session is still there: %d %s", code, body)
		}
	}
}

// post sends a message as it is; header has names and values in turn.
func (s *site) post(t *testing.T, scope, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Content-Type", "application/json")
	for ; len(header) > 0; header = header[2:] {
		r.Header.Set(header[0], header[1])
	}
	resp, err := (&http.Client{Transport: bearer(s.issuer.Token(rstest.Claims{"scope": scope}))}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func (s *site) modernStatus(t *testing.T) (int, string) {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"admin/status","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	return s.post(t, "mcp:admin", body, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "admin/status")
}
