package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// New compiles cfg. Malformed scopes, rules that say the same thing twice and
// rules that can never match (a misspelt protocol method, a "*" that is not
// the end of "something/*", a URI that is not in canonical form) are errors
// that name the rule.
func New(cfg Config) (*Policy, error) {
	families := map[string]string{
		FamilyTools:     cmp.Or(cfg.ToolsScope, scopes.MCPTools),
		FamilyResources: cmp.Or(cfg.ResourcesScope, scopes.MCPRead),
		FamilyPrompts:   cmp.Or(cfg.PromptsScope, scopes.MCPRead),
		FamilyAdmin:     cmp.Or(cfg.AdminScope, scopes.MCPAdmin),
		FamilyOther:     cmp.Or(cfg.AdminScope, scopes.MCPAdmin),
	}
	p := &Policy{families: map[string]scopes.Set{}}
	for family, scope := range families {
		if !scopes.ValidToken(scope) {
			return nil, fmt.Errorf("policy: %s scope %q: %w", family, scope, scopes.ErrSyntax)
		}
		p.families[family] = scopes.Of(scope)
	}
	var err error
	if p.tools, err = names("tool", cfg.ToolScopes, nil); err != nil {
		return nil, err
	}
	if p.prompts, err = names("prompt", cfg.PromptScopes, nil); err != nil {
		return nil, err
	}
	if p.resources, err = prefixes("resource", cfg.ResourceScopes, checkURI); err != nil {
		return nil, err
	}
	var exact, patterns []Rule
	for _, rule := range cfg.MethodScopes {
		if stem, found := strings.CutSuffix(rule.Match, "*"); found {
			patterns = append(patterns, Rule{stem, rule.Scopes})
		} else {
			exact = append(exact, rule)
		}
	}
	if p.methods, err = names("method", exact, checkMethod); err != nil {
		return nil, err
	}
	p.patterns, err = prefixes("method", patterns, checkPattern)
	return p, err
}

// names compiles rules that match one name each.
func names(kind string, rules []Rule, check func(string) error) (map[string]scopes.Set, error) {
	list, err := prefixes(kind, rules, check)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]scopes.Set, len(list))
	for _, rule := range list {
		byName[rule.Match] = rule.Scopes
	}
	return byName, nil
}

// prefixes checks rules and returns them with the longest Match first.
func prefixes(kind string, rules []Rule, check func(string) error) ([]Rule, error) {
	list := make([]Rule, len(rules))
	for i, rule := range rules {
		if rule.Match == "" {
			return nil, fmt.Errorf("policy: a %s rule matches nothing: its name is empty", kind)
		}
		for _, scope := range rule.Scopes {
			if !scopes.ValidToken(scope) {
				return nil, fmt.Errorf("policy: %s %q: scope %q: %w", kind, rule.Match, scope, scopes.ErrSyntax)
			}
		}
		if check != nil {
			if err := check(rule.Match); err != nil {
				return nil, fmt.Errorf("policy: %s %q: %w", kind, rule.Match, err)
			}
		}
		if slices.ContainsFunc(list[:i], func(other Rule) bool { return other.Match == rule.Match }) {
			return nil, fmt.Errorf("policy: %s %q has two rules; say all its scopes in one", kind, rule.Match)
		}
		list[i] = Rule{rule.Match, scopes.Of(rule.Scopes...)}
	}
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(len(b.Match), len(a.Match)) })
	return list, nil
}

func checkURI(uri string) error {
	all, ok := readings(uri)
	if !ok {
		return fmt.Errorf("not a URI that can be compared (RFC 3986)")
	}
	if i := slices.IndexFunc(all, func(reading string) bool { return reading != uri }); i >= 0 {
		return fmt.Errorf("not in canonical form; did you mean %q?", all[i])
	}
	return nil
}

// checkMethod refuses methods that a family of the protocol does not have: a
// rule for "tools/calls" would protect nothing.
func checkMethod(method string) error {
	if strings.Contains(method, "*") {
		return fmt.Errorf(`"*" may only end a pattern, as in "analytics/*"`)
	}
	op := Operation{Method: method}
	switch op.Family() {
	case FamilyTools, FamilyResources, FamilyPrompts:
		if !slices.Contains(protocolMethods, method) {
			return fmt.Errorf("the protocol has no such method (it has %s)", strings.Join(protocolMethods, ", "))
		}
	}
	return nil
}

func checkPattern(stem string) error {
	if !strings.HasSuffix(stem, "/") || stem == "/" || strings.Contains(stem, "*") {
		return fmt.Errorf(`"*" may only end a pattern, as in "analytics/*"`)
	}
	return nil
}
