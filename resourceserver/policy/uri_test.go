package policy

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// sandbox is the policy of the security guide: a private directory, a public
// one that asks for nothing, everything else under file: for readers.
func sandbox(t testing.TB) *Policy {
	t.Helper()
	p, err := New(Config{ResourceScopes: []Rule{
		{Match: "file:///private/", Scopes: scopes.Of("files:admin")},
		{Match: "file:///public/"},
		{Match: "file:///", Scopes: scopes.Of("files:read")},
		{Match: "database:", Scopes: scopes.Of("db:read")},
		{Match: "notes://secret/", Scopes: scopes.Of("notes:secret")},
		{Match: "notes://all", Scopes: scopes.Of("notes:list")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSeed_S16_ResourceRulesByURI(t *testing.T) {
	t.Parallel()
	wantNeeds(t, sandbox(t), map[string]string{
		// The rule with the longest prefix, and only at a segment.
		"file:///private/plan.md":   "files:admin",
		"file:///private":           "files:admin",
		"file:///private#x":         "files:admin",
		"file:///private?x":         "files:admin",
		"file:///public/readme.md":  "",
		"file:///public":            "",
		"file:///publicity/x":       "files:read",
		"file:///other":             "files:read",
		"file:///":                  "files:read",
		"database:orders":           "db:read",
		"database://h/orders":       "db:read",
		"notes://all":               "notes:list",
		"notes://all/1":             "notes:list",
		"notes://all?x":             "notes:list",
		"notes://secret":            "notes:secret",
		"notes://other":             "mcp:read",
		"notes://{id}":              "mcp:read",
		"https://example.com/a?b=c": "mcp:read",
		"urn:isbn:0451450523":       "mcp:read",
		// A rule that ends inside a segment adds.
		"notes://allegro": "mcp:read notes:list",
	})
}

// A strange spelling of a URI costs what any reading of it costs.
func TestSeed_S16_OneResourceManySpellings(t *testing.T) {
	t.Parallel()
	wantNeeds(t, sandbox(t), map[string]string{
		"FILE:///private/plan.md":               "files:admin",
		"file://localhost/private/plan.md":      "files:admin",
		"file://LOCALHOST/private/plan.md":      "files:admin",
		"file:/private/plan.md":                 "files:admin",
		"file:private/plan.md":                  "files:admin",
		"file:////private//plan.md":             "files:admin files:read",
		"file:///%70rivate/plan.md":             "files:admin files:read",
		"file:///./private/./plan.md":           "files:admin files:read",
		`file:///\private\plan.md`:              "files:admin files:read",
		`file:\\\private\plan.md`:               "files:admin files:read",
		"file:///../private/plan.md":            "files:admin files:read",
		"file:///a/b/../../private/plan.md":     "files:admin files:read",
		"database:a/../b":                       "db:read",
		"notes://ALL":                           "notes:list",
		"notes://x/../secret/1":                 "mcp:read notes:secret",
		"notes://other/%2e%2e/secret/1":         "mcp:read notes:secret",
		"notes:///secret/1":                     "mcp:read notes:secret",
		"file:///public/../private/plan.md":     "files:admin",
		"file:///public/%2e%2e/private/plan.md": "files:admin",
		"file:///public/%2E./private/plan.md":   "files:admin",
		`file:///public/..\private\plan.md`:     "files:admin",
		"file:///public/..%2fprivate%2Fplan.md": "files:admin",
		"file:///public/..%5cprivate/plan.md":   "files:admin",
		"file:///public/%252e%252e/private/x":   "files:admin",
		"file:///public/?/../../private/x":      "files:admin",
		"file:///public/#/../../private/x":      "files:admin",
		"file://evil/private/plan.md":           "files:admin files:read mcp:read",
		"file://private/plan.md":                "files:admin files:read mcp:read",
		// Climbing out of the private directory does not make it public.
		"file:///private/../public/readme.md": "files:admin",
		// A literal percent sign is honest.
		"file:///public/100%25.md": "",
	})
}

func TestSeed_S16_WhatCannotBeComparedNeedsTheAdministrator(t *testing.T) {
	t.Parallel()
	wantNeeds(t, sandbox(t), map[string]string{
		"":                                       "mcp:read", // names no resource at all
		"readme.md":                              "mcp:admin mcp:read",
		"//host/private":                         "mcp:admin mcp:read",
		"\x20file:///public/readme.md":           "mcp:admin mcp:read",
		"1file:///public/readme.md":              "mcp:admin mcp:read",
		"file:///public/%00readme.md":            "mcp:admin mcp:read",
		"file:///public/\x00readme.md":           "mcp:admin mcp:read",
		"file:///public/%2":                      "mcp:admin mcp:read",
		"file:///public/%zz":                     "mcp:admin mcp:read",
		"file:///public/%ff":                     "mcp:admin mcp:read",
		"file:///public/%252525252e":             "mcp:admin mcp:read",
		"file:///" + strings.Repeat("a", maxURI): "mcp:admin mcp:read",
	})
}

// wantNeeds checks which scopes reading each URI needs.
func wantNeeds(t *testing.T, p *Policy, wants map[string]string) {
	t.Helper()
	for uri, want := range wants {
		if got := need(p, uri); got != want {
			t.Errorf("%q needs %q, want %q", uri, got, want)
		}
	}
}

func need(p *Policy, uri string) string {
	return p.Required(Operation{Method: "resources/read", URI: uri}).String()
}

func TestReadings_HonestURIsHaveOne(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"file:///public/readme.md", "file:///a/b/", "notes://all", "notes://{id}", "notes://01j/x?y=z#f",
		"https://example.com/", "https://example.com", "urn:isbn:0451450523", "database:orders", "test://template/{id}/data",
	} {
		if all, ok := readings(uri); !ok || !slices.Equal(all, []string{uri}) {
			t.Errorf("%q has the readings %q, %v", uri, all, ok)
		}
	}
}

// FuzzURI proves that no spelling of a path below the private directory
// escapes its rule, judged by the way Go programs open file URIs.
func FuzzURI(f *testing.F) {
	for _, uri := range []string{
		"file:///private/plan.md", "file:///public/../private/plan.md", "file:///public/%2e%2e/private", "file:/private/x",
		`file:///\private`, "file://localhost/private/", "FILE:///Private/%2fprivate", "file:///public/..%2f..%2fprivate/x?a#b",
		"notes://x/../secret/1", "file:/private#", "file:///a/%252e%252e/private/x",
	} {
		f.Add(uri)
	}
	p := sandbox(f)
	f.Fuzz(func(t *testing.T, uri string) {
		needed := p.Required(Operation{Method: "resources/read", URI: uri})
		all, ok := readings(uri)
		if !ok {
			if uri != "" && !needed.Has(scopes.MCPAdmin) {
				t.Fatalf("%q cannot be compared and needs %q", uri, needed)
			}
			return
		}
		opened := all[len(all)-1]
		if strings.HasPrefix(opened, "file:") && slices.Contains(strings.Split(opened, "/"), "..") {
			t.Fatalf("%q opens %q", uri, opened)
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "file" || needed.Has("files:admin") {
			return
		}
		for _, opened := range []string{
			path.Clean("/" + u.Path), path.Clean("/" + u.Opaque), path.Clean("/" + strings.ReplaceAll(u.Path, `\`, "/")),
			path.Clean("/" + strings.TrimPrefix(uri, "file://")), path.Clean("/" + strings.TrimPrefix(uri, "file:")),
		} {
			if opened == "/private" || strings.HasPrefix(opened, "/private/") {
				t.Fatalf("%q opens %q and needs only %q", uri, opened, needed)
			}
		}
	})
}
