package settings

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Catalog returns the default scopes followed by those of the file.
func (s Settings) Catalog() (*scopes.Catalog, error) {
	entries := scopes.Default()
	custom := s.ResourceServer.CustomScopes
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		entries = append(entries, scopes.Scope{Name: name, Description: custom[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Scopes)) {
		e := s.Scopes[name]
		entries = append(entries, scopes.Scope{
			Name: name, Description: e.Description, Sensitive: e.Sensitive, Implies: e.Implies,
		})
	}
	return scopes.NewCatalog(entries...)
}

// checkScopes also notes which scopes there are.
func (s Settings) checkScopes(c *checker) {
	before := len(c.problems)
	var names []string
	for _, e := range scopes.Default() {
		names = append(names, e.Name)
	}
	custom := s.ResourceServer.CustomScopes
	names = slices.AppendSeq(names, maps.Keys(custom))
	names = slices.AppendSeq(names, maps.Keys(s.Scopes))
	slices.Sort(names)
	c.scopes = names
	for name, e := range s.Scopes {
		key := "scopes." + name
		c.checkScope(key, name, e.Description)
		for i, implied := range e.Implies {
			if !slices.Contains(names, implied) {
				c.fail(fmt.Sprintf("%s.implies[%d]", key, i), "%q is not in the catalog%s", implied, Suggest(implied, names))
			}
		}
	}
	for name, description := range custom {
		key := "resource_server.custom_scopes." + name
		_, again := s.Scopes[name]
		switch {
		case again:
			c.fail(key, "stands in scopes too; keep one of them")
		case slices.ContainsFunc(scopes.Default(), func(e scopes.Scope) bool { return e.Name == name }):
			c.fail(key, "is there already; an entry of scopes can replace it")
		default:
			c.checkScope(key, name, description)
		}
	}
	if len(c.problems) == before {
		_, err := s.Catalog() // what is left is a circle
		c.require(err, "scopes")
	}
}

func (c *checker) checkScope(key, name, description string) {
	switch {
	case !scopes.ValidToken(name):
		c.fail(key, "%q cannot be a scope: visible ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)", name)
	case description == "":
		c.fail(key, "needs a description that tells a person what it allows")
	}
}
