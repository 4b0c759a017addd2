package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// rulesFor makes rules that all ask for mcp:read.
func rulesFor(matches ...string) (list []Rule) {
	for _, match := range matches {
		list = append(list, Rule{Match: match, Scopes: scopes.Of("mcp:read")})
	}
	return list
}

// wantSlip checks that cfg is refused with an error that says want.
func wantSlip(t *testing.T, cfg Config, want string) {
	t.Helper()
	if p, err := New(cfg); p != nil || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, it should say %s", err, want)
	}
}

func TestSeed_S15_RulesAreCheckedAtStart(t *testing.T) {
	t.Parallel()
	for mention, cfg := range map[string]Config{
		`tools scope "two words"`:       {ToolsScope: "two words"},
		`admin scope "ä"`:               {AdminScope: "ä"},
		`tool "a" has two rules`:        {ToolScopes: rulesFor("a", "b", "a")},
		`prompt "a" has two rules`:      {PromptScopes: rulesFor("a", "a")},
		`method "a/*" has two rules`:    {MethodScopes: rulesFor("a/*", "a/*")},
		"a tool rule matches nothing":   {ToolScopes: rulesFor("")},
		`scope "bad scope"`:             {ToolScopes: []Rule{{Match: "x", Scopes: scopes.Set{"bad scope"}}}},
		`"private/": not a URI`:         {ResourceScopes: rulesFor("private/")},
		`"file:///a/" has two rules`:    {ResourceScopes: rulesFor("file:///a/", "file:///a/")},
		`"file:///a" and "file:///a/"`:  {ResourceScopes: rulesFor("file:///a", "file:///a/")},
		`did you mean "file:///priv`:    {ResourceScopes: rulesFor("file:///public/../private/")},
		`did you mean "file:///x/"`:     {ResourceScopes: rulesFor("FILE:///x/")},
		`did you mean "file:///y/"`:     {ResourceScopes: rulesFor("file:///%79/")},
		`did you mean "file:///z/"`:     {ResourceScopes: rulesFor("file:///z/*")},
		`begin with, as in "notes://"`:  {ResourceScopes: rulesFor("notes://{id}")},
		`"admin_*": a rule names one`:   {ToolScopes: rulesFor("admin_*")},
		`prompt "*": a rule names one`:  {PromptScopes: rulesFor("*")},
		"among the method rules":        {ToolScopes: rulesFor("tools/call")},
		"tool \"wipe \": the name":      {ToolScopes: rulesFor("wipe ")},
		"tool \"wi\\u200bpe\": the":     {ToolScopes: rulesFor("wi\u200bpe")},
		`"tools/*" replaces`:            {ToolsScope: "t", MethodScopes: rulesFor("tools/*")},
		`resources scope "r" is for no`: {ResourcesScope: "r", MethodScopes: rulesFor("resources/*")},
	} {
		wantSlip(t, cfg, mention)
	}
}

func TestSeed_S15_MisspeltMethodsAreFound(t *testing.T) {
	t.Parallel()
	for method, meant := range map[string]string{
		"tool/call": "tools/call", "tools/cal": "tools/call", "tolos/call": "tools/call", "Tools/Call": "tools/call", "TOOLS/LIST": "tools/list",
		"resource/read": "resources/read", "resources/raed": "resources/read", "resources/template/list": "resources/templates/list",
		"prompt/get": "prompts/get", "promts/list": "prompts/list", "initialise": "initialize", "server/discovery": "server/discover",
		"subscription/listen": "subscriptions/listen", "logging/setlevel": "logging/setLevel", "notifications/canceled": "notifications/cancelled",
		"tool/*": "tools/*", "resource/*": "resources/*", "Prompts/*": "prompts/*", "Admin/*": "admin/*",
	} {
		wantSlip(t, Config{MethodScopes: rulesFor(method)}, `method "`+method+`": the protocol has no such`)
		wantSlip(t, Config{MethodScopes: rulesFor(method)}, `did you mean "`+meant+`"?`)
	}
	for method, mention := range map[string]string{
		"tools/run": "of tools/ it has tools/list, tools/call", "resources/write": "of resources/", "prompts/x/y": "of prompts/",
		"tools/admin/*": "of tools/", "tools": "of tools/",
		"*": "may only end", "/*": "may only end", "analytics*": "may only end", "an*cs/view": "may only end", "a/*/*": "may only end", "a//*": "may only end",
		"/tools/call": "between slashes", "tools/call/": "between slashes", "analytics//view": "between slashes",
		"analytics/view\t": "invisible", "analytics/\x00": "invisible", "analytics/view\xff": "invisible", "\u00adadmin/*": "invisible",
	} {
		wantSlip(t, Config{MethodScopes: rulesFor(method)}, mention)
	}
}

// What is more specific than another rule is meant, and so is a method of
// one's own that only sounds like one of the protocol.
func TestSeed_S15_HonestRulesAreNoSlips(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{ResourceScopes: rulesFor("file:///", "file:///sensitive/", "file:///sensitive/more", "database:", "database://h/", "notes://", "notes://all")},
		{MethodScopes: rulesFor("analytics/*", "analytics/raw/*", "analytics/raw/help", "admin/*", "admin/status", "system/*")},
		{MethodScopes: rulesFor(protocolMethods...)},
		{MethodScopes: rulesFor("tools/*", "resources/*", "resources/templates/*", "prompts/*", "tools/call"), ToolScopes: rulesFor("x")},
		{MethodScopes: rulesFor("roots/list", "tasks/get", "tasks/list", "tool/run", "pools/list", "pong", "logging/getLevel", "subscriptions/list", "admins/list", "x")},
		{AdminScope: "a", MethodScopes: rulesFor("admin/*")}, // unknown methods have it still
		{ToolsScope: "mcp:tools", MethodScopes: rulesFor("tools/*")},
		{ToolScopes: rulesFor("admin/stats", "Wipe", "två"), PromptScopes: rulesFor("a prompt")},
	} {
		if _, err := New(cfg); err != nil {
			t.Error(err)
		}
	}
}

func TestSeed_S15_AllSlipsAreFoundAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Config{
		AdminScope: "no scope", MethodScopes: rulesFor("tool/call", "a*"), ToolScopes: rulesFor("", "x", "x"),
		ResourceScopes: rulesFor("private"), PromptScopes: []Rule{{Match: "p", Scopes: scopes.Set{"ö", "ä"}}},
	})
	type joined interface {
		error
		Unwrap() []error
	}
	all, ok := errors.AsType[joined](err)
	if !ok || len(all.Unwrap()) != 8 {
		t.Fatalf("%v", err)
	}
	for _, one := range all.Unwrap() {
		if !strings.HasPrefix(one.Error(), "policy: ") || strings.Contains(one.Error(), "\n") {
			t.Errorf("%q", one)
		}
	}
}
