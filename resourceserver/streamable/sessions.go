package streamable

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sessions knows whose session each is, how many there are, and when each was
// last used. It decides when a session has timed out; the SDK only learns of
// it. No operation but close looks at every session.
type sessions struct {
	timeout  time.Duration
	interval time.Duration // between two looks at what has timed out
	limit    int           // of one principal
	evict    bool

	mu          sync.Mutex
	byID        map[string]*session
	byPrincipal map[string][]*session  // in the order of opening
	order       list.List              // of *session, least recently used first
	timer       *time.Timer            // of the next look; nil while there are no sessions
	listening   map[string][]*listener // by principal
}

// session is one of them, from the moment it is admitted. Its fields belong to
// registry.mu, apart from those that never change.
type session struct {
	registry  *sessions
	principal string
	place     *list.Element
	over      context.Context // ends what the session's handlers do
	cancel    context.CancelFunc
	handling  atomic.Int64 // handlers that are running

	id      string // empty until initialize has arrived
	server  *mcp.ServerSession
	info    *auth.TokenInfo // of the last request
	running int             // requests and streams
	used    time.Time       // when the last of them ended
	gone    bool
}

func newSessions(o *Options) *sessions {
	return &sessions{
		timeout: o.SessionTimeout, interval: o.CleanupInterval, limit: o.MaxSessions, evict: o.EvictOldest,
		byID: map[string]*session{}, byPrincipal: map[string][]*session{}, listening: map[string][]*listener{},
	}
}

// admit gives a place to one more session of the token's principal; leave must
// follow. It returns nil if the principal has as many as it may and the oldest
// one need not make room.
func (s *sessions) admit(info *auth.TokenInfo) *session {
	now, name := time.Now(), userID(info)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byPrincipal[name]) >= s.limit {
		for _, one := range slices.Clone(s.byPrincipal[name]) {
			s.expired(one, now)
		}
	}
	if own := s.byPrincipal[name]; len(own) >= s.limit {
		if !s.evict {
			return nil
		}
		s.end(own[0])
	}
	one := &session{registry: s, principal: name, info: info, running: 1, used: now}
	one.over, one.cancel = context.WithCancel(context.Background())
	one.place = s.order.PushBack(one)
	s.byPrincipal[name] = append(s.byPrincipal[name], one)
	if s.timer == nil {
		s.timer = time.AfterFunc(s.interval, s.cleanup)
	}
	return one
}

// bind makes an admitted session one that requests can name. It reports false
// if the session has ended before it began.
func (s *sessions) bind(one *session, server *mcp.ServerSession) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.gone {
		return false
	}
	if id := server.ID(); one.id == "" && id != "" {
		one.id, one.server = id, server
		s.byID[id] = one
	}
	return true
}

// use returns the session with that id for a request with that token; leave
// must follow. It returns nil if there is none, it is another principal's, or
// it has timed out: who asks cannot tell these apart.
func (s *sessions) use(id string, info *auth.TokenInfo) *session {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[id]
	if one == nil || one.principal != userID(info) || s.expired(one, now) {
		return nil
	}
	one.running++
	one.info = info
	return one
}

// leave ends what admit or use began.
func (s *sessions) leave(one *session) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one.running--
	one.used = now
	switch {
	case one.gone:
	case one.id == "":
		s.end(one) // nothing came of initialize
	default:
		s.order.MoveToBack(one.place)
	}
}

// drop forgets a session that its client ends; the SDK closes it.
func (s *sessions) drop(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(one)
	one.cancel()
}

// closed forgets a session that the SDK has closed.
func (s *sessions) closed(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.byID[id]; one != nil {
		s.forget(one)
		one.cancel()
	}
}

// count returns how many sessions there are.
func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(time.Now())
	return len(s.byID)
}

// close ends the sessions and subscriptions whose token matches and returns how
// many sessions that were. With nil it ends all of them, as when the server
// stops: what their handlers are doing is finished first.
func (s *sessions) close(match func(*auth.TokenInfo) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := 0
	for place := s.order.Front(); place != nil; {
		one, _ := place.Value.(*session)
		place = place.Next()
		switch {
		case match == nil:
			s.forget(one)
			one.close()
		case match(one.info):
			s.end(one)
		default:
			continue
		}
		ended++
	}
	for _, own := range s.listening {
		for _, one := range own {
			if match == nil || match(one.info) {
				one.cancel()
			}
		}
	}
	return ended
}

// cleanup ends the sessions that have timed out, and comes back as long as
// there are others.
func (s *sessions) cleanup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(time.Now())
	if s.order.Len() == 0 {
		s.timer = nil
		return
	}
	s.timer.Reset(s.interval)
}

// expire ends the sessions that have timed out. A busy one goes to the back:
// as long as it is in use its turn has not come. The caller holds s.mu.
func (s *sessions) expire(now time.Time) {
	for place := s.order.Front(); place != nil; place = s.order.Front() {
		one, _ := place.Value.(*session)
		if now.Sub(one.used) < s.timeout {
			return
		}
		if !s.expired(one, now) {
			one.used = now
			s.order.MoveToBack(place)
		}
	}
}

// expired ends the session if it has timed out, and reports that. The caller
// holds s.mu.
func (s *sessions) expired(one *session, now time.Time) bool {
	if one.running > 0 || now.Sub(one.used) < s.timeout {
		return false
	}
	s.end(one)
	return true
}

// end ends a session and whatever its handlers are doing. The caller holds
// s.mu.
func (s *sessions) end(one *session) {
	s.forget(one)
	one.cancel()
	one.close()
}

// forget removes a session. The caller holds s.mu.
func (s *sessions) forget(one *session) {
	if one.gone {
		return
	}
	one.gone = true
	s.order.Remove(one.place)
	if one.id != "" {
		delete(s.byID, one.id)
	}
	without(s.byPrincipal, one.principal, one)
}

// without removes one from the list of name, and the list if it is empty then.
func without[T comparable](lists map[string][]T, name string, one T) {
	rest := lists[name]
	at := slices.Index(rest, one)
	if rest = slices.Delete(rest, at, at+1); len(rest) > 0 {
		lists[name] = rest
	} else {
		delete(lists, name)
	}
}

// close makes the SDK end the session, without waiting for the handlers that
// are running in it. What Close reports is about a connection that nobody uses
// any more.
func (one *session) close() {
	if server := one.server; server != nil {
		go func() { _ = server.Close() }()
	}
}

// userID names whose token it is, empty without one.
func userID(info *auth.TokenInfo) string {
	if info == nil {
		return ""
	}
	return info.UserID
}
