package streamable_test

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// A tool says what it needs where it is added. The policy asks, so that both
// cannot disagree; give it to resourceserver.Config too.
func ExampleAddTool() {
	type path struct {
		Path string `json:"path"`
	}
	list := func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	}
	wipe := func(context.Context, *mcp.CallToolRequest, path) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	}

	server := mcp.NewServer(&mcp.Implementation{Name: "files", Version: "v1"}, streamable.ServerOptions(mcp.ServerOptions{}))
	tools := streamable.NewTools(server)
	rules, err := policy.New(policy.Config{Hook: tools.Needed})
	if err != nil {
		fmt.Println(err)
		return
	}
	catalog, err := scopes.NewCatalog(append(scopes.Default(), scopes.Scope{Name: "files:admin", Description: "Delete files"})...)
	if err != nil {
		fmt.Println(err)
		return
	}
	server.AddReceivingMiddleware(streamable.FilterLists(rules, catalog))

	streamable.AddTool(tools, &mcp.Tool{Name: "list", Description: "Lists files"}, list)
	streamable.AddTool(tools, &mcp.Tool{Name: "wipe", Description: "Deletes a file"}, wipe, "files:admin")

	for _, tool := range []string{"list", "wipe"} {
		fmt.Println(tool, rules.Required(policy.Operation{Method: "tools/call", Name: tool}))
	}
	// Output:
	// list mcp:tools
	// wipe files:admin
}
