package policy

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// reference decides in the slow and obvious way, from the text of the rules
// and Go's own idea of a URI.
type reference struct{ cfg Config }

// required returns what op needs at least.
func (r reference) required(op Operation) scopes.Set {
	switch {
	case op.Method == "tools/call" && named(r.cfg.ToolScopes, op.Name) != nil:
		return scopes.Of(named(r.cfg.ToolScopes, op.Name).Scopes...)
	case slices.Contains([]string{"prompts/get", "completion/complete"}, op.Method) && op.URI == "" && named(r.cfg.PromptScopes, op.Name) != nil:
		return scopes.Of(named(r.cfg.PromptScopes, op.Name).Scopes...)
	case op.URI != "":
		if rule := r.closest(op.URI); rule != nil {
			return scopes.Of(rule.Scopes...)
		}
	}
	return r.method(op)
}

func named(rules []Rule, name string) *Rule {
	for _, rule := range rules {
		if rule.Match == name {
			return &rule
		}
	}
	return nil
}

// closest returns the rule with the longest path above uri.
func (r reference) closest(uri string) (best *Rule) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil
	}
	place := u.Scheme + ":" + u.Opaque
	switch {
	case u.Scheme == "file" && strings.EqualFold(u.Host, "localhost"), u.Scheme == "file" && u.Host == "": // RFC 8089
		place = "file://" + path.Clean("/"+u.Opaque+u.Path)
	case u.Opaque == "":
		place = u.Scheme + "://" + strings.ToLower(u.Host) + path.Clean("/"+u.Path)
	}
	for _, rule := range r.cfg.ResourceScopes {
		above := strings.TrimSuffix(rule.Match, "/")
		if place != above && !strings.HasPrefix(place, above+"/") && (!strings.HasSuffix(above, ":") || !strings.HasPrefix(place, above)) {
			continue
		}
		if best == nil || len(rule.Match) > len(best.Match) {
			best = &rule
		}
	}
	return best
}

func (r reference) method(op Operation) scopes.Set {
	methods := []string{op.Method}
	switch {
	case op.Method == "subscriptions/listen" && op.URI != "":
		methods = append(methods, "resources/subscribe")
	case op.Method == "completion/complete" && op.URI != "":
		methods = append(methods, "resources/read")
	case op.Method == "completion/complete":
		methods = append(methods, "prompts/get")
	}
	for _, method := range methods {
		var best *Rule
		for _, rule := range r.cfg.MethodScopes {
			stem, isPattern := strings.CutSuffix(rule.Match, "*")
			if rule.Match == method || isPattern && strings.HasPrefix(method, stem) {
				if best == nil || rule.Match == method || len(rule.Match) > len(best.Match) && best.Match != method {
					best = &rule
				}
			}
		}
		if best != nil {
			return scopes.Of(best.Scopes...)
		}
	}
	return r.family(methods[len(methods)-1], op.URI)
}

func (r reference) family(method, uri string) scopes.Set {
	open := []string{"", "initialize", "ping", "server/discover", "logging/setLevel"}
	switch {
	case slices.Contains(open, method), strings.HasPrefix(method, "notifications/"), method == "notifications":
		return nil
	case method == "subscriptions/listen" && uri == "":
		return nil
	case method == "tools", strings.HasPrefix(method, "tools/"):
		return scopes.Of("mcp:tools")
	case method == "resources", method == "prompts", strings.HasPrefix(method, "resources/"), strings.HasPrefix(method, "prompts/"):
		return scopes.Of("mcp:read")
	}
	return scopes.Of("mcp:admin")
}

// readRules makes a configuration of lines "kind match scope…".
func readRules(text string) Config {
	var cfg Config
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		rule := Rule{Match: words[1], Scopes: scopes.Of(words[2:]...)}
		switch words[0] {
		case "m":
			cfg.MethodScopes = append(cfg.MethodScopes, rule)
		case "r":
			cfg.ResourceScopes = append(cfg.ResourceScopes, rule)
		case "t":
			cfg.ToolScopes = append(cfg.ToolScopes, rule)
		case "p":
			cfg.PromptScopes = append(cfg.PromptScopes, rule)
		}
	}
	return cfg
}

// plainURI is a URI about which nobody disagrees.
var plainURI = regexp.MustCompile(`^[a-z]+://[a-z]*(/[a-z]+)+$`)

// FuzzPolicy proves that no operation costs less than the reference says,
// whatever the rules are, and that plain ones cost the same.
func FuzzPolicy(f *testing.F) {
	const rules = "m analytics/* analytics:view\nm analytics/raw/* raw\nm analytics/raw/help\nm tools/list mcp:read\nm completion/* c\n" +
		"r file:///private/ files:admin\nr file:///public/\nr file:/// files:read\nr database: db:read\nr notes://all n\n" +
		"t read mcp:tools mcp:read\nt wipe files:admin\np audit a\n"
	for _, op := range []Operation{
		{Method: "tools/call", Name: "read"}, {Method: "tools/call", Name: "Read"}, {Method: "tools/list"}, {Method: "prompts/get", Name: "audit"},
		{Method: "analytics/raw/x"}, {Method: "analytics/rawdata"}, {Method: "analytics"}, {Method: "completion/complete", URI: "file:///private/{x}"},
		{Method: "completion/complete", Name: "audit"}, {Method: "subscriptions/listen", URI: "notes://all"}, {Method: "resources/read", URI: "file:///public/../private/x"},
		{Method: "resources/read", URI: "FILE:///Private/%2e%2e/x"}, {Method: "resources/read", URI: "database:orders"}, {Method: "x", URI: "a"},
	} {
		f.Add(rules, op.Method, op.Name, op.URI)
	}
	f.Add("m resources/* r\nm subscriptions/listen\nr file:///a\nr file:///a/b/ b", "subscriptions/listen", "", "file:///a/b")
	f.Fuzz(func(t *testing.T, rules, method, name, uri string) {
		cfg := readRules(rules)
		p, err := New(cfg)
		if err != nil {
			return
		}
		op := Operation{Method: method, Name: name, URI: uri}
		needed, least := p.Required(op), reference{cfg}.required(op)
		if !needed.Contains(least) {
			t.Fatalf("%+v needs only %q, the rules say %q", op, needed, least)
		}
		if isPlain := uri == "" || plainURI.MatchString(uri); isPlain && !slices.Equal(needed, least) && !begins(cfg, uri) {
			t.Fatalf("%+v needs %q, the rules say %q", op, needed, least)
		}
	})
}

// begins reports whether a rule begins like uri, in any case, without covering
// it: then it adds to what is needed.
func begins(cfg Config, uri string) bool {
	return slices.ContainsFunc(cfg.ResourceScopes, func(r Rule) bool {
		return strings.HasPrefix(strings.ToLower(uri), strings.ToLower(strings.TrimSuffix(r.Match, "/"))) && !covers(r.Match, uri)
	})
}
