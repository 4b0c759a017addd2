package resourceserver

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
)

// Protect returns a handler that passes to next the requests that may reach
// the resource, and answers all others. Next finds the token with
// [TokenFromContext], an MCP tool with [TokenFromInfo]; the header that brought
// it is gone. The request's context ends with the token.
//
// Next may have other paths too: all of them need a token, except for those of
// [Config].AuthExemptPaths, which are treated as by [Server.Edge].
func (s *Server) Protect(next http.Handler) http.Handler {
	carried := s.carrier(next)
	return s.handle(func(x *exchange, r *http.Request) *Refusal {
		x.open = s.edge.isExempt(r)
		if done, refusal := s.enter(x, r); done || refusal != nil {
			return refusal
		}
		if x.open {
			s.passOpen(x, r, next)
			return nil
		}
		return s.serve(x, r, carried)
	})
}

// Edge returns a handler that passes to next, without a token, the requests
// that keep the rules of the network: for what is not the resource, such as
// probes. As for exempt paths, the Host header may also be any IP address,
// because load balancers probe by address.
func (s *Server) Edge(next http.Handler) http.Handler {
	return s.handle(func(x *exchange, r *http.Request) *Refusal {
		x.open = true
		done, refusal := s.enter(x, r)
		if !done && refusal == nil {
			s.passOpen(x, r, next)
		}
		return refusal
	})
}

// handle puts around inside what holds for every request: a panic is stopped,
// security headers are set, whom it is from and how it came are checked, a
// refusal is written, and there is one event.
func (s *Server) handle(inside func(*exchange, *http.Request) *Refusal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := begin(w, s.edge.headers)
		defer s.finish(x, r)
		r = x.hurry(r)
		refusal := s.edge.admit(x, r)
		if refusal == nil {
			refusal = inside(x, r)
		}
		if refusal != nil {
			x.drain(r)
			x.refuse(refusal, s.metadataURL)
		}
	})
}

// enter applies the rest of the rules that stand before the token. done: it was
// a preflight, which has been answered.
func (s *Server) enter(x *exchange, r *http.Request) (done bool, refusal *Refusal) {
	if done, refusal = s.edge.page(x, r); done || refusal != nil {
		return done, refusal
	}
	return false, s.edge.limit(x)
}

// serve takes a request through every check that begins with its token and
// passes it to next, or returns why not. The token comes first: of whoever has
// none, only the beginning of the body is looked at.
func (s *Server) serve(x *exchange, r *http.Request, next http.Handler) *Refusal {
	refusal, keep := s.identify(x, r), s.cfg.MaxBodyBytes
	if refusal != nil {
		keep = min(keep, maxJudged)
	}
	body, unread := s.readBody(x, r, keep)
	if unread != nil {
		return unread
	}
	ops, unreadable := policy.Read(r.Header, r.Method, body)
	x.ops = ops
	if refusal != nil {
		return s.asking(refusal, ops)
	}
	if r.Method == http.MethodPost && !isJSON(r.Header["Content-Type"]) {
		return notJSON()
	}
	if unreadable != nil {
		return x.malformed(unreadable)
	}
	if !s.permits(x.token, ops) {
		return insufficientScope(s.needed(ops))
	}
	return s.pass(x, r, body, next)
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
	inner := x.inner(r.WithContext(ctx))
	inner.Header["Authorization"] = []string{"Bearer carried"} // the token itself goes no further
	if body != nil {
		inner.Body, inner.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	next.ServeHTTP(x, inner)
	if x.status == 0 && ctx.Err() != nil && r.Context().Err() == nil {
		x.passed = false // the token ended before there was an answer
		return invalidToken(ctx.Err())
	}
	return nil
}

// passOpen hands on a request that needs no token.
func (s *Server) passOpen(x *exchange, r *http.Request, next http.Handler) {
	inner := x.inner(r.WithContext(r.Context()))
	s.strip(inner.Header)
	if inner.Body != nil {
		inner.Body = http.MaxBytesReader(x.ResponseWriter, inner.Body, s.cfg.MaxBodyBytes)
	}
	next.ServeHTTP(x, inner)
}

// inner gives a copy of the request headers of its own, with our id.
func (x *exchange) inner(r *http.Request) *http.Request {
	header := make(http.Header, len(r.Header)+2) // a clone would grow at once
	maps.Copy(header, r.Header)
	header["X-Request-Id"] = []string{x.id}
	r.Header = header
	return r
}
