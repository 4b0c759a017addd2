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

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
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

// The gate is not in front of these servers: the second wall stands alone.
func TestSeed_S17_HiddenItemsAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	reader := c.as("alice,mcp:tools,mcp:read")
	for params, method := range map[string]string{
		`"name":"write"`:                         "tools/call",
		`"name":"stats"`:                         "tools/call",
		`"name":"audit"`:                         "prompts/get",
		`"uri":"file:///private/plan"`:           "resources/read",
		`"uri":"file:///public/../private/plan"`: "resources/subscribe",
		`"ref":{"type":"ref/resource","uri":"file:///private/{id}"},"argument":{"name":"id","value":""}`: "completion/complete",
		`"ref":{"type":"ref/prompt","name":"audit"},"argument":{"name":"id","value":""}`:                 "completion/complete",
	} {
		a := reader.send(http.MethodPost, request(method, params))
		var data struct{ Error, Scope string }
		if a.code() != codeRefused || json.Unmarshal(a.rpc.Error.Data, &data) != nil || data.Error != "insufficient_scope" || !strings.Contains(data.Scope, "admin") && data.Scope != "mcp:tools mcp:write" {
			t.Errorf("%s %s: %d %s", method, params, a.status, a.body)
		}
		if a := c.send(http.MethodPost, request(method, params)); a.code() == codeRefused {
			t.Errorf("the administrator, %s %s: %s", method, params, a.body)
		}
	}
	listen := `"notifications":{"resourceSubscriptions":["notes://all","file:///private/plan"]}`
	if a := reader.modern("subscriptions/listen", listen, ""); a.code() != codeRefused {
		t.Errorf("listen: %d %s", a.status, a.body)
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
