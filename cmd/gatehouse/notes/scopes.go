package notes

import (
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Scopes beyond those of every MCP server.
const (
	scopeFilesAdmin  = "files:admin"
	scopeSystemAdmin = "system:admin"
)

// Resources of the server.
const (
	uriAll      = "notes://all"
	uriTemplate = "notes://{id}"
	uriReadme   = "file:///public/readme.md"
	uriPlan     = "file:///private/plan.md"
)

// Scopes returns the catalog entries of the notebook: the MCP scopes, where
// mcp:admin includes system:admin, and the two that it adds.
func Scopes() []scopes.Scope {
	all := scopes.Default()
	for i := range all {
		if all[i].Name == scopes.MCPAdmin {
			all[i].Implies = append(all[i].Implies, scopeSystemAdmin)
		}
	}
	return append(all,
		scopes.Scope{Name: scopeFilesAdmin, Description: "Read private files", Sensitive: true},
		scopes.Scope{Name: scopeSystemAdmin, Description: "Watch and restart the server", Sensitive: true},
	)
}

// Policy returns the rules for the notebook's operations, for [policy.New].
func Policy() policy.Config {
	read, write := scopes.Of(scopes.MCPTools, scopes.MCPRead), scopes.Of(scopes.MCPTools, scopes.MCPWrite)
	return policy.Config{
		ToolScopes: []policy.Rule{
			{Match: "list_notes", Scopes: read},
			{Match: "read_note", Scopes: read},
			{Match: "write_note", Scopes: write},
			{Match: "delete_note", Scopes: write},
			{Match: "admin_stats", Scopes: scopes.Of(scopes.MCPAdmin)},
		},
		ResourceScopes: []policy.Rule{
			{Match: "file:///public/"},
			{Match: "file:///private/", Scopes: scopes.Of(scopeFilesAdmin)},
		},
		MethodScopes: []policy.Rule{{Match: "admin/*", Scopes: scopes.Of(scopeSystemAdmin)}},
	}
}
