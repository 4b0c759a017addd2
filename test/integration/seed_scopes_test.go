package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// custom are the scopes that the security guide invents.
var custom = []scopes.Scope{
	{Name: "files:read", Description: "Look into your files"},
	{Name: "files:write", Description: "Change your files", Implies: []string{"files:read"}},
	{Name: "system:admin", Description: "Turn the machine off", Sensitive: true},
	{Name: "analytics:view", Description: "See how often it is used"},
}

// archive is a pair whose MCP server uses custom scopes in every kind of rule.
type archive struct {
	*world.World

	resource string
	pages    *pages
}

// pages remembers the HTML that passes.
type pages struct {
	base http.RoundTripper

	mu   sync.Mutex // guards text
	text strings.Builder
}

// RoundTrip implements http.RoundTripper.
func (p *pages) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.base.RoundTrip(r)
	if err != nil || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.WriteString(html.UnescapeString(string(body)))
	return response, err
}

func (p *pages) show(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.text.String(), text)
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := scopes.NewCatalog(append(scopes.Default(), custom...)...)
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{resource: "http://" + listener.Addr().String() + "/mcp"}
	a.World = world.Config{
		Store: world.SQLite(t), Resources: []string{a.resource},
		Adapt: func(cfg *authserver.Config) { cfg.Scopes = catalog },
	}.Start(t)
	a.pages = &pages{base: a.HTTP.Transport}
	a.HTTP.Transport = a.pages
	server := httptest.NewUnstartedServer(a.protected(t, catalog))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	a.User(username, password)
	a.PublicClient("app", func(c *storage.Client) {
		c.Scopes, c.Resources = catalog.Names(), []string{a.resource}
	})
	return a
}

