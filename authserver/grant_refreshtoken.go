package authserver

import (
	"context"
	"errors"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// refreshToken is the grant of OAuth 2.1 §4.3. Each use gives the token's
// successor; within the reuse window every use gives the same one. User, client
// and resource are looked at anew each time.
type refreshToken struct{ server *Server }

var _ fosite.TokenEndpointHandler = refreshToken{}

// CanSkipClientAuth is false: a public client is at least identified.
func (refreshToken) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (refreshToken) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne(grantRefreshToken)
}

// HandleTokenEndpointRequest makes the one storage call, which decides.
func (g refreshToken) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	c, session, err := grantRequest(request)
	if err != nil {
		return err
	}
	if !c.may(grantRefreshToken) || (!c.may(grantAuthorizationCode) && !c.may(grantDeviceCode)) {
		return unauthorizedClient()
	}
	s, entry := g.server, entryFrom(ctx)
	rotation, err := s.rotation(c, params{request.GetRequestForm()})
	if err != nil {
		return err
	}
	entry.grantID = rotation.GrantID
	prepared := s.prepareTokens(c, entry.start)
	rotation.Now, rotation.AccessToken = entry.start, prepared.toStore
	rotation.GrantExpiresAt = entry.start.Add(s.cfg.Tokens.RefreshTokenLifetime)
	rotation.Revoked = grantRevocation(rotation.GrantID, nil, entry.start)
	grant, user, err := s.cfg.Store.RotateRefreshToken(ctx, rotation)
	switch {
	case errors.Is(err, storage.ErrSpent):
		s.cfg.SecurityLog.ErrorContext(ctx, "refresh token reused, grant revoked", "request_id", entry.requestID,
			"client_id", c.ID, "grant", rotation.GrantID)
		s.catchUp(ctx, entry)
		return invalidGrant(err)
	case errors.Is(err, storage.ErrNotFound):
		return invalidGrant(err)
	case errors.Is(err, storage.ErrScope):
		return invalidScope("The scope is more than was granted.").because(err)
	case errors.Is(err, storage.ErrResource):
		return invalidTarget("The resource is not the one that was granted.").because(err)
	case err != nil:
		return err
	}
	if grant.CreatedAt.Before(c.CreatedAt) {
		return invalidGrant(errors.New("granted to an earlier client of this client_id"))
	}
	granted := scopes.Of(rotation.Scopes...)
	if len(granted) == 0 {
		granted = scopes.Of(grant.Scopes...)
	}
	s.finishTokens(session, c, prepared, grant, user, granted)
	return nil
}

// rotation reads and checks what the client asks for.
func (s *Server) rotation(c *client, p params) (storage.Rotation, error) {
	token := p.get("refresh_token")
	if token == "" {
		return storage.Rotation{}, invalidRequest("refresh_token is missing.")
	}
	r, ok := s.parseRefreshToken(token)
	if !ok {
		return r, invalidGrant(errors.New("not a refresh token of this server"))
	}
	asked, err := scopes.Parse(p.get("scope"))
	if err != nil {
		return r, invalidScope("The scope is malformed.").because(err)
	}
	if resources := p.resources(); len(resources) > 1 {
		return r, invalidTarget("Ask for one resource per token.")
	} else if len(resources) == 1 {
		if r.Resource, err = canonicalResource(resources[0]); err != nil {
			return r, invalidTarget("The resource is not an absolute URI without fragment.").because(err)
		}
	}
	r.ClientID, r.Scopes, r.Window = c.ID, asked, s.cfg.Tokens.RefreshReuseWindow
	for _, canonical := range c.audiences {
		if _, served := s.resources[canonical]; served {
			r.Allowed = append(r.Allowed, canonical)
		}
	}
	return r, nil
}

func (g refreshToken) PopulateTokenEndpointResponse(ctx context.Context, request fosite.AccessRequester, response fosite.AccessResponder) error {
	if !g.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	return g.server.populate(request, response)
}
