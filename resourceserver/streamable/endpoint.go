package streamable

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

const (
	headerVersion     = "Mcp-Protocol-Version"
	headerSession     = "Mcp-Session-Id"
	headerMethod      = "Mcp-Method"
	headerName        = "Mcp-Name"
	headerLastEventID = "Last-Event-Id"

	// firstModern is the first revision without sessions; revisions are dates
	// and sort as text.
	firstModern = "2026-07-28"
	// metaVersion in a body marks a message of that era.
	metaVersion = "io.modelcontextprotocol/protocolVersion"
)

// Options of a [Handler]; every zero value is safe.
type Options struct {
	// SessionTimeout ends a session after this long without a POST; default 30
	// minutes.
	SessionTimeout time.Duration
	// MaxSessions bounds the sessions of one principal; default 5. One more is
	// refused with 429, or closes the oldest if EvictOldest is set.
	MaxSessions int
	EvictOldest bool
	// MaxBodyBytes bounds a body; default 4 MiB.
	MaxBodyBytes int64
	// KeepAlive is how often a comment is sent on an event stream that has
	// begun, so that proxies keep it open; default 25 s, negative for never.
	KeepAlive time.Duration
	// EventBytes is how much of what was sent each session keeps in memory, for
	// a client that resumes a stream; default 256 KiB. The newest event is kept
	// at any size.
	EventBytes int
	// HostChecked says that whoever calls the handler has checked the Host
	// header (resourceserver.Protect does). Otherwise a request that arrives on
	// a loopback address must name a loopback host.
	HostChecked bool
	// Metrics registers mcp_sessions_active; nil registers nothing.
	Metrics prometheus.Registerer
	// Logger gets the SDK's messages about the transport, and the panics of
	// handlers, which end only the request; nil discards them.
	Logger *slog.Logger
}

// Endpoint is the http.Handler that [Handler] returns. It is safe for
// concurrent use.
type Endpoint struct {
	opts      Options
	stateless http.Handler
	stateful  http.Handler
	sessions  sessions
}

// Handler serves server; opts may be nil. Make server with [ServerOptions] and
// put [FilterLists] into it when tokens differ in what they may do. Handler
// adds a middleware that survives panics of the server's handlers. It panics
// if opts.Metrics has mcp_sessions_active already.
func Handler(server *mcp.Server, opts *Options) *Endpoint {
	e := &Endpoint{}
	if opts != nil {
		e.opts = *opts
	}
	o := &e.opts
	o.SessionTimeout = cmp.Or(o.SessionTimeout, 30*time.Minute)
	o.MaxSessions = cmp.Or(o.MaxSessions, 5)
	o.MaxBodyBytes = cmp.Or(o.MaxBodyBytes, mcp.DefaultMaxRequestBodyBytes)
	o.KeepAlive = cmp.Or(o.KeepAlive, 25*time.Second)
	o.EventBytes = cmp.Or(o.EventBytes, 256<<10)
	server.AddReceivingMiddleware(guard(cmp.Or(o.Logger, slog.New(slog.DiscardHandler))))
	e.sessions = sessions{server: server, owners: map[string]owner{}, opening: map[string]int{}}
	get := func(*http.Request) *mcp.Server { return server }
	e.stateless = mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		Stateless:                    true,
		PropagateRequestCancellation: true, // closing the response cancels the request
		MaxRequestBodyBytes:          o.MaxBodyBytes,
		DisableLocalhostProtection:   o.HostChecked,
		Logger:                       o.Logger,
	})
	e.stateful = mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		EventStore:                 &events{budget: o.EventBytes, sessions: map[string]*recording{}},
		SessionTimeout:             o.SessionTimeout,
		MaxRequestBodyBytes:        o.MaxBodyBytes,
		DisableLocalhostProtection: o.HostChecked,
		Logger:                     o.Logger,
	})
	if o.Metrics != nil {
		o.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mcp_sessions_active",
			Help: "MCP sessions that are open.",
		}, func() float64 { return float64(e.sessions.count()) }))
	}
	return e
}

