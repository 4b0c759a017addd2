package policy

import (
	"fmt"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Explanation is what an operation needs, and why.
type Explanation struct {
	// Needed is what [Policy.Required] returns.
	Needed scopes.Set
	// Steps are what was considered, one line each, the deciding one last. A
	// URI that could mean several is considered once for each of them.
	Steps []string
}

// Explain is [Policy.Required] for people.
func (p *Policy) Explain(op Operation) Explanation {
	why := steps{}
	needed := p.decide(op, &why)
	return Explanation{Needed: needed, Steps: why}
}

// steps listens to a decision; a nil one costs nothing.
type steps []string

// rule notes that a rule counts.
func (s *steps) rule(kind, match string, needed scopes.Set) {
	if s != nil {
		s.add(fmt.Sprintf("the rule for %s %q", kind, match), needed)
	}
}

// none notes that no rule counts.
func (s *steps) none(kind, name string) {
	if s != nil {
		*s = append(*s, fmt.Sprintf("no rule is for %s %q", kind, name))
	}
}

// add notes what somebody asks for, once: it may be about several meanings of
// the same URI.
func (s *steps) add(who string, needed scopes.Set) {
	if s == nil {
		return
	}
	what := needed.String()
	if what == "" {
		what = "any valid token"
	}
	if step := who + " asks for " + what; !slices.Contains(*s, step) {
		*s = append(*s, step)
	}
}
