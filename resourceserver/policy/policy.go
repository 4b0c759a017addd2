package policy

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Config describes a policy. The zero Config is the default one.
//
// A rule replaces the scope of the method's family, it does not add to it; a
// rule without scopes asks for any valid token. The most specific rule counts:
// a tool, prompt or resource rule before a method rule, an exact method before
// a pattern, a longer pattern or prefix before a shorter one.
//
// A completion needs what using the prompt or resource needs, and listening to
// a resource (subscriptions/listen) what resources/subscribe needs, unless a
// method rule is for the method itself.
type Config struct {
	ToolsScope     string // tools/*; default mcp:tools
	ResourcesScope string // resources/*; default mcp:read
	PromptsScope   string // prompts/*; default mcp:read
	AdminScope     string // admin/* and every unknown method; default mcp:admin

	MethodScopes   []Rule // Match: a method, or a pattern such as "analytics/*"
	ResourceScopes []Rule // Match: a URI or the beginning of one, e.g. "file:///private/"
	ToolScopes     []Rule // Match: the name of a tool
	PromptScopes   []Rule // Match: the name of a prompt

	// Hook, if there is one, is asked before the rules about each operation
	// and each item of a list. It returns the scopes that are needed, all of
	// them; without ok the rules decide.
	//
	// It sees URIs as the rules do: in canonical form, and if a URI could mean
	// several, once for each; what any of them needs is needed. A URI that
	// cannot be compared comes as it is, and needs more in any case (see
	// [Policy.Required]). Hook is called concurrently, and several times for one
	// request. If it panics, or names what is no scope, the rules decide and the
	// administrative scope is needed too.
	Hook func(op Operation) (needed scopes.Set, ok bool)

	// Logger gets the panics and the malformed scopes of Hook; nil discards.
	Logger *slog.Logger
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
	patterns  []Rule     // Match without the final "*", longest first
	resources []Rule     // Match canonical, longest first
	folded    []string   // Match of each of them, folded
	unclear   scopes.Set // what a URI costs that could be any
	tools     map[string]scopes.Set
	prompts   map[string]scopes.Set
	hook      func(Operation) (scopes.Set, bool)
	log       *slog.Logger
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
// will do. A URI that cannot be compared could be any: it needs, beside what
// its method needs, the administrative scope and those of all resource rules.
func (p *Policy) Required(op Operation) scopes.Set { return p.decide(op, nil) }

// decide returns what op needs, and tells why to whoever listens.
func (p *Policy) decide(op Operation, why *steps) scopes.Set {
	if op.URI == "" {
		return p.judge(op, nil, why)
	}
	all, ok := readings(op.URI)
	if !ok {
		return p.judge(op, p.unclear, why)
	}
	var needed scopes.Set
	for _, op.URI = range all {
		needed = needed.Union(p.judge(op, nil, why))
	}
	return needed
}

// judge returns what op needs in one meaning of its URI; with a penalty the
// URI has none, no resource rule can speak for it, and the penalty is added.
func (p *Policy) judge(op Operation, penalty scopes.Set, why *steps) scopes.Set {
	needed, decided, sound := p.ask(op)
	if decided {
		why.add("the hook", needed)
	} else {
		needed = p.rules(op, penalty == nil, why)
	}
	if !sound {
		why.add("the failure of the hook", p.families[FamilyAdmin])
		needed = needed.Union(p.families[FamilyAdmin])
	}
	if penalty != nil {
		why.add("a URI that cannot be compared", penalty)
		needed = needed.Union(penalty)
	}
	return needed
}

// ask returns what the hook says, if it decides; its answer is sound unless it
// panics or names what is no scope.
func (p *Policy) ask(op Operation) (needed scopes.Set, decided, sound bool) {
	if p.hook == nil {
		return nil, false, true
	}
	defer func() {
		if crash := recover(); crash != nil {
			p.log.Error("the policy's hook panicked", "method", clip(op.Method), "panic", fmt.Sprint(crash), "stack", string(debug.Stack()))
			needed, decided, sound = nil, false, false
		}
	}()
	if needed, decided = p.hook(op); !decided {
		return nil, false, true
	}
	isSet := true
	for i, scope := range needed {
		if !scopes.ValidToken(scope) {
			p.log.Error("the policy's hook names what is no scope", "method", clip(op.Method), "scope", clip(scope))
			return nil, false, false
		}
		isSet = isSet && (i == 0 || needed[i-1] < scope)
	}
	if !isSet { // a literal that nobody sorted
		needed = scopes.Of(needed...)
	}
	return needed, true, true
}

// rules returns what the rules say about op, those for resources only if its
// URI has a meaning.
func (p *Policy) rules(op Operation, hasMeaning bool, why *steps) scopes.Set {
	switch op.Method {
	case methodCallTool:
		if needed, found := p.tools[op.Name]; found {
			why.rule("the tool", op.Name, needed)
			return needed
		}
		why.none("the tool", op.Name)
	case methodGetPrompt, methodComplete:
		if op.URI != "" {
			break // a resource's completion
		}
		if needed, found := p.prompts[op.Name]; found {
			why.rule("the prompt", op.Name, needed)
			return needed
		}
		why.none("the prompt", op.Name)
	}
	if op.URI == "" || !hasMeaning {
		return p.method(op, why)
	}
	return p.resource(op, why)
}

// resource applies the longest rule that covers op's URI. A rule that ends
// inside a path segment of it ("file:///pub" against "file:///public/x"), or
// covers it only in another case, may be meant: there are file systems and
// databases that do not mind case. It can only add to what is needed, never
// lower it.
func (p *Policy) resource(op Operation, why *steps) scopes.Set {
	var added scopes.Set
	folded := fold(op.URI)
	for i, rule := range p.resources {
		switch {
		case covers(rule.Match, op.URI):
			why.rule("resources below", rule.Match, rule.Scopes)
			return added.Union(rule.Scopes)
		case strings.HasPrefix(op.URI, rule.Match), covers(p.folded[i], folded):
			why.rule("resources that begin like", rule.Match, rule.Scopes)
			added = added.Union(rule.Scopes)
		}
	}
	return added.Union(p.method(op, why))
}

// method returns the scopes of op's method, not looking at what it names.
func (p *Policy) method(op Operation, why *steps) scopes.Set {
	for _, method := range [...]string{op.Method, op.standsFor()} {
		if needed, found := p.methods[method]; found {
			why.rule("the method", method, needed)
			return needed
		}
		for _, pattern := range p.patterns {
			if strings.HasPrefix(method, pattern.Match) {
				why.rule("methods below", pattern.Match, pattern.Scopes)
				return pattern.Scopes
			}
		}
	}
	family := op.Family()
	why.rule("the family", family, p.families[family])
	return p.families[family]
}

// covers reports whether uri is prefix or lies below it. A prefix that ends in
// a slash covers the URI without it: "file:///private" is the directory.
func covers(prefix, uri string) bool {
	rest, found := strings.CutPrefix(uri, strings.TrimSuffix(prefix, "/"))
	return found && (rest == "" || strings.HasSuffix(prefix, ":") || strings.IndexByte("/?#", rest[0]) >= 0)
}

// fold makes texts that differ in case only the same.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// clip bounds what a client can write into the log.
func clip(s string) string { return s[:min(len(s), 128)] }
