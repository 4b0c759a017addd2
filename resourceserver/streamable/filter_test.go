package streamable

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// names returns the sorted names (or URIs) in a list's result.
func names(t *testing.T, a answer) string {
	t.Helper()
	var result map[string]json.RawMessage
	if err := json.Unmarshal(a.rpc.Result, &result); err != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, list := range []string{"tools", "prompts", "resources", "resourceTemplates"} {
		var items []struct{ Name, URI, URITemplate string }
		if raw, found := result[list]; found {
			if err := json.Unmarshal(raw, &items); err != nil || items == nil {
				t.Fatalf("%s: %v", raw, err)
			}
			var all []string
			for _, item := range items {
				all = append(all, item.Name)
			}
			slices.Sort(all)
			return strings.Join(all, " ")
		}
	}
	t.Fatalf("no list in %s", a.body)
	return ""
}

func TestSeed_S17_ListsShowWhatTheTokenMayUse(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	for token, lists := range map[string]map[string]string{
		"alice,mcp:admin,files:admin": {
			"tools/list": "plain read slow stats write", "prompts/list": "audit summary",
			"resources/list": "file:///private/plan file:///public/readme notes://all notes://café", "resources/templates/list": "t1 t2",
		},
		"alice,mcp:admin": {
			"tools/list": "plain read slow stats write", "prompts/list": "audit summary",
			"resources/list": "file:///public/readme notes://all notes://café", "resources/templates/list": "t1",
		},
		"alice,mcp:tools,mcp:read": {
			"tools/list": "plain read slow", "prompts/list": "summary",
			"resources/list": "file:///public/readme notes://all notes://café", "resources/templates/list": "t1",
		},
		"alice,mcp:tools": {"tools/list": "plain slow"},
	} {
		for method, want := range lists {
			if got := names(t, c.as(token).send(http.MethodPost, request(method, ""))); got != want {
				t.Errorf("session, %s, %s: %s, want %s", token, method, got, want)
			}
			a := c.as(token).modern(method, "", "")
			if got := names(t, a); got != want {
				t.Errorf("modern, %s, %s: %s, want %s", token, method, got, want)
			}
			if !strings.Contains(a.body, `"cacheScope":"private"`) || strings.Contains(a.body, "public\"") {
				t.Errorf("RS-20: %s", a.body)
			}
		}
	}
}

// operation is what only some tokens may do, in both eras or in one; name is
// for the header Mcp-Name.
type operation struct{ era, method, params, name, scope string }

// asked returns how to ask for it, by era.
func (o operation) asked() map[string]func(*client) answer {
	ways := map[string]func(*client) answer{
		"legacy": func(c *client) answer { return c.send(http.MethodPost, request(o.method, o.params)) },
		"modern": func(c *client) answer { return c.modern(o.method, o.params, o.name) },
	}
	if o.era != "both" {
		return map[string]func(*client) answer{o.era: ways[o.era]}
	}
	return ways
}

// hidden are operations that only the administrator may do.
var hidden = []operation{
	{"both", "tools/call", `"name":"write"`, "write", "mcp:tools mcp:write"},
	{"both", "tools/call", `"name":"stats"`, "stats", "mcp:admin"},
	{"both", "prompts/get", `"name":"audit"`, "audit", "mcp:admin"},
	{"both", "resources/read", `"uri":"file:///private/plan"`, "file:///private/plan", "files:admin"},
	{"both", "resources/read", `"uri":"file:///public/%2e%2e/private/plan"`, "file:///public/%2e%2e/private/plan", "files:admin"},
	{"both", "completion/complete", `"ref":{"type":"ref/resource","uri":"file:///private/{id}"},"argument":{"name":"id","value":""}`, "", "files:admin"},
	{"both", "completion/complete", `"ref":{"type":"ref/prompt","name":"audit"},"argument":{"name":"id","value":""}`, "", "mcp:admin"},
	{"legacy", "resources/subscribe", `"uri":"file:///private/plan"`, "", "files:admin"},
	{"legacy", "resources/unsubscribe", `"uri":"FILE:///private/plan"`, "", "files:admin"},
	{"modern", "subscriptions/listen", `"notifications":{"resourceSubscriptions":["notes://all","file:///private/plan"]}`, "", "files:admin mcp:read"},
}

