package scopes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

func TestParse_RFC6749_3_3_Grammar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in, want string
		bad      bool
	}{
		{in: "", want: ""},
		{in: "mcp:read", want: "mcp:read"},
		{in: "b a", want: "a b"},
		{in: "  b   a  b ", want: "a b"},
		{in: "!#$%&'()*+,-./:;<=>?@[]^_`{|}~", want: "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"},
		{in: "A a", want: "A a"}, // case sensitive
		{in: `a"b`, bad: true},
		{in: `a\b`, bad: true},
		{in: "a\tb", bad: true},
		{in: "a\nb", bad: true},
		{in: "a\x7f", bad: true},
		{in: "ü", bad: true},
		{in: strings.Repeat("a", scopes.MaxLength), want: strings.Repeat("a", scopes.MaxLength)},
		{in: strings.Repeat("a", scopes.MaxLength+1), bad: true},
		{in: strings.Repeat("a ", scopes.MaxTokens+1), bad: true},
	} {
		got, err := scopes.Parse(test.in)
		if errors.Is(err, scopes.ErrSyntax) != test.bad || got.String() != test.want {
			t.Errorf("%.40q: %q, %v", test.in, got, err)
		}
	}
}

func TestSet_Algebra(t *testing.T) {
	t.Parallel()
	a, b := scopes.Of("x", "y", "y"), scopes.Of("y", "z")
	for what, test := range map[string]struct{ got, want scopes.Set }{
		"union":                 {a.Union(b), scopes.Of("x", "y", "z")},
		"union with nothing":    {a.Union(nil), a},
		"union of nothing":      {scopes.Set(nil).Union(b), b},
		"minus":                 {a.Minus(b), scopes.Of("x")},
		"minus itself":          {a.Minus(a), nil},
		"intersection":          {a.Intersect(b), scopes.Of("y")},
		"intersection with nil": {a.Intersect(nil), nil},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s: %v, want %v", what, test.got, test.want)
		}
	}
	if !a.Has("x") || a.Has("z") || !a.Contains(scopes.Of("x")) || a.Contains(b) || !a.Contains(nil) {
		t.Error("membership")
	}
	if !slices.Equal(a, scopes.Of("x", "y")) || !slices.Equal(b, scopes.Of("y", "z")) {
		t.Errorf("an operation changed its operands: %v %v", a, b)
	}
}

func catalog(t *testing.T) *scopes.Catalog {
	t.Helper()
	c, err := scopes.NewCatalog(append(scopes.Default(),
		scopes.Scope{Name: "files:admin", Description: "Manage files", Sensitive: true, Implies: []string{"files:write"}},
		scopes.Scope{Name: "files:write", Description: "Change files", Implies: []string{"files:read"}},
		scopes.Scope{Name: "files:read", Description: "Read files"})...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// RS-13, S12: a broad scope includes the narrow ones, over several steps.
func TestCatalog_S12_Hierarchy(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	for _, test := range []struct {
		held, needed, missing string
	}{
		{"mcp:admin", "mcp:read mcp:write mcp:tools mcp:admin", ""},
		{"mcp:read", "mcp:read", ""},
		{"mcp:read", "mcp:tools", "mcp:tools"},
		{"mcp:admin", "files:read", "files:read"},
		{"files:admin", "files:read files:write", ""},
		{"files:read", "files:write", "files:write"},
		{"unknown", "unknown", ""},
		{"", "mcp:read", "mcp:read"},
		{"mcp:read", "", ""},
	} {
		held, _ := scopes.Parse(test.held)
		needed, _ := scopes.Parse(test.needed)
		if got := c.Missing(held, needed); got.String() != test.missing {
			t.Errorf("%q for %q lacks %q, want %q", test.held, test.needed, got, test.missing)
		}
		if sufficient := c.Expand(held).Contains(needed); sufficient != (test.missing == "") {
			t.Errorf("expanded %q for %q: %v", test.held, test.needed, sufficient)
		}
	}
	if got := c.Reduce(scopes.Of("mcp:admin", "mcp:read", "files:read", "files:write")); got.String() != "files:write mcp:admin" {
		t.Errorf("reduced: %q", got)
	}
}

func TestCatalog_S13_CustomScopes(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	if names := c.Names(); len(names) != 7 || names[0] != "mcp:read" || names[6] != "files:read" {
		t.Errorf("names: %v", names)
	}
	if e, ok := c.Lookup("files:admin"); !ok || !e.Sensitive || e.Description == "" {
		t.Errorf("entry: %+v", e)
	}
	for name, entries := range map[string][]scopes.Scope{
		"malformed name":  {{Name: "a b"}},
		"empty name":      {{Name: ""}},
		"unknown implied": {{Name: "a", Implies: []string{"b"}}},
		"cycle":           {{Name: "a", Implies: []string{"b"}}, {Name: "b", Implies: []string{"a"}}},
		"itself":          {{Name: "a", Implies: []string{"a"}}},
	} {
		if _, err := scopes.NewCatalog(entries...); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	replaced, err := scopes.NewCatalog(append(scopes.Default(), scopes.Scope{Name: "mcp:read", Description: "Look"})...)
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := replaced.Lookup("mcp:read"); e.Description != "Look" || len(replaced.All()) != 4 {
		t.Errorf("a later entry does not replace the earlier one: %v", replaced.All())
	}
}

// Parsing what a set prints gives the set again, and nothing that parses can
// break out of a quoted string.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a b", " a  b ", `"`, "a\x00b", strings.Repeat("a ", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, scope string) {
		set, err := scopes.Parse(scope)
		if err != nil {
			return
		}
		again, err := scopes.Parse(set.String())
		if err != nil || !slices.Equal(set, again) || !slices.IsSorted(set) || strings.ContainsAny(set.String(), "\"\\\r\n\x00") {
			t.Fatalf("%q: %q, %q, %v", scope, set, again, err)
		}
	})
}
