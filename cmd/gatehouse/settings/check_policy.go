package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// checkScopes finds names that are in no catalog, which would lock everyone
// out, and rules that the policy refuses.
func (r ResourceServer) checkScopes(c *checker) {
	const here = "resource_server."
	for name, list := range map[string][]string{
		"required_scopes": r.RequiredScopes, "challenge_scopes": r.ChallengeScopes, "scopes_supported": r.ScopesSupported,
	} {
		c.known(here+name, list)
		if i := slices.Index(list, "offline_access"); i >= 0 {
			c.fail(fmt.Sprintf("%s%s[%d]", here, name, i), "offline_access is asked for by clients, never by a resource")
		}
	}
	for name, scope := range map[string]string{
		"tools_scope": r.ToolsScope, "resources_scope": r.ResourcesScope, "prompts_scope": r.PromptsScope, "admin_scope": r.AdminScope,
	} {
		if scope == "" {
			c.fail(here+name, "must name a scope")
			continue
		}
		c.knownOne(here+name, scope)
	}
	for _, list := range r.ruleLists() {
		for i, rule := range list.rules {
			c.known(fmt.Sprintf("%s%s[%d].scopes", here, list.key, i), rule.Scopes)
		}
	}
	r.checkRules(c)
}

// known refuses names that are not in the catalog.
func (c *checker) known(key string, names []string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", key, i)
		c.knownOne(at, name)
		if slices.Contains(names[:i], name) {
			c.fail(at, "%q stands here twice", name)
		}
	}
}

func (c *checker) knownOne(key, name string) {
	if !slices.Contains(c.scopes, name) && name != "offline_access" {
		c.fail(key, "scope %q is not in the catalog%s", name, Suggest(name, c.scopes))
	}
}

// ruleList is the rules of one key, and where the policy keeps them.
type ruleList struct {
	key   string
	rules []Rule
	field func(*policy.Config) *[]policy.Rule
}

func (r ResourceServer) ruleLists() []ruleList {
	return []ruleList{
		{"method_scopes", r.MethodScopes, func(p *policy.Config) *[]policy.Rule { return &p.MethodScopes }},
		{"resource_scopes", r.ResourceScopes, func(p *policy.Config) *[]policy.Rule { return &p.ResourceScopes }},
		{"tool_scopes", r.ToolScopes, func(p *policy.Config) *[]policy.Rule { return &p.ToolScopes }},
		{"prompt_scopes", r.PromptScopes, func(p *policy.Config) *[]policy.Rule { return &p.PromptScopes }},
	}
}

// checkRules adds one rule after another to a policy, so that each refusal
// belongs to a line of the file.
func (r ResourceServer) checkRules(c *checker) {
	good := policy.Config{}
	for _, list := range r.ruleLists() {
		for i, rule := range list.rules {
			here := list.field(&good)
			before := *here
			*here = append(slices.Clip(before), rule.policy())
			if _, err := policy.New(good); err != nil {
				*here = before
				c.fail(fmt.Sprintf("resource_server.%s[%d].match", list.key, i), "%s", sentence(err))
			}
		}
	}
}

// sentence is the text of an error of the policy on one line.
func sentence(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	return strings.ReplaceAll(text, "policy: ", "")
}

// Policy returns the scope rules.
func (r ResourceServer) Policy() policy.Config {
	p := policy.Config{ToolsScope: r.ToolsScope, ResourcesScope: r.ResourcesScope, PromptsScope: r.PromptsScope, AdminScope: r.AdminScope}
	for _, list := range r.ruleLists() {
		for _, rule := range list.rules {
			*list.field(&p) = append(*list.field(&p), rule.policy())
		}
	}
	return p
}

func (r Rule) policy() policy.Rule {
	return policy.Rule{Match: r.Match, Scopes: scopes.Of(r.Scopes...)}
}
