package streamable

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"
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
	// SupportedVersions are the protocol revisions served; default all that the
	// SDK knows. A request that names another one in its MCP-Protocol-Version
	// header is answered with 400 and this list; one without the header is from
	// an old client and passes, as long as any revision with sessions is served.
	// Nor does initialize agree to another one, or server/discover list it.
	// A server made with ServerOptions.SupportedProtocolVersions narrows them
	// further.
	SupportedVersions []string
	// AnyVersion treats a revision in the header that is not served as if there
	// were none: the guide's enforce_protocol_version, turned around.
	AnyVersion bool
	// DeprecatedVersions are served too, with a warning in the log, at most once
	// a minute for each.
	DeprecatedVersions []string
	// VersionRule, if there is one, decides about each revision that a request
	// names, instead of the three rules above. One that it accepts although the
	// SDK does not know it is treated as if there were none. It is called often,
	// from several goroutines.
	VersionRule func(version string) VersionVerdict

	// SessionTimeout ends a session after this long without a request; default
	// 30 minutes. A request that is running, an open stream too, keeps it.
	SessionTimeout time.Duration
	// CleanupInterval is how often sessions that have timed out are closed;
	// until then they answer 404 already. Default 5 minutes.
	CleanupInterval time.Duration
	// MaxSessions bounds the sessions of one principal; default 5. One more is
	// refused with 429, or closes the oldest if EvictOldest is set. Whatever it
	// is, 64 requests of one session may be under way, and as many subscriptions
	// of one principal be open.
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
	versions  *versions
	sessions  *sessions
}

// Handler serves server; opts may be nil. Make server with [ServerOptions] and
// put [FilterLists] into it when tokens differ in what they may do. Handler
// adds middleware that survives panics of the server's handlers and ends them
// with their session. It panics if opts.Metrics has mcp_sessions_active
// already, or [CheckVersions] finds a version that does not exist.
func Handler(server *mcp.Server, opts *Options) *Endpoint {
	e := &Endpoint{}
	if opts != nil {
		e.opts = *opts
	}
	o := &e.opts
	o.setDefaults()
	if err := CheckVersions(o.SupportedVersions, o.DeprecatedVersions); err != nil {
		panic(err)
	}
	log := cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	e.versions, e.sessions = newVersions(o, log), newSessions(o)
	server.AddReceivingMiddleware(guard(log), e.versions.negotiate, e.sessions.attend, inputs)
	get := func(*http.Request) *mcp.Server { return server }
	e.stateless = mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		Stateless:                    true,
		PropagateRequestCancellation: true, // closing the response cancels the request
		MaxRequestBodyBytes:          o.MaxBodyBytes,
		DisableLocalhostProtection:   o.HostChecked,
		Logger:                       o.Logger,
	})
	e.stateful = mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{ // without SessionTimeout: sessions has it
		EventStore:                 &events{budget: o.EventBytes, closed: e.sessions.closed, sessions: map[string]*recording{}},
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

func (o *Options) setDefaults() {
	o.SessionTimeout = positive(o.SessionTimeout, 30*time.Minute)
	o.CleanupInterval = positive(o.CleanupInterval, 5*time.Minute)
	o.MaxSessions = positive(o.MaxSessions, 5)
	o.MaxBodyBytes = positive(o.MaxBodyBytes, mcp.DefaultMaxRequestBodyBytes)
	o.KeepAlive = cmp.Or(o.KeepAlive, 25*time.Second)
	o.EventBytes = positive(o.EventBytes, 256<<10)
}

func positive[T int | int64 | time.Duration](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}

// CloseSessions ends the sessions whose token match accepts, and returns how
// many; the streams of subscriptions/listen end with them. info is the token
// that was last used in the session, nil without one. What a session's handlers
// are doing is cancelled. A nil match is for a server that stops: it accepts
// all, and requests under way are answered first. match must not call the
// endpoint.
func (e *Endpoint) CloseSessions(match func(info *auth.TokenInfo) bool) int {
	return e.sessions.close(match)
}

// ServeHTTP implements [http.Handler].
func (e *Endpoint) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &response{ResponseWriter: rw, request: r.Context(), keepAlive: e.opts.KeepAlive}
	defer w.finish()
	for _, name := range []string{headerVersion, headerSession, headerMethod, headerName} {
		if len(r.Header[name]) > 1 {
			w.refuse(http.StatusBadRequest, mcp.CodeHeaderMismatch, nil, "the "+name+" header occurs twice")
			return
		}
	}
	version, ok := e.versions.admit(r.Context(), r.Header.Get(headerVersion))
	switch {
	case !ok:
		e.refuseVersion(w, r)
	case version >= firstModern: // one that the SDK knows
		e.serveModern(w, r)
	default:
		e.serveLegacy(w, r, version)
	}
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
