package policy

import (
	"strings"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Config describes a policy. The zero Config is the default one.
//
// A rule replaces the scope of the method's family, it does not add to it; a
// rule without scopes asks for any valid token. The most specific rule counts:
// a tool, prompt or resource rule before a method rule, an exact method before
// a pattern, a longer pattern or prefix before a shorter one.
type Config struct {
	ToolsScope     string // tools/*; default mcp:tools
	ResourcesScope string // resources/*; default mcp:read
	PromptsScope   string // prompts/*; default mcp:read
	AdminScope     string // admin/* and every unknown method; default mcp:admin

	MethodScopes   []Rule // Match: a method, or a pattern such as "analytics/*"
	ResourceScopes []Rule // Match: a URI or the beginning of one, e.g. "file:///private/"
	ToolScopes     []Rule // Match: the name of a tool
	PromptScopes   []Rule // Match: the name of a prompt
}

// Rule gives what it matches the scopes that are needed, all of them.
type Rule struct {
	Match  string
	Scopes scopes.Set
}

// Policy maps operations to scopes. It is immutable and safe for concurrent
// use; the zero Policy is not usable.
type Policy struct {
	families  map[string]scopes.Set
	methods   map[string]scopes.Set
	patterns  []Rule // Match without the final "*", longest first
	resources []Rule // Match canonical, longest first
	tools     map[string]scopes.Set
	prompts   map[string]scopes.Set
}

// Default returns the policy of the zero [Config].
func Default() *Policy {
	p, err := New(Config{})
	if err != nil {
		panic(err) // the zero Config is valid; see TestSeed_S14
	}
	return p
}

// Required returns all scopes that op needs; empty means that any valid token
// will do. A URI that cannot be canonicalised needs the administrative scope.
func (p *Policy) Required(op Operation) scopes.Set {
	switch op.Method {
	case methodCallTool:
		if set, found := p.tools[op.Name]; found {
			return set
		}
	case methodGetPrompt, methodComplete:
		if set, found := p.prompts[op.Name]; found && op.Name != "" {
			return set
		}
	}
	set := p.method(op)
	if op.URI == "" {
		return set
	}
	return p.resource(op.URI, set)
}

// method returns the scopes of op's method, not looking at what it names.
func (p *Policy) method(op Operation) scopes.Set {
	if set, found := p.methods[op.Method]; found {
		return set
	}
	for _, pattern := range p.patterns {
		if strings.HasPrefix(op.Method, pattern.Match) {
			return pattern.Scopes
		}
	}
	return p.families[op.Family()]
}

// resource returns what the rules ask for uri in every reading that a handler
// could give it; base is for readings that no rule matches.
func (p *Policy) resource(uri string, base scopes.Set) scopes.Set {
	all, ok := readings(uri)
	if !ok {
		return base.Union(p.families[FamilyAdmin])
	}
	var needed scopes.Set
	for _, reading := range all {
		needed = needed.Union(p.reading(reading, base))
	}
	return needed
}

// reading applies the longest rule that covers uri. A rule that ends inside a
// path segment of uri ("file:///pub" against "file:///public/x") is meant or a
// slip; it can only add to what is needed, never lower it.
func (p *Policy) reading(uri string, base scopes.Set) scopes.Set {
	var added scopes.Set
	for _, rule := range p.resources {
		switch {
		case covers(rule.Match, uri):
			return added.Union(rule.Scopes)
		case strings.HasPrefix(uri, rule.Match):
			added = added.Union(rule.Scopes)
		}
	}
	return added.Union(base)
}

// covers reports whether uri is prefix or lies below it. A prefix that ends in
// a slash covers the URI without it: "file:///private" is the directory.
func covers(prefix, uri string) bool {
	rest, found := strings.CutPrefix(uri, strings.TrimSuffix(prefix, "/"))
	return found && (rest == "" || strings.HasSuffix(prefix, ":") || strings.IndexByte("/?#", rest[0]) >= 0)
}
