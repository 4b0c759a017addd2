package authserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Error codes of RFC 8628 §3.5.
const (
	codeAuthorizationPending = "authorization_pending"
	codeSlowDown             = "slow_down"
	codeExpiredToken         = "expired_token"
)

// deviceCode is the grant of RFC 8628 §3.4: a device polls until a person has
// decided elsewhere.
type deviceCode struct{ server *Server }

var _ fosite.TokenEndpointHandler = deviceCode{}

// CanSkipClientAuth is false: a public client still says who it is.
func (deviceCode) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (deviceCode) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne(grantDeviceCode)
}

// HandleTokenEndpointRequest makes the one storage call that decides.
func (g deviceCode) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	c, session, err := grantRequest(request)
	if err != nil {
		return err
	}
	if !c.may(grantDeviceCode) {
		return unauthorizedClient()
	}
	code := params{request.GetRequestForm()}.get("device_code")
	if code == "" {
		return invalidRequest("device_code is missing.")
	}
	now := entryFrom(ctx).start
	prepared := g.server.prepareTokens(c, now)
	grant, user, err := g.server.cfg.Store.PollDevice(ctx, storage.DevicePoll{
		DeviceCode: sha256.Sum256([]byte(code)), ClientID: c.ID,
		Secret: prepared.secret, GrantExpiresAt: now.Add(g.server.cfg.Tokens.RefreshTokenLifetime),
		AccessToken: prepared.toStore, Now: now,
	})
	if err != nil {
		return pollError(err)
	}
	granted := scopes.Of(grant.Scopes...)
	grant.Refresh = grant.Refresh && granted.Has(scopeOffline) // the person may have said no to it
	g.server.finishTokens(session, c, prepared, grant, user, granted)
	return nil
}

func (g deviceCode) PopulateTokenEndpointResponse(ctx context.Context, request fosite.AccessRequester, response fosite.AccessResponder) error {
	if !g.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	return g.server.populate(request, response)
}

// pollError is the answer of RFC 8628 §3.5 to a device without a grant.
func pollError(err error) error {
	for _, state := range [...]struct {
		err         error
		code        string
		description string
	}{
		{storage.ErrPending, codeAuthorizationPending, "Nobody has decided yet. Ask again after the interval."},
		{storage.ErrSlowDown, codeSlowDown, "Wait five seconds more between requests."},
		{storage.ErrDenied, codeAccessDenied, "The person did not allow it."},
		{storage.ErrExpired, codeExpiredToken, "The device_code has expired. Begin again."},
	} {
		if errors.Is(err, state.err) {
			return &oauthError{status: http.StatusBadRequest, code: state.code, description: state.description}
		}
	}
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrSpent) {
		return invalidGrant(err)
	}
	return err
}