// The gate is not in front of these servers: the second wall stands alone.
func TestSeed_S17_HiddenItemsAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	reader := c.as("alice,mcp:tools,mcp:read")
	for _, h := range hidden {
		for era, ask := range h.asked() {
			a := ask(reader)
			var data struct{ Error, Scope string }
			if a.code() != codeRefused || json.Unmarshal(a.rpc.Error.Data, &data) != nil || data.Error != "insufficient_scope" || !strings.HasPrefix(h.scope, data.Scope) {
				t.Errorf("%s: %s %s: %d %s", era, h.method, h.params, a.status, a.body)
			}
			if h.method == "subscriptions/listen" {
				continue // would not end
			}
			if a := ask(c); a.code() == codeRefused {
				t.Errorf("%s, the administrator: %s %s: %s", era, h.method, h.params, a.body)
			}
		}
	}
	if a := reader.modern("subscriptions/listen", `"notifications":{}`, ""); a.code() != 0 {
		t.Errorf("listen to nothing: %d %s", a.status, a.body)
	}
	if a := c.as("alice,mcp:read").send(http.MethodPost, request("tools/list", "")); a.code() != codeRefused {
		t.Errorf("tools/list without mcp:tools: %s", a.body)
	}
}

// A session opened with a powerful token does not lend its power to later
// requests with a weaker one, nor the other way round.
func TestFilter_TheTokenOfTheRequestCounts(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	if a := c.as("alice,mcp:tools,mcp:read").send(http.MethodPost, request("tools/call", `"name":"stats"`)); a.code() != codeRefused {
		t.Errorf("a weak token in a session opened by a strong one: %s", a.body)
	}
	weak := c.as("alice,mcp:read")
	weak.session = ""
	weak.initialize()
	if a := weak.as("alice,mcp:admin").send(http.MethodPost, request("tools/call", `"name":"stats"`)); !strings.Contains(a.body, "stats for mcp:admin") {
		t.Errorf("after a step-up: %s", a.body)
	}
}

// TM-19: what a header says grants nothing.
func TestFilter_TM19_HeadersGrantNothing(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	reader := c.as("alice,mcp:tools,mcp:read")
	for _, version := range []string{"", "2025-06-18", "2025-11-25"} {
		header := []string{headerMethod, "tools/call", headerName, "read"}
		if version != "" {
			header = append(header, headerVersion, version)
		}
		if a := reader.send(http.MethodPost, request("tools/call", `"name":"stats"`), header...); a.code() != codeRefused {
			t.Errorf("%q: %s", version, a.body)
		}
	}
	if a := reader.modern("tools/call", `"name":"stats"`, "read"); a.code() != mcp.CodeHeaderMismatch {
		t.Errorf("modern: %s", a.body)
	}
}

// S17, RS-12: in front of the server the same operations are an HTTP 403, with
// one challenge that names all that the operation needs.
func TestSeed_S17_RS12_HiddenItemsAre403AtTheGate(t *testing.T) {
	t.Parallel()
	c, _, issuer := gated(t, newServer(t), nil)
	c.initialize()
	reader := c.as(issuer.Token(rstest.Claims{"scope": "mcp:tools mcp:read"}))
	unknown := operation{"both", "admin/status", "", "", "mcp:admin"}
	for _, h := range append(slices.Clone(hidden), unknown) {
		for _, ask := range h.asked() {
			wantChallenge(t, ask(reader), h.scope)
		}
	}
	if a := c.send(http.MethodPost, request("resources/read", `"uri":"file:///private/plan"`)); a.status != http.StatusOK || a.code() != 0 {
		t.Errorf("the administrator: %d %s", a.status, a.body)
	}
}

