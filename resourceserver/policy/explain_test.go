package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

func TestExplain_SaysWhichRuleDecides(t *testing.T) {
	t.Parallel()
	p := hooked(t, nil, func(op Operation) (scopes.Set, bool) {
		if op.Name == "crash" {
			panic("crash")
		}
		return scopes.Of("pay"), op.Name == "pay"
	})
	for _, tc := range []struct {
		op    Operation
		steps string
	}{
		{Operation{Method: "tools/call", Name: "wipe"}, `the rule for the tool "wipe" asks for files:admin`},
		{Operation{Method: "tools/call", Name: "pay"}, `the hook asks for pay`},
		{Operation{Method: "tools/call", Name: "x"}, `no rule is for the tool "x"; the rule for the family "tools" asks for mcp:tools`},
		{Operation{Method: "prompts/get", Name: "x"}, `no rule is for the prompt "x"; the rule for the family "prompts" asks for mcp:read`},
		{Operation{Method: "tools/call", Name: "crash"}, `no rule is for the tool "crash"; the rule for the family "tools" asks for mcp:tools; the failure of the hook asks for root`},
		{Operation{Method: "ping"}, `the rule for the family "session" asks for any valid token`},
		{Operation{Method: "resources/read", URI: "file:///public/../private/x"}, `the rule for resources below "file:///public/" asks for any valid token; the rule for resources below "file:///private/" asks for files:admin`},
		{Operation{Method: "resources/read", URI: "x"}, `the rule for the family "resources" asks for mcp:read; a URI that cannot be compared asks for files:admin root`},
		{Operation{Method: "analytics/x"}, `the rule for the family "other" asks for root`},
	} {
		if got := strings.Join(p.Explain(tc.op).Steps, "; "); got != tc.steps {
			t.Errorf("%+v:\n %s, want\n %s", tc.op, got, tc.steps)
		}
	}
	rules, err := New(Config{MethodScopes: rulesFor("a/*", "tools/call"), ResourceScopes: rulesFor("x:a", "x:abc")})
	if err != nil {
		t.Fatal(err)
	}
	for last, op := range map[string]Operation{
		`the rule for methods below "a/" asks for mcp:read`:      {Method: "a/b"},
		`the rule for the method "tools/call" asks for mcp:read`: {Method: "tools/call"},
		`the rule for the family "resources" asks for mcp:read`:  {Method: "resources/read", URI: "x:abd"},
		`the rule for resources below "x:abc" asks for mcp:read`: {Method: "resources/read", URI: "x:abc/d"},
		`the rule for the family "other" asks for mcp:admin`:     {Method: "b"},
		`the rule for resources below "x:a" asks for mcp:read`:   {Method: "subscriptions/listen", URI: "x:a"},
	} {
		if steps := rules.Explain(op).Steps; len(steps) == 0 || steps[len(steps)-1] != last {
			t.Errorf("%+v: %q, the last should be %s", op, steps, last)
		}
	}
	if steps := rules.Explain(Operation{Method: "resources/read", URI: "x:abd"}).Steps; steps[0] != `the rule for resources that begin like "x:a" asks for mcp:read` {
		t.Errorf("%q", steps)
	}
}

// FuzzExplain proves that an explanation and the decision never disagree, and
// that what the last step asks for is part of what is needed.
func FuzzExplain(f *testing.F) {
	for _, op := range []Operation{
		{Method: "tools/call", Name: "wipe"}, {Method: "tools/call", Name: "crash"}, {Method: "resources/read", URI: "file:///public/../private"},
		{Method: "completion/complete", URI: "a:b", Name: "x"}, {Method: "prompts/get", Name: "p"}, {URI: "%"}, {Method: "subscriptions/listen", URI: "x"},
	} {
		f.Add(op.Method, op.Name, op.URI)
	}
	p := hooked(f, nil, func(op Operation) (scopes.Set, bool) {
		switch len(op.URI) % 4 {
		case 1:
			return scopes.Set{"one", "a two"}, true
		case 2:
			return scopes.Set{"two", "one"}, true
		case 3:
			panic(op)
		}
		return nil, op.Name == "free"
	})
	f.Fuzz(func(t *testing.T, method, name, uri string) {
		op := Operation{Method: method, Name: name, URI: uri}
		needed, why := p.Required(op), p.Explain(op)
		if !slices.Equal(needed, why.Needed) || len(why.Steps) == 0 {
			t.Fatalf("%+v needs %q; explained: %+v", op, needed, why)
		}
		_, last, found := strings.Cut(why.Steps[len(why.Steps)-1], " asks for ")
		if !found {
			t.Fatalf("%q decides nothing", why.Steps)
		}
		if _, after, again := strings.Cut(last, " asks for "); again { // the name of a rule has these words
			last = after
		}
		if asked, err := scopes.Parse(last); last != "any valid token" && (err != nil || !needed.Contains(asked)) {
			t.Fatalf("%+v needs %q; explained: %q", op, needed, why.Steps)
		}
	})
}
