package resourceserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// bodyTimeout is how long a client may take to send its body.
const bodyTimeout = 30 * time.Second

// serve takes a request through every check and passes it to next, or returns
// why not. The body is read before anything is answered: proxies lose answers
// that overtake a request.
func (s *Server) serve(x *exchange, r *http.Request, next http.Handler) *Refusal {
	body, refusal := s.readBody(x, r)
	if refusal != nil {
		return refusal
	}
	if !s.network.host(r.Host) || !s.network.origin(r.Header["Origin"], r.Host) {
		return &Refusal{Status: http.StatusForbidden, Code: CodeOriginNotAllowed, Description: "The Host or Origin header is not allowed."}
	}
	if s.network.cors(x, r) {
		return nil
	}
	ops, unreadable := policy.Read(r.Header, r.Method, body)
	x.ops = ops
	if refusal := s.authenticate(x, r); refusal != nil {
		return refusal
	}
	if unreadable != nil {
		return x.malformed(unreadable)
	}
	if !s.permits(x.token, ops) {
		return insufficientScope(s.needed(ops))
	}
	return s.pass(x, r, body, next)
}

// readBody reads the whole body, in bounded time and space.
func (s *Server) readBody(x *exchange, r *http.Request) ([]byte, *Refusal) {
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	// A writer without deadlines (a test's) has no connection to protect.
	deadline := http.NewResponseController(x.ResponseWriter)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = deadline.SetReadDeadline(time.Time{}) }()

	size := min(max(r.ContentLength, 0), 64<<10) // what is announced is not yet there
	buffer := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err := buffer.ReadFrom(http.MaxBytesReader(x.ResponseWriter, r.Body, s.cfg.MaxBodyBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &Refusal{Status: http.StatusRequestEntityTooLarge, Code: CodeRequestTooLarge, Description: "The body is too large.", rpc: rpcInvalidRequest}
	}
	if err != nil {
		return nil, &Refusal{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: "The body could not be read.", rpc: rpcInvalidRequest, cause: err}
	}
	return buffer.Bytes(), nil
}

// authenticate finds the verified token of the request. What a 401 asks for is
// what the operation needs.
func (s *Server) authenticate(x *exchange, r *http.Request) *Refusal {
	token, err := bearerToken(r.Header)
	switch {
	case errors.Is(err, errNoToken):
		return missingToken(s.wanted(x.ops))
	case err != nil:
		return malformedCredentials()
	}
	if x.token, err = s.verifier.verify(r.Context(), token); err == nil {
		return nil
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		return unavailable(err)
	}
	if refusal.Status != http.StatusUnauthorized {
		return refusal
	}
	asking := *refusal
	asking.Scope = s.wanted(x.ops)
	return &asking
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

// pass hands the request to next for as long as its token is valid.
func (s *Server) pass(x *exchange, r *http.Request, body []byte, next http.Handler) *Refusal {
	ctx := context.WithValue(r.Context(), contextKey{}, x.token)
	ctx, cancel := context.WithDeadline(ctx, x.token.until)
	defer cancel()
	defer s.running.end(s.running.begin(x.token, cancel))
	if s.revoked.cover(x.token) { // since it was verified
		return invalidToken(errRevoked)
	}
	x.passed = true
	inner := r.WithContext(ctx)
	inner.Header = make(http.Header, len(r.Header)+1) // a clone would grow at once
	maps.Copy(inner.Header, r.Header)
	inner.Header["X-Request-Id"] = []string{x.id}
	inner.Header["Authorization"] = []string{"Bearer carried"} // the token itself goes no further
	if body != nil {
		inner.Body, inner.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	next.ServeHTTP(x, inner)
	return nil
}

// carrier hands the identity to the MCP SDK, whose middleware is the only way
// to put a TokenInfo into a request: sessions are bound to it, and tools find
// it in req.Extra. All decisions have been made; it has nothing to refuse, and
// insists only on the Authorization header, of which a stand-in ends here.
func carrier(next http.Handler) http.Handler {
	identify := func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		e, ok := ctx.Value(contextKey{}).(*verified)
		if !ok {
			return nil, auth.ErrInvalidToken
		}
		return e.info, nil
	}
	stripped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		delete(r.Header, "Authorization")
		next.ServeHTTP(w, r)
	})
	return auth.RequireBearerToken(identify, &auth.RequireBearerTokenOptions{ClockSkew: math.MaxInt64 / 2})(stripped)
}
