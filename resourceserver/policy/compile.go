package policy

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// New compiles cfg. What is surely a slip is an error that names the rule; all
// of them are found at once (errors.Join):
//
//   - malformed scopes, empty names, two rules that are for the same,
//   - a method that the protocol does not have although it has the family, one
//     that is nearly a method of the protocol ("tool/call", "Tools/Call"), and
//     the like in patterns ("resource/*"),
//   - a "*" that is not the end of a method pattern "something/*"; tools and
//     prompts are named, resources are matched by how they begin,
//   - a URI that is not in canonical form, or a template instead of one,
//   - a scope of a family that a pattern for the whole family leaves without
//     use.
//
// What is merely more specific than another rule is meant.
func New(cfg Config) (*Policy, error) {
	c := compiler{}
	var exact, patterns []Rule
	for _, rule := range cfg.MethodScopes {
		if strings.HasSuffix(rule.Match, "*") {
			patterns = append(patterns, rule)
		} else {
			exact = append(exact, rule)
		}
	}
	p := &Policy{
		families:  c.families(cfg),
		methods:   byName(c.rules("method", exact, checkMethod)),
		patterns:  c.rules("method", patterns, checkPattern),
		resources: c.rules("resource", cfg.ResourceScopes, checkURI),
		tools:     byName(c.rules("tool", cfg.ToolScopes, checkName)),
		prompts:   byName(c.rules("prompt", cfg.PromptScopes, checkName)),
		hook:      cfg.Hook,
		log:       cfg.Logger,
	}
	if len(c.slips) > 0 {
		return nil, errors.Join(c.slips...)
	}
	p.unclear = p.families[FamilyAdmin]
	for _, rule := range p.resources {
		p.unclear = p.unclear.Union(rule.Scopes)
		p.folded = append(p.folded, fold(rule.Match))
	}
	for i := range p.patterns {
		p.patterns[i].Match = strings.TrimSuffix(p.patterns[i].Match, "*")
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	return p, nil
}

// compiler collects what is wrong.
type compiler struct{ slips []error }

func (c *compiler) slip(format string, args ...any) {
	c.slips = append(c.slips, fmt.Errorf("policy: "+format, args...))
}

// families returns the scope of each family but that of sessions, which needs
// none.
func (c *compiler) families(cfg Config) map[string]scopes.Set {
	admin := cmp.Or(cfg.AdminScope, scopes.MCPAdmin)
	all := map[string]scopes.Set{}
	for _, f := range []struct{ family, own, byDefault string }{
		{FamilyTools, cfg.ToolsScope, scopes.MCPTools},
		{FamilyResources, cfg.ResourcesScope, scopes.MCPRead},
		{FamilyPrompts, cfg.PromptsScope, scopes.MCPRead},
		{FamilyAdmin, admin, admin},
		{FamilyOther, admin, admin},
	} {
		scope := cmp.Or(f.own, f.byDefault)
		all[f.family] = scopes.Of(scope)
		if f.family == FamilyOther {
			continue // the administrative scope once more
		}
		if !scopes.ValidToken(scope) {
			c.slip("%s scope %q: %w", f.family, scope, scopes.ErrSyntax)
		}
		whole := f.family + "/*"
		if scope != f.byDefault && slices.ContainsFunc(cfg.MethodScopes, func(r Rule) bool { return r.Match == whole }) {
			c.slip("%s scope %q is for nothing: the method rule %q replaces it", f.family, scope, whole)
		}
	}
	return all
}

// rules checks rules and returns them with the longest Match first.
func (c *compiler) rules(kind string, rules []Rule, check func(string) error) []Rule {
	list := make([]Rule, len(rules))
	for i, rule := range rules {
		for _, scope := range rule.Scopes {
			if !scopes.ValidToken(scope) {
				c.slip("%s %q: scope %q: %w", kind, rule.Match, scope, scopes.ErrSyntax)
			}
		}
		if rule.Match == "" {
			c.slip("a %s rule matches nothing: its name is empty", kind)
		} else if err := check(rule.Match); err != nil {
			c.slip("%s %q: %w", kind, rule.Match, err)
		}
		for _, earlier := range list[:i] {
			switch {
			case earlier.Match == rule.Match:
				c.slip("%s %q has two rules; say all its scopes in one", kind, rule.Match)
			case kind == "resource" && strings.TrimSuffix(earlier.Match, "/") == strings.TrimSuffix(rule.Match, "/"):
				c.slip("%s %q and %q are for the same; say all its scopes in one rule", kind, earlier.Match, rule.Match)
			}
		}
		list[i] = Rule{rule.Match, scopes.Of(rule.Scopes...)}
	}
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(len(b.Match), len(a.Match)) })
	return list
}

// byName is for rules that match one name each.
func byName(list []Rule) map[string]scopes.Set {
	all := make(map[string]scopes.Set, len(list))
	for _, rule := range list {
		all[rule.Match] = rule.Scopes
	}
	return all
}
