package policy

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

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

// What could be any resource costs what the most precious one costs: the
// administrative scope alone would open files that it is not for.
func TestSeed_S16_WhatCannotBeComparedCostsEverything(t *testing.T) {
	t.Parallel()
	const everything = "db:read files:admin files:read mcp:admin mcp:read notes:list notes:secret"
	wants := map[string]string{"": "mcp:read"} // names no resource at all
	for _, uri := range []string{
		"readme.md", "//host/private", "\x20file:///public/readme.md", "1file:///public/readme.md", ":", "file", "file\\:///x", "fi%6ce:///x", "\ufefffile:///public/x",
		"file:///public/%00readme.md", "file:///public/\x00readme.md", "file:///private/plan.md%00.txt", "file:///public/\x7f", "file:///public/\n", "file:///public/%0a",
		"file:///public/%2", "file:///public/%zz", "file:///public/%ff", "file:///public/\xff", "file:///public/%c0%ae%c0%ae/private/x", "file:///public/%u002e",
		"file:///public/%252525252e", "file:///" + strings.Repeat("a", maxURI), "file:///" + strings.Repeat("./", maxURI) + "private/plan.md",
	} {
		wants[uri] = everything
	}
	wantNeeds(t, sandbox(t), wants)
}

// The rules of the security guide, word for word.
func TestSeed_S16_RulesOfTheGuide(t *testing.T) {
	t.Parallel()
	p, err := New(Config{ResourceScopes: []Rule{
		{Match: "file:///sensitive/", Scopes: scopes.Of("files:admin")},
		{Match: "file:///", Scopes: scopes.Of("files:read")},
		{Match: "database:", Scopes: scopes.Of("db:read")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantNeeds(t, p, map[string]string{
		"file:///sensitive/secret.txt":                 "files:admin",
		"file:///sensitive":                            "files:admin",
		"file:///sensitive/":                           "files:admin",
		"FILE:///sensitive/secret.txt":                 "files:admin",
		"File://LocalHost/sensitive/secret.txt":        "files:admin",
		"file:///public/readme.txt":                    "files:read",
		"file:///sensitive.txt":                        "files:read",
		"file:///SENSITIVE/secret.txt":                 "files:admin files:read", // the same directory on some disks
		"file:///public/../sensitive/secret.txt":       "files:admin files:read",
		"file:///public/%2e%2e/sensitive/secret.txt":   "files:admin files:read",
		"file:///public/%2E%2E%2Fsensitive/secret.txt": "files:admin files:read",
		"file:///public/%252e%252e/sensitive/x":        "files:admin files:read",
		"file:///%73ensitive/secret.txt":               "files:admin files:read",
		`file:///public\..\sensitive\secret.txt`:       "files:admin files:read",
		"file:///sensitive/../public/readme.txt":       "files:admin files:read",
		"file:///sensitive/./secret.txt":               "files:admin",
		"file:///public/..;/sensitive/secret.txt":      "files:read", // a segment called "..;"
		"database:orders":                              "db:read",
		"DATABASE:orders":                              "db:read",
		"database://host/orders":                       "db:read",
		"databases:orders":                             "mcp:read",
		"https://example.com/file:///sensitive/":       "mcp:read",
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
// escapes its rule, judged by the ways in which programs open file URIs: as Go
// parses them, as they are, decoded once or twice, without parameters, with
// backslashes, on disks that do not mind case.
func FuzzURI(f *testing.F) {
	for _, uri := range []string{
		"file:///private/plan.md", "file:///public/../private/plan.md", "file:///public/%2e%2e/private/plan.md", "file:/private/x",
		`file:///\private`, "file://localhost/private/", "FILE:///Private/%2fprivate", "file:///public/..%2f..%2fprivate/x?a#b",
		"notes://x/../secret/1", "file:/private#", "file:///a/%252e%252e/private/x", "fIle:private", "file:///PRIVATE/x", `file:\\private\x`,
		"file://user@host:1/private", "file:///public/.%2e/%70rivate", "file:///private%2fx", "file:///public?/../private/x", "file:////private", "file:///./private",
		"file:///public/x%00/../../private", "file:///public/\t../private", "file:///private%", "file:///pr%c4%b1vate/x", "file:///public/..;/private",
	} {
		f.Add(uri)
	}
	p := sandbox(f)
	f.Fuzz(func(t *testing.T, uri string) {
		needed := p.Required(Operation{Method: "resources/read", URI: uri})
		all, ok := readings(uri)
		if !ok {
			if uri != "" && !needed.Contains(scopes.Of(scopes.MCPAdmin, "files:admin", "notes:secret")) {
				t.Fatalf("%q cannot be compared and needs %q", uri, needed)
			}
			return
		}
		wantNormal(t, uri, all)
		scheme, _, _ := strings.Cut(uri, ":")
		if !strings.EqualFold(scheme, "file") || needed.Has("files:admin") {
			return
		}
		for _, opened := range opening(uri) {
			if opened = strings.ToLower(path.Clean("/" + opened)); opened == "/private" || strings.HasPrefix(opened, "/private/") {
				t.Fatalf("%q opens %q and needs only %q", uri, opened, needed)
			}
		}
	})
}

// wantNormal checks that what a URI can mean is in normal form and means
// nothing else than itself when it is asked about again.
func wantNormal(t *testing.T, uri string, all []string) {
	t.Helper()
	for _, reading := range all {
		scheme, _, _ := strings.Cut(reading, ":")
		if scheme != strings.ToLower(scheme) || !utf8.ValidString(reading) {
			t.Fatalf("%q means %q", uri, reading)
		}
	}
	opened := all[len(all)-1]
	if strings.HasPrefix(opened, "file:") && slices.ContainsFunc(strings.Split(opened, "/"), func(s string) bool { return s == ".." || s == "." }) {
		t.Fatalf("%q opens %q", uri, opened)
	}
	// RFC 3986 §6.2.2, as Go's parser sees it: of equivalent URIs one cannot be
	// cheaper than the other.
	u, err := url.Parse(uri)
	if err != nil || u.Opaque != "" || u.Host == "" || u.User != nil || strings.ContainsAny(uri, `\?#`) || u.Scheme == "file" {
		return
	}
	normal := u.Scheme + "://" + strings.ToLower(u.Host) + u.ResolveReference(&url.URL{Path: u.Path, RawPath: u.RawPath}).EscapedPath()
	decoded, err := url.PathUnescape(normal)
	if err != nil || strings.ContainsAny(normal, "%?#") || decoded != normal {
		return // not an easy one
	}
	// Go drops one empty segment more than RFC 3986 §5.2.4. No rule has any, so
	// it matters only what is left when all are gone.
	host, below, _ := strings.Cut(strings.TrimPrefix(normal, u.Scheme+"://"), "/")
	for strings.Contains(below, "//") || strings.HasPrefix(below, "/") {
		below = strings.TrimPrefix(strings.ReplaceAll(below, "//", "/"), "/")
		normal = u.Scheme + "://" + host + "/" + below
	}
	if !slices.Contains(all, normal) {
		t.Fatalf("%q is equivalent to %q, but means %q", uri, normal, all)
	}
}

// opening returns what programs would open for a file URI.
func opening(uri string) []string {
	_, rest, _ := strings.Cut(uri, ":")
	places := []string{rest, strings.TrimPrefix(rest, "//"), strings.TrimPrefix(rest, "//localhost")}
	if u, err := url.Parse(uri); err == nil {
		places = append(places, u.Path, u.Opaque, u.ResolveReference(&url.URL{Path: u.Path}).Path)
	}
	for range 2 {
		for _, place := range places {
			if decoded, err := url.PathUnescape(place); err == nil {
				places = append(places, decoded)
			}
		}
		slices.Sort(places)
		places = slices.Compact(places)
	}
	for _, place := range places {
		before, _, _ := strings.Cut(place, "?")
		before, _, _ = strings.Cut(before, "#")
		places = append(places, before)
	}
	for _, place := range places {
		places = append(places, strings.ReplaceAll(place, `\`, "/"))
	}
	return places
}
