package policy

import (
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

func TestSeed_S14_FamiliesHaveTheirScopes(t *testing.T) {
	t.Parallel()
	own, err := New(Config{ToolsScope: "t", ResourcesScope: "r", PromptsScope: "p", AdminScope: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		op             Operation
		family         string
		byDefault, own string
	}{
		{Operation{Method: "tools/list"}, FamilyTools, "mcp:tools", "t"},
		{Operation{Method: "tools/call", Name: "x"}, FamilyTools, "mcp:tools", "t"},
		{Operation{Method: "tools/invented"}, FamilyTools, "mcp:tools", "t"},
		{Operation{Method: "resources/list"}, FamilyResources, "mcp:read", "r"},
		{Operation{Method: "resources/templates/list"}, FamilyResources, "mcp:read", "r"},
		{Operation{Method: "resources/read", URI: "a:b"}, FamilyResources, "mcp:read", "r"},
		{Operation{Method: "resources/subscribe", URI: "a:b"}, FamilyResources, "mcp:read", "r"},
		{Operation{Method: "prompts/list"}, FamilyPrompts, "mcp:read", "p"},
		{Operation{Method: "prompts/get", Name: "x"}, FamilyPrompts, "mcp:read", "p"},
		{Operation{Method: "completion/complete", Name: "x"}, FamilyPrompts, "mcp:read", "p"},
		{Operation{Method: "completion/complete", URI: "a:{b}"}, FamilyResources, "mcp:read", "r"},
		{Operation{Method: "subscriptions/listen", URI: "a:b"}, FamilyResources, "mcp:read", "r"},
		{Operation{Method: "admin/status"}, FamilyAdmin, "mcp:admin", "a"},
		{Operation{}, FamilySession, "", ""},
		{Operation{Method: "initialize"}, FamilySession, "", ""},
		{Operation{Method: "ping"}, FamilySession, "", ""},
		{Operation{Method: "server/discover"}, FamilySession, "", ""},
		{Operation{Method: "logging/setLevel"}, FamilySession, "", ""},
		{Operation{Method: "subscriptions/listen"}, FamilySession, "", ""},
		{Operation{Method: "notifications/initialized"}, FamilySession, "", ""},
		// S15: what nobody knows needs the administrative scope.
		{Operation{Method: "analytics/view"}, FamilyOther, "mcp:admin", "a"},
		{Operation{Method: "Tools/list"}, FamilyOther, "mcp:admin", "a"},
		{Operation{Method: "tools"}, FamilyTools, "mcp:tools", "t"},
		{Operation{Method: "server/discovery"}, FamilyOther, "mcp:admin", "a"},
		{Operation{Method: "/"}, FamilyOther, "mcp:admin", "a"},
		{Operation{Method: "sampling/createMessage"}, FamilyOther, "mcp:admin", "a"},
	} {
		if got := tc.op.Family(); got != tc.family {
			t.Errorf("%+v is of the family %q, want %q", tc.op, got, tc.family)
		}
		if got := Default().Required(tc.op).String(); got != tc.byDefault {
			t.Errorf("%+v needs %q by default, want %q", tc.op, got, tc.byDefault)
		}
		if got := own.Required(tc.op).String(); got != tc.own {
			t.Errorf("%+v needs %q, want %q", tc.op, got, tc.own)
		}
	}
}

func TestSeed_S15_RulesReplaceTheFamily(t *testing.T) {
	t.Parallel()
	p, err := New(Config{
		MethodScopes: []Rule{
			{Match: "analytics/*", Scopes: scopes.Of("analytics:view")},
			{Match: "analytics/raw/*", Scopes: scopes.Of("analytics:raw")},
			{Match: "analytics/raw/help"},
			{Match: "admin/*", Scopes: scopes.Of("system:admin")},
			{Match: "tools/list", Scopes: scopes.Of("mcp:read")},
			{Match: "initialize", Scopes: scopes.Of("mcp:read")},
			{Match: "resources/*", Scopes: scopes.Of("docs:read")},
		},
		ToolScopes:     []Rule{{Match: "read_note", Scopes: scopes.Set{"mcp:tools", "mcp:read", "mcp:tools"}}, {Match: "help"}},
		PromptScopes:   []Rule{{Match: "summarize", Scopes: scopes.Of("mcp:summary")}},
		ResourceScopes: []Rule{{Match: "file:///", Scopes: scopes.Of("files:read")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, ops := range map[string][]Operation{
		"analytics:view": {{Method: "analytics/view"}, {Method: "analytics/rawdata"}},
		"analytics:raw":  {{Method: "analytics/raw/x"}},
		"": {
			{Method: "analytics/raw/help"}, {Method: "tools/call", Name: "help"}, {Method: "ping"},
		},
		"system:admin":       {{Method: "admin/status"}, {Method: "admin/"}},
		"mcp:admin":          {{Method: "analytics"}, {Method: "administer/x"}, {Method: "Analytics/view"}},
		"mcp:read":           {{Method: "tools/list"}, {Method: "initialize"}, {Method: "completion/complete", Name: "other"}},
		"mcp:tools":          {{Method: "tools/call", Name: "Help"}, {Method: "tools/call"}},
		"mcp:read mcp:tools": {{Method: "tools/call", Name: "read_note"}},
		"mcp:summary":        {{Method: "prompts/get", Name: "summarize"}, {Method: "completion/complete", Name: "summarize"}},
		"docs:read":          {{Method: "resources/list"}, {Method: "resources/read", URI: "a:b"}},
		"files:read":         {{Method: "resources/read", URI: "file:///x"}, {Method: "subscriptions/listen", URI: "file:///x"}},
	} {
		for _, op := range ops {
			if got := p.Required(op).String(); got != want {
				t.Errorf("%+v needs %q, want %q", op, got, want)
			}
		}
	}
}

// What belongs to a tool, prompt or resource needs what it needs.
func TestSeed_S15_HelpingMethodsNeedWhatTheyHelpWith(t *testing.T) {
	t.Parallel()
	p, err := New(Config{MethodScopes: []Rule{
		{Match: "resources/*", Scopes: scopes.Of("docs:read")},
		{Match: "resources/subscribe", Scopes: scopes.Of("docs:watch")},
		{Match: "prompts/get", Scopes: scopes.Of("prompts:use")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	own, err := New(Config{MethodScopes: []Rule{
		{Match: "completion/*", Scopes: scopes.Of("complete")},
		{Match: "subscriptions/listen", Scopes: scopes.Of("listen")},
		{Match: "resources/*", Scopes: scopes.Of("docs:read")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		op             Operation
		stands, itself string
	}{
		{Operation{Method: "subscriptions/listen"}, "", "listen"},
		{Operation{Method: "subscriptions/listen", URI: "a:b"}, "docs:watch", "listen"},
		{Operation{Method: "completion/complete", URI: "a:{b}"}, "docs:read", "complete"},
		{Operation{Method: "completion/complete", Name: "p"}, "prompts:use", "complete"},
	} {
		if got := p.Required(tc.op).String(); got != tc.stands {
			t.Errorf("%+v needs %q, want %q", tc.op, got, tc.stands)
		}
		if got := own.Required(tc.op).String(); got != tc.itself {
			t.Errorf("%+v needs %q, want %q", tc.op, got, tc.itself)
		}
	}
}

// The rule that is used most costs nothing but the look-up.
func TestRequired_DoesNotAllocate(t *testing.T) { //nolint:paralleltest // others would be counted
	p, err := New(Config{
		ToolScopes:   []Rule{{Match: "read_note", Scopes: scopes.Of("mcp:tools", "mcp:read")}},
		MethodScopes: []Rule{{Match: "analytics/*", Scopes: scopes.Of("analytics:view")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []Operation{{Method: "tools/call", Name: "read_note"}, {Method: "tools/call", Name: "other"}, {Method: "analytics/view"}} {
		if n := testing.AllocsPerRun(100, func() { p.Required(op) }); n != 0 {
			t.Errorf("%+v: %v allocations", op, n)
		}
	}
}

func BenchmarkRequired(b *testing.B) {
	p, err := New(Config{
		ToolScopes:     []Rule{{Match: "read_note", Scopes: scopes.Of("mcp:tools", "mcp:read")}},
		ResourceScopes: []Rule{{Match: "file:///private/", Scopes: scopes.Of("files:admin")}, {Match: "file:///", Scopes: scopes.Of("files:read")}},
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, op := range map[string]Operation{
		"tool": {Method: "tools/call", Name: "read_note"}, "resource": {Method: "resources/read", URI: "file:///private/plan.md"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Required(op)
			}
		})
	}
}
