package authserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// endpointFunc is an endpoint: it answers, or returns the error to answer with.
type endpointFunc func(w http.ResponseWriter, r *http.Request, entry *logEntry) error

// edge is the way into every endpoint: request id, body limit, headers, panic
// guard, the one error boundary and the one log entry.
func (s *Server) edge(at route, serve endpointFunc) http.Handler {
	observe := s.metrics.duration(at.name)
	if at.page() && at.method == http.MethodPost {
		serve = s.fromOurPages(serve)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := &logEntry{start: time.Now(), requestID: rand.Text(), endpoint: at.name, routine: at.routine}
		ctx := withEntry(r.Context(), entry)
		r = r.WithContext(ctx) // a copy of our own
		r.RemoteAddr = s.peer(r)
		entry.peer = r.RemoteAddr
		r.Body = boundBody(w, r, at.maxBody)
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		setHeaders(answer.Header(), entry.requestID)
		if strings.HasPrefix(s.cfg.Issuer, "https://") {
			answer.Header().Set("Strict-Transport-Security", "max-age=31536000") // RFC 6797; not over plain http (§7.2)
		}
		if at.crossOrigin {
			allowAnyOrigin(answer.Header())
		}

		if err := guard(serve, answer, r, entry); err != nil {
			entry.failure = errorFor(err)
			if ctx.Err() == nil { // nobody is answered who has left
				s.metrics.failed(entry.failure.code)
			}
			if entry.failure.code == codeInvalidClient {
				s.cfg.SecurityLog.WarnContext(ctx, "client authentication failed", "request_id", entry.requestID,
					"endpoint", at.name, "client_id", entry.clientID, "remote_addr", r.RemoteAddr, "cause", entry.failure.logged())
			}
			switch {
			case answer.written:
			case at.page():
				s.writeFailure(answer, entry, err)
			default:
				s.writeError(answer, entry.failure)
			}
		}
		observe(time.Since(entry.start))
		entry.write(ctx, s.cfg.Logger, r, answer.status)
	})
}

// bodyTimeout bounds how long a body may take to arrive.
const bodyTimeout = 10 * time.Second

// boundBody bounds the body of r in size and in time. The deadline is the
// connection's and also ends what net/http reads of a body that no endpoint
// wanted; it is lifted when the body is complete, so that an answer may take
// longer.
func boundBody(w http.ResponseWriter, r *http.Request, limit int64) io.ReadCloser {
	bounded := http.MaxBytesReader(w, r.Body, limit)
	if r.Body == http.NoBody {
		return bounded
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // only a test's writer has none
	return timedBody{bounded, control}
}

type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// guard turns a panic of an endpoint into an error, so that it costs one
// request; the stack goes to the log.
func guard(serve endpointFunc, w http.ResponseWriter, r *http.Request, entry *logEntry) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if aborted, ok := p.(error); ok && errors.Is(aborted, http.ErrAbortHandler) {
			panic(p)
		}
		err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}()
	return serve(w, r, entry)
}

// setHeaders sets what every answer carries: no cache may keep it (RFC 6749
// §5.1), no browser may sniff, frame or refer it. Within our own origin it may:
// under no-referrer browsers send their forms with "Origin: null".
func setHeaders(h http.Header, requestID string) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Request-Id", requestID)
}

// allowAnyOrigin lets scripts read the answer, without credentials of theirs
// (Fetch standard §3.3).
func allowAnyOrigin(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, X-Request-Id")
}

// preflight answers what a browser asks before it lets a script call.
func preflight(methods []string) endpointFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ *logEntry) error {
		h := w.Header()
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name")
		h.Set("Access-Control-Max-Age", "7200")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// statusWriter remembers whether and how a request was answered.
type statusWriter struct {
	http.ResponseWriter
	status  int
	written bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.written {
		w.status, w.written = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.written = true
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// notFound and methodNotAllowed answer for paths and methods without endpoint.
func notFound(http.ResponseWriter, *http.Request, *logEntry) error {
	return &oauthError{status: http.StatusNotFound, code: codeInvalidRequest, description: "There is nothing at this address.", cause: errors.New("no such path")}
}

func methodNotAllowed(allowed []string) endpointFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ *logEntry) error {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &oauthError{status: http.StatusMethodNotAllowed, code: codeInvalidRequest, description: "This method is not allowed here."}
	}
}
