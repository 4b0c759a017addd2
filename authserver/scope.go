package authserver

import (
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// scopeOffline asks for refresh tokens (OpenID Connect Core §11).
const scopeOffline = "offline_access"

// identityScopes concern the person and the connection, not a resource: a
// client needs no registration for them, because the person decides.
func identityScopes() scopes.Set {
	return scopes.Of(scopeOpenID, scopeProfile, scopeEmail, scopeOffline)
}

// withIdentity returns the catalog with the identity scopes that it does not
// describe itself, at its end: clients ask for scopes in this order.
func withIdentity(catalog *scopes.Catalog) (*scopes.Catalog, error) {
	entries := catalog.All()
	for _, scope := range [...]scopes.Scope{
		{Name: scopeOpenID, Description: "Know that it is you"},
		{Name: scopeProfile, Description: "See your name and username"},
		{Name: scopeEmail, Description: "See your email address"},
		{Name: scopeOffline, Description: "Stay connected until you disconnect it"},
	} {
		if _, known := catalog.Lookup(scope.Name); !known {
			entries = append(entries, scope)
		}
	}
	return scopes.NewCatalog(entries...)
}

// userScopes returns what a client may ask a person for, of what it asks for;
// asking for nothing asks for its defaults. What is unknown, not for this
// client or without meaning at the resource is left out (RFC 6749 §3.3): real
// clients ask for every scope that some metadata lists, and the answer tells
// them what they got.
func (s *Server) userScopes(c *client, to target, requested string) (scopes.Set, error) {
	if to.administers() {
		return nil, invalidTarget("No person can grant access to this resource.")
	}
	asked, err := scopes.Parse(requested)
	if err != nil {
		return nil, invalidScope("The scope is malformed.").because(err)
	}
	if len(asked) == 0 {
		asked = c.defaults
	}
	identity := asked.Intersect(identityScopes())
	asked = asked.Minus(identity).Intersect(c.scopes)
	if asked = to.meaningful(asked).Union(identity); meaningless(asked) {
		return nil, invalidScope("None of the scopes applies to the client and the resource.")
	}
	return asked, nil
}

// meaningless reports whether having set is having nothing: offline_access
// only prolongs the rest.
func meaningless(set scopes.Set) bool { return len(set.Minus(scopes.Of(scopeOffline))) == 0 }

// refreshable reports whether c gets refresh tokens when a person, asked for
// asked, has granted granted: it must be registered for them, and someone who
// was asked to let it stay connected must have agreed.
func (s *Server) refreshable(c *client, asked, granted scopes.Set) bool {
	if !c.may(grantRefreshToken) {
		return false
	}
	if asked.Has(scopeOffline) || s.cfg.Tokens.RefreshOnlyOffline {
		return granted.Has(scopeOffline)
	}
	return true
}
