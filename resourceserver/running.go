package resourceserver

import (
	"context"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// running are the requests being handled, so that those of a revoked token,
// event streams above all, can be ended, and who else has to know.
type running struct {
	mu      sync.Mutex // guards the fields below
	all     map[*run]struct{}
	closers []closeSessions
}

type run struct {
	token  *verified
	cancel context.CancelFunc
}

// closeSessions ends the sessions whose token is revoked and returns how many.
type closeSessions = func(revoked func(*auth.TokenInfo) bool) int

func newRunning() *running { return &running{all: map[*run]struct{}{}} }

// OnRevoked registers what ends the sessions of an MCP server, such as the
// CloseSessions of a streamable endpoint: it is called after revocations have
// arrived, with a predicate that tells from the TokenInfo of a session, the one
// that its last request brought, whether that token is revoked now. It returns
// how many it has ended, for the log. Requests of revoked tokens that are under
// way, event streams among them, end without it. The issuer waits for what is
// registered before it answers whoever revokes, so closeSessions is to be quick.
func (s *Server) OnRevoked(closeSessions func(revoked func(*auth.TokenInfo) bool) int) {
	s.running.mu.Lock()
	defer s.running.mu.Unlock()
	s.running.closers = append(s.running.closers, closeSessions)
}

// endRevoked ends what goes on with tokens that have been revoked.
func (s *Server) endRevoked() {
	requests, sessions := s.running.cancelRevoked(s.revoked)
	if requests+sessions > 0 {
		s.cfg.SecurityLog.Info("ended because of a revocation", "requests", requests, "sessions", sessions)
	}
}

// begin registers a request until end is called with what it returns. The
// caller looks at the revocations afterwards: one that came before was not
// applied to this request.
func (r *running) begin(token *verified, cancel context.CancelFunc) *run {
	one := &run{token, cancel}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[one] = struct{}{}
	return one
}

func (r *running) end(one *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, one)
}

// cancelRevoked ends the requests and then the sessions whose token is revoked.
func (r *running) cancelRevoked(revoked *revocations) (requests, sessions int) {
	requests, closers := r.cancel(revoked)
	for _, closeSessions := range closers {
		sessions += closeSessions(revoked.coverInfo)
	}
	return requests, sessions
}

func (r *running) cancel(revoked *revocations) (requests int, closers []closeSessions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for one := range r.all {
		if revoked.cover(one.token) {
			requests++
			one.cancel()
		}
	}
	return requests, slices.Clone(r.closers)
}