// protected is the MCP server behind its gate.
func (a *archive) protected(t *testing.T, catalog *scopes.Catalog) http.Handler {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "archive", Version: "v1"}, streamable.ServerOptions(mcp.ServerOptions{}))
	tools := streamable.NewTools(server)
	rules, err := policy.New(policy.Config{
		AdminScope:     "system:admin",
		MethodScopes:   []policy.Rule{{Match: "analytics/*", Scopes: scopes.Of("analytics:view")}},
		ToolScopes:     []policy.Rule{{Match: "save", Scopes: scopes.Of("files:write", scopes.MCPTools)}},
		ResourceScopes: []policy.Rule{{Match: "file:///", Scopes: scopes.Of("files:read")}},
		PromptScopes:   []policy.Rule{{Match: "report", Scopes: scopes.Of("analytics:view")}},
		Hook:           tools.Needed,
	})
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	}
	mcp.AddTool(server, &mcp.Tool{Name: "save"}, nothing)
	mcp.AddTool(server, &mcp.Tool{Name: "plain"}, nothing)
	streamable.AddTool(tools, &mcp.Tool{Name: "halt"}, nothing, "system:admin")
	server.AddResource(&mcp.Resource{Name: "plan", URI: "file:///plan"}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "plan"}}}, nil
	})
	server.AddPrompt(&mcp.Prompt{Name: "report"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{}}, nil
	})
	for _, method := range []string{"analytics/view", "backup/run"} {
		type params struct{ mcp.ParamsBase }
		type result struct{ mcp.ResultBase }
		if err := mcp.AddReceivingCustomMethod(server, method, func(context.Context, *mcp.ServerSession, *params) (*result, error) { return &result{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	server.AddReceivingMiddleware(streamable.FilterLists(rules, catalog))
	gate, err := resourceserver.New(t.Context(), resourceserver.Config{
		Resource: a.resource, Issuer: a.Issuer, Scopes: catalog, Policy: rules,
		RequiredScopes: []string{"files:read"}, ChallengeScopes: []string{"files:read", scopes.MCPTools},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", gate.Protect(streamable.Handler(server, &streamable.Options{HostChecked: true})))
	mux.Handle("/.well-known/", gate.Metadata())
	a.Eventually("the gate is ready", func() bool { return gate.Ready(t.Context()) == nil })
	return mux
}

// token has a person allow the app all scopes but those of without.
func (a *archive) token(t *testing.T, without ...string) (access string, asked []string) {
	t.Helper()
	r, b := newRequest("app", callback), a.Browser(username, password)
	address := strings.Replace(r.address(a.World), url.QueryEscape(a.Resource), url.QueryEscape(a.resource), 1)
	back, err := b.SignInAndAllow(t.Context(), address, without...)
	if err != nil {
		t.Fatal(err)
	}
	status, got, err := present(t.Context(), a.World, a.Issuer, "app", r.redemption(back.Query().Get("code")))
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %+v, %v: %s", status, got, err, back)
	}
	return got.Access, b.Asked
}

// ask sends a request of the stateless era and returns its status and the
// scope of the challenge; a JSON-RPC error fails the test.
func (a *archive) ask(t *testing.T, token, method, name, params string) (status int, challenge string) {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.resource, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for header, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + token,
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name,
	} {
		if value != "" {
			r.Header.Set(header, value)
		}
	}
	response, err := a.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode == http.StatusOK && bytes.Contains(answer, []byte(`"error"`)) {
		t.Fatalf("%s %s: %s, %v", method, params, answer, err)
	}
	_, after, _ := strings.Cut(response.Header.Get("WWW-Authenticate"), `scope="`)
	challenge, _, _ = strings.Cut(after, `"`)
	return response.StatusCode, challenge
}

// supported returns what a metadata document says.
func (a *archive) supported(t *testing.T, address string) []string {
	t.Helper()
	response, err := a.HTTP.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var document struct {
		Scopes []string `json:"scopes_supported"`
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document.Scopes
}

// S12: the default scopes have descriptions that people see, and mcp:admin
// includes the others.
func TestSeed_S12_DefaultScopes(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.SQLite(t))
	seen := &pages{base: w.HTTP.Transport}
	w.HTTP.Transport = seen
	w.User(username, password)
	w.PublicClient("app")
	b := w.Browser(username, password)
	if _, err := obtain(t.Context(), w, b, "app", callback); err != nil {
		t.Fatal(err)
	}
	for _, scope := range scopes.Default() {
		if !slices.Contains(b.Asked, scope.Name) || scope.Description == "" || !seen.show(scope.Description) {
			t.Errorf("%s: asked for %v", scope.Name, b.Asked)
		}
	}
	for granted, allowed := range map[string]map[string]int{
		scopes.MCPAdmin: {"list_notes": http.StatusOK, "write_note": http.StatusOK, "admin_stats": http.StatusOK},
		scopes.MCPRead:  {"list_notes": http.StatusForbidden, "write_note": http.StatusForbidden, "admin_stats": http.StatusForbidden},
	} {
		secret := w.Client(granted, func(c *storage.Client) { c.Scopes = []string{granted} })
		_, body, err := w.Post(t.Context(), "/oauth/token", granted, secret, url.Values{"grant_type": {"client_credentials"}})
		var got tokens
		if err != nil || json.Unmarshal(body, &got) != nil || got.Scope != granted {
			t.Fatalf("%s, %v", body, err)
		}
		for tool, want := range allowed {
			if status, body, err := w.Call(t.Context(), got.Access, "tools/call", tool, `"name":"`+tool+`","arguments":{"title":"x","text":""}`); err != nil || status != want {
				t.Errorf("%s for %s: %d %s, %v", granted, tool, status, body, err)
			}
		}
	}
}

// S13: custom scopes are like the others: in the metadata, on the page that
// asks for consent, and in every kind of rule.
func TestSeed_S13_CustomScopes(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	issuer := a.supported(t, a.Issuer+"/.well-known/oauth-authorization-server")
	all, asked := a.token(t)
	for _, scope := range custom {
		if !slices.Contains(issuer, scope.Name) {
			t.Errorf("%s is not in the issuer's metadata: %v", scope.Name, issuer)
		}
		if !slices.Contains(asked, scope.Name) || !a.pages.show(scope.Description) {
			t.Errorf("%s is not on the page that asks for consent: %v", scope.Name, asked)
		}
	}
	if got := a.supported(t, strings.Replace(a.resource, "/mcp", "/.well-known/oauth-protected-resource/mcp", 1)); !slices.Equal(got, []string{"files:read", scopes.MCPTools}) {
		t.Errorf("the resource's metadata: %v", got)
	}
	for without, refused := range map[string][]string{
		"":               nil,
		"files:write":    {"save"},
		"system:admin":   {"halt", "backup/run"},
		"analytics:view": {"report", "analytics/view"},
	} {
		token := all
		if without != "" {
			token, _ = a.token(t, without)
		}
		for name, do := range map[string]func() (int, string){
			"save":  func() (int, string) { return a.ask(t, token, "tools/call", "save", `"name":"save","arguments":{},`) },
			"plain": func() (int, string) { return a.ask(t, token, "tools/call", "plain", `"name":"plain","arguments":{},`) },
			"halt":  func() (int, string) { return a.ask(t, token, "tools/call", "halt", `"name":"halt","arguments":{},`) },
			"plan": func() (int, string) {
				return a.ask(t, token, "resources/read", "file:///plan", `"uri":"file:///plan",`)
			},
			"report":         func() (int, string) { return a.ask(t, token, "prompts/get", "report", `"name":"report",`) },
			"analytics/view": func() (int, string) { return a.ask(t, token, "analytics/view", "", "") },
			"backup/run":     func() (int, string) { return a.ask(t, token, "backup/run", "", "") },
		} {
			status, challenge := do()
			if slices.Contains(refused, name) != (status == http.StatusForbidden) || status == http.StatusForbidden && !slices.Contains(strings.Fields(challenge), without) {
				t.Errorf("without %q, %s: %d, challenge %q", without, name, status, challenge)
			}
		}
	}
	if _, challenge := a.ask(t, "none", "tools/list", "", ""); challenge != "files:read mcp:tools" {
		t.Errorf("required and family scopes: the challenge names %q", challenge)
	}
}
