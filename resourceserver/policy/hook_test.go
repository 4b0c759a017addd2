package policy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// hooked is sandbox with a hook.
func hooked(t testing.TB, log *bytes.Buffer, hook func(Operation) (scopes.Set, bool)) *Policy {
	t.Helper()
	cfg := Config{
		ToolScopes:     []Rule{{Match: "wipe", Scopes: scopes.Of("files:admin")}},
		ResourceScopes: []Rule{{Match: "file:///private/", Scopes: scopes.Of("files:admin")}, {Match: "file:///public/"}},
		AdminScope:     "root", Hook: hook,
	}
	if log != nil {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSeed_S15_HookDecidesBeforeTheRules(t *testing.T) {
	t.Parallel()
	p := hooked(t, nil, func(op Operation) (scopes.Set, bool) {
		switch {
		case op.Method == "admin/ping", op.Name == "wipe":
			return nil, true
		case op.Name == "pay":
			return scopes.Set{"pay", "mcp:tools", "pay"}, true // neither sorted nor unique
		case strings.HasPrefix(op.Method, "analytics/"):
			return scopes.Of("analytics:view"), true
		}
		return scopes.Of("ignored"), false
	})
	for want, op := range map[string]Operation{
		"":               {Method: "admin/ping"},
		"mcp:tools pay":  {Method: "tools/call", Name: "pay"},
		"analytics:view": {Method: "analytics/x"},
		"root":           {Method: "admin/status"},
		"files:admin":    {Method: "resources/read", URI: "file:///private/x"},
		"mcp:tools":      {Method: "tools/list"},
	} {
		if got := p.Required(op).String(); got != want {
			t.Errorf("%+v needs %q, want %q", op, got, want)
		}
	}
	if got := p.Required(Operation{Method: "tools/call", Name: "wipe"}); len(got) != 0 {
		t.Errorf("the rule for a tool stands before the hook: %q", got)
	}
}

// A hook that looks at the beginning of a URI, as people write them, is not
// deceived by another spelling of what it does not mean.
func TestSeed_S16_HookSeesEveryMeaningOfAURI(t *testing.T) {
	t.Parallel()
	p := hooked(t, nil, func(op Operation) (scopes.Set, bool) {
		switch {
		case strings.HasPrefix(op.URI, "file:///public/"):
			return nil, true
		case strings.HasPrefix(op.URI, "file:///secret/"):
			return scopes.Of("secret"), true
		}
		return nil, false
	})
	wantNeeds(t, p, map[string]string{
		"file:///public/readme.md":               "",
		"file:///secret/x":                       "secret",
		"FILE:///secret/x":                       "secret",
		"file:///public/../secret/x":             "secret",
		"file:///public/%2e%2e/secret/x":         "secret",
		`file:///public/..\secret/x`:             "secret",
		"file:///public/../private/x":            "files:admin",
		"file:///public/%00":                     "files:admin root", // cannot be compared
		"file:///secret/%00":                     "files:admin root secret",
		"file:///private/%00":                    "files:admin mcp:read root",
		"file:///" + strings.Repeat("a", maxURI): "files:admin mcp:read root",
	})
}

func TestSeed_S15_HookThatFailsOpensNothing(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := hooked(t, &log, func(op Operation) (scopes.Set, bool) {
		switch op.Name {
		case "two":
			return scopes.Set{"mcp:read", "two words"}, true
		case "empty":
			return scopes.Set{""}, true
		case "quote":
			return scopes.Set{`a"b`}, true
		case "plain":
			return nil, false
		}
		return scopes.Of([]string{}[len(op.Name)]), true // panics
	})
	for name, want := range map[string]string{
		"two": "mcp:tools root", "empty": "mcp:tools root", "quote": "mcp:tools root", "wipe": "files:admin root", "": "mcp:tools root", "plain": "mcp:tools",
	} {
		if got := p.Required(Operation{Method: "tools/call", Name: name}).String(); got != want {
			t.Errorf("%q needs %q, want %q", name, got, want)
		}
	}
	wantNeeds(t, p, map[string]string{"file:///public/x": "root", "file:///private/x": "files:admin root", "file:///public/%00": "files:admin mcp:read root"})
	for _, say := range []string{"the policy's hook panicked", "index out of range", "hook_test.go", "two words"} {
		if !strings.Contains(log.String(), say) {
			t.Errorf("the log does not say %q: %.500s", say, log.String())
		}
	}
	log.Reset()
	p.Required(Operation{Method: strings.Repeat("x", 10_000)})
	if log.Len() == 0 || strings.Contains(log.String(), strings.Repeat("x", 1000)) {
		t.Errorf("the log has %d bytes", log.Len())
	}
}
