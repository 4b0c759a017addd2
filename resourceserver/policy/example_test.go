package policy_test

import (
	"fmt"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// The rules of a server with files, a database and analytics; what no rule is
// for needs the scope of its family.
func ExampleNew() {
	p, err := policy.New(policy.Config{
		MethodScopes: []policy.Rule{{Match: "analytics/*", Scopes: scopes.Of("analytics:view")}},
		ToolScopes:   []policy.Rule{{Match: "write_file", Scopes: scopes.Of("mcp:tools", "files:write")}},
		ResourceScopes: []policy.Rule{
			{Match: "file:///sensitive/", Scopes: scopes.Of("files:admin")},
			{Match: "file:///", Scopes: scopes.Of("files:read")},
			{Match: "database:", Scopes: scopes.Of("db:read")},
		},
		Hook: func(op policy.Operation) (scopes.Set, bool) {
			return scopes.Of("mcp:admin"), strings.HasPrefix(op.Name, "debug_")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, op := range []policy.Operation{
		{Method: "analytics/report"},
		{Method: "tools/call", Name: "write_file"},
		{Method: "tools/call", Name: "debug_dump"},
		{Method: "resources/read", URI: "file:///sensitive/plan.md"},
		{Method: "resources/read", URI: "file:///readme.md"},
		{Method: "resources/list"},
		{Method: "invented/method"},
	} {
		fmt.Println(op.Method, "needs", p.Required(op))
	}
	// Output:
	// analytics/report needs analytics:view
	// tools/call needs files:write mcp:tools
	// tools/call needs mcp:admin
	// resources/read needs files:admin
	// resources/read needs files:read
	// resources/list needs mcp:read
	// invented/method needs mcp:admin
}

// An explanation says which rule counts, for a person who wonders.
func ExamplePolicy_Explain() {
	p, err := policy.New(policy.Config{ResourceScopes: []policy.Rule{
		{Match: "file:///private/", Scopes: scopes.Of("files:admin")},
		{Match: "file:///public/"},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	why := p.Explain(policy.Operation{Method: "resources/read", URI: "file:///public/../private/plan.md"})
	fmt.Println("needed:", why.Needed)
	for _, step := range why.Steps {
		fmt.Println("-", step)
	}
	// Output:
	// needed: files:admin
	// - the rule for resources below "file:///public/" asks for any valid token
	// - the rule for resources below "file:///private/" asks for files:admin
}

// Slips are found when the server starts, all of them.
func ExampleNew_slips() {
	_, err := policy.New(policy.Config{
		MethodScopes:   []policy.Rule{{Match: "tool/call"}},
		ResourceScopes: []policy.Rule{{Match: "FILE:///private/"}},
	})
	fmt.Println(err)
	// Output:
	// policy: method "tool/call": the protocol has no such method; did you mean "tools/call"?
	// policy: resource "FILE:///private/": not in canonical form; did you mean "file:///private/"?
}
