package resourceserver

import (
	"context"
	"errors"
	"math"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// identify finds the verified token of the request and counts the request for
// its principal.
func (s *Server) identify(x *exchange, r *http.Request) *Refusal {
	token, err := bearerToken(r.Header, s.cfg.AuthHeaderName)
	switch {
	case errors.Is(err, errNoToken):
		return missingToken()
	case err != nil:
		return malformedCredentials(s.cfg.AuthHeaderName)
	}
	if x.token, err = s.verifier.verify(r.Context(), token); err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return refusal
		}
		return unavailable(err)
	}
	if wait := s.edge.perPrincipal.charge(x.token.info.UserID, x.began); wait > 0 {
		return rateLimited(wait)
	}
	return nil
}

// asking makes a 401 ask for what the operations need, unless it says itself.
func (s *Server) asking(refusal *Refusal, ops []policy.Operation) *Refusal {
	if refusal.Status != http.StatusUnauthorized || len(refusal.Scope) > 0 {
		return refusal
	}
	own := *refusal // requests with the same token may have got the same one
	own.Scope = s.wanted(ops)
	return &own
}

// permits reports whether the token's scopes, with all that they imply, cover
// what every request needs and what each operation needs.
func (s *Server) permits(e *verified, ops []policy.Operation) bool {
	if !e.expanded.Contains(s.required) {
		return false
	}
	for _, op := range ops {
		if !e.expanded.Contains(s.cfg.Policy.Required(op)) {
			return false
		}
	}
	return true
}

// needed returns all scopes that the operations need, without those that
// another one of them implies.
func (s *Server) needed(ops []policy.Operation) scopes.Set {
	all := s.required
	for _, op := range ops {
		all = all.Union(s.cfg.Policy.Required(op))
	}
	return s.cfg.Scopes.Reduce(all)
}

// wanted returns the scopes a client should ask for when it has no token.
func (s *Server) wanted(ops []policy.Operation) scopes.Set {
	for _, op := range ops {
		if len(s.cfg.Policy.Required(op)) > 0 {
			return s.needed(ops)
		}
	}
	return s.challenge
}

// carrier hands the identity to the MCP SDK, whose middleware is the only way
// to put a TokenInfo into a request: sessions are bound to it, and tools find
// it in req.Extra. All decisions have been made; it has nothing to refuse, and
// insists only on the Authorization header, of which a stand-in ends here. So
// does the header that carried the token, if it was another.
func (s *Server) carrier(next http.Handler) http.Handler {
	identify := func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		e, ok := ctx.Value(contextKey{}).(*verified)
		if !ok {
			return nil, auth.ErrInvalidToken
		}
		return e.info, nil
	}
	stripped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.strip(r.Header)
		next.ServeHTTP(w, r)
	})
	return auth.RequireBearerToken(identify, &auth.RequireBearerTokenOptions{
		ClockSkew: math.MaxInt64 / 2, AllowMissingExpiration: true,
	})(stripped)
}

// strip removes whatever may hold credentials.
func (s *Server) strip(h http.Header) {
	delete(h, authorization)
	delete(h, s.cfg.AuthHeaderName)
}
