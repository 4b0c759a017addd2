package streamable

import (
	"context"
	"fmt"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Tools adds tools to a server together with the scopes that they need, so
// that no list of rules has to follow. The policy asks Tools about each call
// (policy.Config{Hook: tools.Needed}), and thus knows a tool as soon as it
// exists; a tool that the policy has not heard of refuses by itself. It is safe
// for concurrent use.
type Tools struct {
	server *mcp.Server

	mu     sync.RWMutex
	needed map[string]scopes.Set // by name
}

// NewTools returns Tools for server.
func NewTools(server *mcp.Server) *Tools {
	return &Tools{server: server, needed: map[string]scopes.Set{}}
}

// AddTool is [mcp.AddTool] for a tool that needs all of these scopes instead of
// that of its family; without any it needs what the policy's rules say. A tool
// that replaces another one of the same name needs only its own. AddTool panics
// where mcp.AddTool does, and if a scope is malformed (RFC 6749 §3.3).
func AddTool[In, Out any](t *Tools, tool *mcp.Tool, handler mcp.ToolHandlerFor[In, Out], needed ...string) {
	for _, scope := range needed {
		if !scopes.ValidToken(scope) {
			panic(fmt.Sprintf("AddTool: tool %q: scope %q: %v", tool.Name, scope, scopes.ErrSyntax))
		}
	}
	own := scopes.Of(needed...)
	guarded := func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		if err := wallOf(ctx, req).covers(own); err != nil {
			var nothing Out
			return nil, nothing, err
		}
		return handler(ctx, req, in)
	}
	t.mu.Lock()
	defer t.mu.Unlock() // nobody is judged between the old tool and the new one
	mcp.AddTool(t.server, tool, guarded)
	if delete(t.needed, tool.Name); len(own) > 0 {
		t.needed[tool.Name] = own
	}
}

// Needed is a [policy.Config] Hook: it returns what a call of the tool that op
// names needs, if the tool was added with scopes. A Hook of one's own calls it
// for what it leaves open.
func (t *Tools) Needed(op policy.Operation) (needed scopes.Set, ok bool) {
	if op.Method != "tools/call" {
		return nil, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	needed, ok = t.needed[op.Name]
	return needed, ok
}