// wantChallenge checks that an answer asks for scope, in one challenge.
func wantChallenge(t *testing.T, a answer, scope string) {
	t.Helper()
	challenges := a.header.Values("WWW-Authenticate")
	if a.status != http.StatusForbidden || len(challenges) != 1 || a.rpc.Error == nil || !strings.HasPrefix(a.rpc.Error.Message, "insufficient_scope") || string(a.rpc.ID) != "7" {
		t.Fatalf("want %q: %d %q %s", scope, a.status, challenges, a.body)
	}
	for _, want := range []string{`error="insufficient_scope"`, `scope="` + scope + `"`, "resource_metadata="} {
		if !strings.Contains(challenges[0], want) {
			t.Errorf("the challenge %s lacks %s", challenges[0], want)
		}
	}
}

// RS-13: a broad scope includes the narrow ones, over several steps, at the
// gate and behind it; what is asked for is the narrow one.
func TestRS13_BroadScopesIncludeNarrowOnes(t *testing.T) {
	t.Parallel()
	catalog, err := scopes.NewCatalog(append(scopes.Default(),
		scopes.Scope{Name: "files:read"}, scopes.Scope{Name: "files:write", Implies: []string{"files:read"}},
		scopes.Scope{Name: "files:admin", Implies: []string{"files:write"}})...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(policy.Config{
		ToolScopes: []policy.Rule{{Match: "peek", Scopes: scopes.Of("files:read", "mcp:tools")}, {Match: "poke", Scopes: scopes.Of("files:write", "files:read")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, ServerOptions(mcp.ServerOptions{}))}
	for _, name := range []string{"peek", "poke"} {
		mcp.AddTool(s.Server, &mcp.Tool{Name: name}, idle)
	}
	s.AddReceivingMiddleware(FilterLists(p, catalog))
	c, _, issuer := gated(t, s, nil, func(cfg *resourceserver.Config) { cfg.Policy, cfg.Scopes = p, catalog })
	behind, _ := start(t, s, nil)
	for _, tc := range []struct {
		granted, tool, challenge string
	}{
		{"mcp:tools files:read", "peek", ""},
		{"mcp:tools files:write", "peek", ""},
		{"mcp:tools files:admin", "peek", ""},
		{"mcp:admin files:admin", "peek", ""},
		{"mcp:admin", "peek", "files:read mcp:tools"}, // all that it needs, granted or not
		{"files:admin", "peek", "files:read mcp:tools"},
		{"files:admin", "poke", ""},
		{"files:write", "poke", ""},
		{"files:read mcp:admin", "poke", "files:write"}, // which includes files:read
	} {
		a := c.as(issuer.Token(rstest.Claims{"scope": tc.granted})).modern("tools/call", `"name":"`+tc.tool+`","arguments":{}`, tc.tool)
		allowed := tc.challenge == ""
		if (a.status == http.StatusOK) != allowed || !allowed && !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="`+tc.challenge+`"`) {
			t.Errorf("%q for %s: %d %s", tc.granted, tc.tool, a.status, a.header.Get("WWW-Authenticate"))
		}
		b := behind.as("alice,"+strings.ReplaceAll(tc.granted, " ", ",")).modern("tools/call", `"name":"`+tc.tool+`","arguments":{}`, tc.tool)
		if (b.code() == 0) != allowed {
			t.Errorf("%q for %s, behind the gate: %s", tc.granted, tc.tool, b.body)
		}
	}
}

func idle(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{}, nil, nil
}

// RS-21: a list depends on the token of its request alone: not on who opened
// the session, nor on what was asked before.
func TestRS21_ListsVaryByTokenNotByConnection(t *testing.T) {
	t.Parallel()
	c, _, issuer := gated(t, newServer(t), nil)
	c.initialize()
	weak := c.as(issuer.Token(rstest.Claims{"scope": "mcp:tools mcp:read"}))
	for range 2 {
		for _, tc := range []struct {
			*client
			want string
		}{{c, "plain read slow stats write"}, {weak, "plain read slow"}} {
			if got := names(t, tc.send(http.MethodPost, request("tools/list", ""))); got != tc.want {
				t.Errorf("in a session: %s, want %s", got, tc.want)
			}
			if got := names(t, tc.modern("tools/list", "", "")); got != tc.want {
				t.Errorf("without one: %s, want %s", got, tc.want)
			}
		}
	}
	if a := weak.modern("tools/call", `"name":"stats"`, "stats"); a.status != http.StatusForbidden {
		t.Errorf("a hidden tool is called: %d %s", a.status, a.body)
	}
}

// S15, S17: the policy's hook decides about every operation and every item.
func TestSeed_S17_PolicyHookPerItem(t *testing.T) {
	t.Parallel()
	_, catalog := rules(t)
	p, err := policy.New(policy.Config{Hook: func(op policy.Operation) (scopes.Set, bool) {
		hides := op.Name == "write" || op.Name == "audit" || strings.HasPrefix(op.URI, "file:///public/") || strings.HasPrefix(op.URI, "notes://{")
		return scopes.Of("files:admin"), hides
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.AddReceivingMiddleware(FilterLists(p, catalog))
	c, _, issuer := gated(t, s, nil, func(cfg *resourceserver.Config) { cfg.Policy = p })
	c.initialize()
	admin := c.as(issuer.Token(rstest.Claims{"scope": "mcp:admin"}))
	for method, want := range map[string]string{
		"tools/list": "plain read slow stats", "prompts/list": "summary", "resources/list": "notes://all notes://café", "resources/templates/list": "",
	} {
		if got := names(t, admin.send(http.MethodPost, request(method, ""))); got != want {
			t.Errorf("in a session, %s: %s, want %s", method, got, want)
		}
		if got := names(t, admin.modern(method, "", "")); got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
	for params, method := range map[string]string{`"name":"write"`: "tools/call", `"name":"audit"`: "prompts/get", `"uri":"FILE:///x/../public/readme"`: "resources/read"} {
		if a := admin.send(http.MethodPost, request(method, params)); a.status != http.StatusForbidden {
			t.Errorf("%s %s: %d %s", method, params, a.status, a.body)
		}
	}
}

func TestSeed_S17_HookPerItem(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p, catalog := rules(t)
	s.AddReceivingMiddleware(FilterLists(p, catalog, func(_ context.Context, info *auth.TokenInfo, op policy.Operation) bool {
		return info != nil && op.Name != "write"
	}))
	c, _ := start(t, s, nil)
	if got := names(t, c.modern("tools/list", "", "")); got != "plain read slow stats" {
		t.Error(got)
	}
	if a := c.modern("tools/call", `"name":"write"`, "write"); a.code() != codeRefused || !strings.HasPrefix(a.rpc.Error.Message, "access_denied") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestFilter_NoTokenMayDoNothing(t *testing.T) {
	t.Parallel()
	p, catalog := rules(t)
	next := func(context.Context, string, mcp.Request) (mcp.Result, error) {
		return &mcp.ListToolsResult{Tools: []*mcp.Tool{{Name: "read"}}}, nil
	}
	handle := FilterLists(p, catalog)(next)
	if _, err := handle(t.Context(), "tools/list", &mcp.ListToolsRequest{Params: &mcp.ListToolsParams{}}); err == nil {
		t.Error("a list without a token")
	}
	if _, err := handle(t.Context(), "ping", &mcp.ListToolsRequest{Params: &mcp.ListToolsParams{}}); err != nil {
		t.Error(err)
	}
}
