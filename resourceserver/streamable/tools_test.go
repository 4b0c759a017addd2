package streamable

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// registered is a server whose tools say what they need, and its policy.
func registered(t testing.TB) (*Tools, *server, *policy.Policy) {
	t.Helper()
	s := &server{Server: mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, ServerOptions(mcp.ServerOptions{}))}
	tools := NewTools(s.Server)
	p, err := policy.New(policy.Config{ToolScopes: []policy.Rule{{Match: "ruled", Scopes: scopes.Of("files:admin")}}, Hook: tools.Needed})
	if err != nil {
		t.Fatal(err)
	}
	_, catalog := rules(t)
	s.AddReceivingMiddleware(FilterLists(p, catalog))
	return tools, s, p
}

// The policy is older than any tool, and yet knows them all.
func TestTools_RegistrationIsTheRule(t *testing.T) {
	t.Parallel()
	tools, s, p := registered(t)
	c, _ := start(t, s, nil)
	weak := c.as("alice,mcp:tools")
	listed := func() string { return names(t, weak.modern("tools/list", "", "")) }
	AddTool(tools, &mcp.Tool{Name: "plain"}, idle)
	AddTool(tools, &mcp.Tool{Name: "ruled"}, idle)
	AddTool(tools, &mcp.Tool{Name: "wipe"}, idle, "mcp:write", "files:admin", "mcp:write")
	for name, want := range map[string]string{"plain": "mcp:tools", "ruled": "files:admin", "wipe": "files:admin mcp:write", "none": "mcp:tools", "Wipe": "mcp:tools"} {
		if got := p.Required(policy.Operation{Method: "tools/call", Name: name}).String(); got != want {
			t.Errorf("%s needs %q, want %q", name, got, want)
		}
	}
	if got := p.Required(policy.Operation{Method: "prompts/get", Name: "wipe"}).String(); got != "mcp:read" {
		t.Errorf("a prompt of the same name needs %q", got)
	}
	if got := listed(); got != "plain" {
		t.Errorf("listed: %s", got)
	}
	if a := weak.modern("tools/call", `"name":"wipe","arguments":{}`, "wipe"); a.code() != codeRefused {
		t.Errorf("%d %s", a.status, a.body)
	}
	AddTool(tools, &mcp.Tool{Name: "wipe"}, idle) // another one
	if got := listed(); got != "plain wipe" {
		t.Errorf("listed: %s", got)
	}
	s.RemoveTools("wipe")
	AddTool(tools, &mcp.Tool{Name: "wipe"}, idle, "mcp:admin")
	if got := listed(); got != "plain" {
		t.Errorf("listed: %s", got)
	}
}

// At the gate, too, a tool that was added while the server runs is refused
// from its first moment.
func TestTools_GateKnowsNewTools(t *testing.T) {
	t.Parallel()
	tools, s, p := registered(t)
	c, _, issuer := gated(t, s, nil, func(cfg *resourceserver.Config) { cfg.Policy = p })
	weak := c.as(issuer.Token(map[string]any{"scope": "mcp:tools"}))
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		for range 50 {
			if a := weak.modern("tools/call", `"name":"late","arguments":{}`, "late"); a.status == http.StatusOK && a.code() == 0 {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
	})
	AddTool(tools, &mcp.Tool{Name: "late"}, idle, "files:admin")
	if a := weak.modern("tools/call", `"name":"late","arguments":{}`, "late"); a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="files:admin"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := c.modern("tools/call", `"name":"late","arguments":{}`, "late"); a.status != http.StatusOK || a.code() != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Who forgets to tell the policy, or leaves out the wall, opens nothing.
func TestTools_RefuseByThemselves(t *testing.T) {
	t.Parallel()
	_, catalog := rules(t)
	for _, walls := range [][]mcp.Middleware{nil, {FilterLists(policy.Default(), catalog)}} {
		s := &server{Server: mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, ServerOptions(mcp.ServerOptions{}))}
		s.AddReceivingMiddleware(walls...)
		AddTool(NewTools(s.Server), &mcp.Tool{Name: "wipe"}, idle, "mcp:write", "mcp:tools")
		c, _ := start(t, s, nil)
		for token, allowed := range map[string]bool{
			"alice,mcp:tools": false, "alice,mcp:tools,mcp:write": true, "alice,mcp:admin": len(walls) > 0, // who knows what implies what
		} {
			a := c.as(token).modern("tools/call", `"name":"wipe","arguments":{}`, "wipe")
			if (a.code() == codeRefused) == allowed || allowed && a.code() != 0 {
				t.Errorf("%s: %d %s", token, a.status, a.body)
			}
		}
	}
}

func TestTools_MalformedScopesPanic(t *testing.T) {
	t.Parallel()
	tools, _, p := registered(t)
	for _, scope := range []string{"", "two words", "ä"} {
		func() {
			defer func() {
				if crash := recover(); crash == nil {
					t.Errorf("%q is accepted", scope)
				}
			}()
			AddTool(tools, &mcp.Tool{Name: "bad"}, idle, "mcp:read", scope)
		}()
	}
	if got := p.Required(policy.Operation{Method: "tools/call", Name: "bad"}).String(); got != "mcp:tools" {
		t.Error(got)
	}
}
