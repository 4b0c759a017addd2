package streamable

import (
	"cmp"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sessions knows whose session each is. The SDK decides which are alive; what
// it has ended disappears from here the next time anyone looks.
type sessions struct {
	server *mcp.Server

	mu      sync.Mutex
	serial  int
	owners  map[string]owner // by session id
	opening map[string]int   // by principal: admitted, not yet opened
}

type owner struct {
	principal string
	serial    int // order of opening
}

// admit reserves a place for one more session of principal; opened must
// follow. It reports false if the principal has limit of them and evict does not
// let the oldest one go.
func (s *sessions) admit(principal string, limit int, evict bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.live()
	var own []string
	for id, o := range s.owners {
		if o.principal == principal {
			own = append(own, id)
		}
	}
	if excess := len(own) + s.opening[principal] - limit + 1; excess > 0 {
		if !evict || excess > len(own) {
			return false
		}
		slices.SortFunc(own, func(a, b string) int { return cmp.Compare(s.owners[a].serial, s.owners[b].serial) })
		for _, id := range own[:excess] {
			delete(s.owners, id)
			end(live[id])
		}
	}
	s.opening[principal]++
	return true
}

// opened ends what admit began; id is empty if no session came of it.
func (s *sessions) opened(principal, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opening[principal]--; s.opening[principal] == 0 {
		delete(s.opening, principal)
	}
	if id != "" {
		s.serial++
		s.owners[id] = owner{principal, s.serial}
	}
}

// count returns how many sessions are open.
func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live()
	return len(s.owners)
}

// close ends the sessions whose principal matches, nil for all.
func (s *sessions) close(match func(principal string) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := 0
	for id, session := range s.live() {
		if o, ours := s.owners[id]; ours && (match == nil || match(o.principal)) {
			delete(s.owners, id)
			end(session)
			closed++
		}
	}
	return closed
}

// end closes a session without waiting for the requests that it still serves.
// What Close reports is about a connection that nobody uses any more.
func end(session *mcp.ServerSession) { go func() { _ = session.Close() }() }

// live returns the sessions that the SDK has and forgets owners of others.
// The caller holds s.mu.
func (s *sessions) live() map[string]*mcp.ServerSession {
	live := map[string]*mcp.ServerSession{}
	for session := range s.server.Sessions() {
		if id := session.ID(); id != "" {
			live[id] = session
		}
	}
	for id := range s.owners {
		if live[id] == nil {
			delete(s.owners, id)
		}
	}
	return live
}
