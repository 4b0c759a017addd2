package scopes

import (
	"fmt"
	"slices"
)

// The scopes every catalog knows unless it says otherwise.
const (
	MCPRead  = "mcp:read"
	MCPWrite = "mcp:write"
	MCPTools = "mcp:tools"
	MCPAdmin = "mcp:admin"
)

// Scope is an entry of a [Catalog].
type Scope struct {
	Name string
	// Description tells a person what granting it allows; it begins with a
	// verb and uses no protocol words.
	Description string
	// Sensitive scopes are set apart when a person is asked for consent.
	Sensitive bool
	// Implies names narrower scopes that this one includes.
	Implies []string
}

// Default returns the four MCP scopes; mcp:admin implies the others.
func Default() []Scope {
	return []Scope{
		{Name: MCPRead, Description: "Read resources and prompts"},
		{Name: MCPWrite, Description: "Create, change and delete data"},
		{Name: MCPTools, Description: "Run tools on your behalf"},
		{Name: MCPAdmin, Description: "Administer the server", Sensitive: true, Implies: []string{MCPRead, MCPWrite, MCPTools}},
	}
}

// Catalog is an immutable collection of scopes with their hierarchy. It is
// safe for concurrent use.
type Catalog struct {
	entries  []Scope
	byName   map[string]Scope
	includes map[string]Set // a scope with all it implies, itself included
}

// NewCatalog checks the entries and computes what each implies. An entry may
// repeat an earlier name to replace it (so that custom entries can follow
// [Default]). Malformed names, unknown implied scopes and cycles are errors.
func NewCatalog(entries ...Scope) (*Catalog, error) {
	c := &Catalog{byName: map[string]Scope{}, includes: map[string]Set{}}
	for _, e := range entries {
		if !ValidToken(e.Name) {
			return nil, fmt.Errorf("scope %q: %w", e.Name, ErrSyntax)
		}
		if _, replaces := c.byName[e.Name]; !replaces {
			c.entries = append(c.entries, Scope{Name: e.Name})
		}
		e.Implies = slices.Clone(e.Implies)
		c.byName[e.Name] = e
	}
	for i, e := range c.entries {
		c.entries[i] = c.byName[e.Name]
		set, err := c.closure(e.Name, nil)
		if err != nil {
			return nil, err
		}
		c.includes[e.Name] = set
	}
	return c, nil
}

// closure returns name with all that it implies; path holds the names above.
func (c *Catalog) closure(name string, path []string) (Set, error) {
	if slices.Contains(path, name) {
		return nil, fmt.Errorf("scope %q implies itself", name)
	}
	set := Set{name}
	for _, implied := range c.byName[name].Implies {
		if _, known := c.byName[implied]; !known {
			return nil, fmt.Errorf("scope %q implies %q, which is not in the catalog", name, implied)
		}
		below, err := c.closure(implied, append(path, name))
		if err != nil {
			return nil, err
		}
		set = set.Union(below)
	}
	return set, nil
}

// All returns the entries in the order they were given.
func (c *Catalog) All() []Scope { return slices.Clone(c.entries) }

// Names returns the names of all entries, in the order they were given.
func (c *Catalog) Names() []string {
	names := make([]string, len(c.entries))
	for i, e := range c.entries {
		names[i] = e.Name
	}
	return names
}

// Lookup returns the entry with that name.
func (c *Catalog) Lookup(name string) (Scope, bool) {
	e, ok := c.byName[name]
	return e, ok
}

// Expand returns set with everything it implies. Names that are not in the
// catalog stand for themselves.
func (c *Catalog) Expand(set Set) Set {
	out := set
	for _, name := range set {
		if all := c.includes[name]; len(all) > 1 {
			out = out.Union(all)
		}
	}
	return out
}

// Missing returns the scopes of needed that held does not include, directly or
// by implication; empty means held suffices.
func (c *Catalog) Missing(held, needed Set) Set {
	if missing := needed.Minus(held); len(missing) > 0 {
		return missing.Minus(c.Expand(held))
	}
	return nil
}

// Reduce removes the scopes that another one of set implies, so that a list
// shown to a person or a client has no repetition of meaning.
func (c *Catalog) Reduce(set Set) Set {
	out := set
	for _, name := range set {
		out = out.Minus(c.includes[name].Minus(Set{name}))
	}
	return out
}
