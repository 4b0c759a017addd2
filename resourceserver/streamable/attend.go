package streamable

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxHandlers bounds what goes on in one session at a time: a client may
	// leave without waiting for answers, and come back for them.
	maxHandlers = 64
	// maxListeners bounds the subscriptions of one principal that are open at a
	// time: they are streams without a session.
	maxListeners = 64
)

var (
	errEnded    = &jsonrpc.Error{Code: codeRefused, Message: "invalid_request: the session has been ended"}
	errHandlers = &jsonrpc.Error{Code: codeRefused, Message: "rate_limited: too many requests of the session are under way"}
	errListens  = &jsonrpc.Error{Code: codeRefused, Message: "rate_limited: too many subscriptions are open"}
)

// listener is a subscriptions/listen of the era without sessions.
type listener struct {
	info   *auth.TokenInfo
	cancel context.CancelFunc
}

// sessionKey finds the *session in the context of its handlers: that context
// is made of the one of the request that opened the session.
type sessionKey struct{}

// attend is what the SDK passes each message through: it gives a new session
// its id, and ends the work for a session, or a subscription, with it.
func (s *sessions) attend(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		one, inSession := ctx.Value(sessionKey{}).(*session)
		switch {
		case inSession:
			server, ok := req.GetSession().(*mcp.ServerSession)
			if method == methodInitialize && (!ok || !one.registry.bind(one, server)) {
				return nil, errEnded
			}
			defer one.handling.Add(-1)
			if one.handling.Add(1) > maxHandlers {
				return nil, errHandlers
			}
			bound, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(one.over, cancel)() //nolint:contextcheck // the session ends it, whatever the request does
			ctx = bound
		case method == methodListen:
			bound, leave := s.listen(ctx, req)
			if leave == nil {
				return nil, errListens
			}
			defer leave()
			ctx = bound
		}
		return next(ctx, method, req)
	}
}

// listen notes a subscription until leave is called; leave is nil if the
// principal has as many as it may.
func (s *sessions) listen(ctx context.Context, req mcp.Request) (bound context.Context, leave func()) {
	one := &listener{}
	if extra := req.GetExtra(); extra != nil {
		one.info = extra.TokenInfo
	}
	name := userID(one.info)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listening[name]) >= maxListeners {
		return nil, nil
	}
	s.listening[name] = append(s.listening[name], one)
	bound, one.cancel = context.WithCancel(ctx)
	return bound, func() {
		one.cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		without(s.listening, name, one)
	}
}
