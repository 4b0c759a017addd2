package authserver

import (
	"context"
	"slices"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// clientCredentials is the grant of RFC 6749 §4.4: the client acts for itself,
// so the subject of its tokens is its own client_id.
type clientCredentials struct{ server *Server }

var _ fosite.TokenEndpointHandler = clientCredentials{}

// CanSkipClientAuth is false: only an authenticated client has a self to act for.
func (clientCredentials) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

func (clientCredentials) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne(grantClientCredentials)
}

// HandleTokenEndpointRequest decides and makes the one storage call (none for a JWT).
func (g clientCredentials) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	c, session, err := grantRequest(request)
	if err != nil {
		return err
	}
	if c.IsPublic() || !slices.Contains(c.GrantTypes, grantClientCredentials) {
		return unauthorizedClient()
	}
	p := params{request.GetRequestForm()}
	to, err := g.server.target(c, p.resources())
	if err != nil {
		return err
	}
	granted, err := grantScopes(c, to, p.get("scope"))
	if err != nil {
		return err
	}
	session.issued, err = g.server.newToken(ctx, c, to, c.ID, granted, entryFrom(ctx).start)
	return err
}

func (g clientCredentials) PopulateTokenEndpointResponse(ctx context.Context, request fosite.AccessRequester, response fosite.AccessResponder) error {
	if !g.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	return g.server.populate(request, response)
}

// grantScopes returns what a client gets of what it asks for: asking for a
// scope it is not registered for is an error, a scope that means nothing at
// the resource is left out, and asking for nothing gives the defaults.
func grantScopes(c *client, to target, requested string) (scopes.Set, error) {
	asked, err := scopes.Parse(requested)
	if err != nil {
		return nil, invalidScope("The scope is malformed.").because(err)
	}
	if len(asked) == 0 {
		asked = c.defaults
	} else if !c.scopes.Contains(asked) {
		return nil, invalidScope("The client is not registered for a scope it asks for.")
	}
	if asked = to.meaningful(asked); len(asked) == 0 {
		return nil, invalidScope("None of the scopes applies to the resource.")
	}
	return asked, nil
}