// CloseSessions ends the sessions of the principals (auth.TokenInfo.UserID)
// that match accepts, nil for all, and returns how many. Requests under way
// are answered first; their streams end.
func (e *Endpoint) CloseSessions(match func(principal string) bool) int {
	return e.sessions.close(match)
}

// ServeHTTP implements [http.Handler].
func (e *Endpoint) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &response{ResponseWriter: rw, keepAlive: e.opts.KeepAlive}
	defer w.finish()
	for _, name := range []string{headerVersion, headerSession, headerMethod, headerName} {
		if len(r.Header[name]) > 1 {
			w.refuse(http.StatusBadRequest, mcp.CodeHeaderMismatch, nil, "the "+name+" header occurs twice")
			return
		}
	}
	if r.Header.Get(headerVersion) >= firstModern {
		e.serveModern(w, r)
		return
	}
	e.serveLegacy(w, r)
}

// serveModern passes a request of the stateless era to the SDK, after the two
// corrections it needs: what sessions left behind is ignored, and an encoded
// Mcp-Name is decoded before it is compared with the body.
func (e *Endpoint) serveModern(w *response, r *http.Request) {
	name, ok := decodeHeader(r.Header.Get(headerName))
	if !ok {
		w.refuse(http.StatusBadRequest, mcp.CodeHeaderMismatch, nil, "the "+headerName+" header is not valid base64")
		return
	}
	r = r.WithContext(r.Context()) // a shallow copy: the header is ours to change
	r.Header = r.Header.Clone()
	r.Header.Del(headerSession)
	r.Header.Del(headerLastEventID)
	if name != "" {
		r.Header.Set(headerName, name)
	}
	e.stateless.ServeHTTP(w, r)
}

// serveLegacy passes a request of the era of sessions to the SDK, unless its
// body belongs to the other era or it lacks a session.
func (e *Endpoint) serveLegacy(w *response, r *http.Request) {
	if r.Method != http.MethodPost {
		e.stateful.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, e.opts.MaxBodyBytes))
	if err != nil {
		status := http.StatusBadRequest
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		w.refuse(status, policy.CodeInvalidRequest, nil, "the body cannot be read")
		return
	}
	r = r.WithContext(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	hasSession := r.Header.Get(headerSession) != ""
	if hasSession && !bytes.Contains(body, []byte(metaVersion)) {
		e.stateful.ServeHTTP(w, r)
		return
	}
	ops, err := policy.Read(r.Header, r.Method, body)
	if refusal, ok := errors.AsType[*policy.Error](err); ok {
		w.refuse(refusal.Status, refusal.Code, refusal.ID, refusal.Message)
		return
	}
	for _, op := range ops {
		if op.Version >= firstModern {
			w.refuse(http.StatusBadRequest, mcp.CodeHeaderMismatch, op.ID, "the "+headerVersion+" header does not match the version in _meta")
			return
		}
	}
	switch {
	case hasSession:
		e.stateful.ServeHTTP(w, r)
	case ops[0].Method == "initialize":
		e.open(w, r, ops[0])
	default:
		w.refuse(http.StatusBadRequest, policy.CodeInvalidRequest, ops[0].ID, "the "+headerSession+" header is missing; begin with initialize")
	}
}

// open serves an initialize request within the principal's bounds.
func (e *Endpoint) open(w *response, r *http.Request, op policy.Operation) {
	owner := principal(r.Context())
	if !e.sessions.admit(owner, e.opts.MaxSessions, e.opts.EvictOldest) {
		w.Header().Set("Retry-After", "60")
		w.refuse(http.StatusTooManyRequests, codeRefused, op.ID, "rate_limited: too many sessions are open; end one with DELETE")
		return
	}
	defer func() { e.sessions.opened(owner, w.Header().Get(headerSession)) }()
	e.stateful.ServeHTTP(w, r)
}

// held returns the scopes of the token that came with the request.
func held(ctx context.Context) scopes.Set {
	if info := auth.TokenInfoFromContext(ctx); info != nil {
		return scopes.Of(info.Scopes...)
	}
	return nil
}

// principal names whose token came with the request, empty without one.
func principal(ctx context.Context) string {
	if info := auth.TokenInfoFromContext(ctx); info != nil {
		return info.UserID
	}
	return ""
}
