package resourceserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
)

// exchange is a request and its answer: what is known of it, for the one event
// that is logged and counted when it is over.
type exchange struct {
	http.ResponseWriter
	id     string
	began  time.Time
	status int // 0: nothing was written yet

	ops     []policy.Operation
	token   *verified
	passed  bool
	refusal *Refusal
}

func begin(w http.ResponseWriter) *exchange {
	x := &exchange{ResponseWriter: w, id: requestID(), began: time.Now()}
	w.Header().Set("X-Request-Id", x.id)
	return x
}

// requestID returns an id that tells requests apart.
func requestID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(p)
}

// Flush implements http.Flusher for handlers that look for it.
func (x *exchange) Flush() {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	_ = http.NewResponseController(x.ResponseWriter).Flush() // a writer that cannot has sent everything
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// refuse answers with the refusal.
func (x *exchange) refuse(refusal *Refusal, metadataURL string) {
	x.refusal = refusal
	refusal.write(x, metadataURL, x.rpcID())
}

// malformed makes a refusal of a body that the policy cannot judge.
func (x *exchange) malformed(err error) *Refusal {
	refusal := &Refusal{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: "The body is not a JSON-RPC message.", rpc: rpcInvalidRequest, cause: err}
	if known, ok := errors.AsType[*policy.Error](err); ok {
		refusal.Status, refusal.rpc, refusal.Description = known.Status, known.Code, known.Message
		x.ops = []policy.Operation{{ID: known.ID}}
	}
	return refusal
}

// rpcID returns the id of the one message in the body, or nil.
func (x *exchange) rpcID() json.RawMessage {
	var id json.RawMessage
	for i, op := range x.ops {
		if i > 0 && !bytes.Equal(id, op.ID) {
			return nil
		}
		id = op.ID
	}
	return id
}

// family returns the family of the operations, apart from those that belong to
// the session; "other" if there are several.
func (x *exchange) family() string {
	family := policy.FamilySession
	for _, op := range x.ops {
		switch f := op.Family(); {
		case f == policy.FamilySession || f == family:
		case family == policy.FamilySession:
			family = f
		default:
			return policy.FamilyOther
		}
	}
	return family
}

// finish is deferred: it stops a panic, then counts and logs the request.
func (s *Server) finish(x *exchange, r *http.Request) {
	crash := recover()
	abort := false
	if crash != nil {
		err, _ := crash.(error)
		if abort = errors.Is(err, http.ErrAbortHandler); !abort {
			s.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", x.id),
				slog.String("panic", fmt.Sprint(crash)), slog.String("stack", string(debug.Stack())))
			if abort = x.status != 0; !abort {
				x.refuse(&Refusal{Status: http.StatusInternalServerError, Code: CodeServerError, Description: "The request failed."}, s.metadataURL)
			}
		}
	}
	if x.status == 0 {
		x.status = http.StatusOK // what net/http sends then
	}
	s.count(x)
	s.log(x, r)
	if abort {
		panic(http.ErrAbortHandler) // cut the connection: the answer is not whole
	}
}

func (s *Server) count(x *exchange) {
	family, code := x.family(), "other"
	if http.StatusText(x.status) != "" {
		code = strconv.Itoa(x.status)
	}
	s.metrics.requests.WithLabelValues(family, code).Inc()
	s.metrics.duration.Observe(time.Since(x.began).Seconds())
	if x.passed {
		s.metrics.successes.WithLabelValues(family).Inc()
	} else if x.refusal != nil {
		s.metrics.failures.WithLabelValues(x.refusal.label(), family).Inc()
	}
}

// log writes the event of the request, and to the security log whether it
// passed. No field ever holds a credential.
func (s *Server) log(x *exchange, r *http.Request) {
	level, outcome := slog.LevelInfo, "passed"
	if x.status >= 500 {
		level = slog.LevelError
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs, slog.String("request_id", x.id), slog.String("verb", clip(r.Method)))
	if len(x.ops) > 0 && x.ops[0].Method != "" {
		attrs = append(attrs, slog.String("method", clip(x.ops[0].Method)))
		if name := x.ops[0].Name; name != "" {
			attrs = append(attrs, slog.String("name", clip(name)))
		}
	}
	if x.token != nil {
		attrs = append(attrs, slog.String("subject", x.token.Subject), slog.String("client_id", x.token.ClientID))
	}
	switch {
	case x.refusal != nil && x.passed:
		outcome = "failed"
	case x.refusal != nil:
		outcome = "refused"
	case !x.passed:
		outcome = "preflight"
	}
	if x.refusal != nil {
		attrs = append(attrs, slog.String("reason", x.refusal.label()))
		if x.refusal.cause != nil {
			attrs = append(attrs, slog.String("cause", x.refusal.cause.Error()))
		}
	}
	attrs = append(attrs, slog.String("outcome", outcome), slog.Int("status", x.status))
	s.cfg.Logger.LogAttrs(r.Context(), level, "request", append(attrs, slog.Duration("duration", time.Since(x.began)))...)
	s.secure(r.Context(), x, append(attrs, slog.String("remote_addr", r.RemoteAddr)))
}

// secure writes the security log: a warning for a refusal, except for the
// first request of a client that has no token yet.
func (s *Server) secure(ctx context.Context, x *exchange, attrs []slog.Attr) {
	level, event := slog.LevelWarn, "authentication failed"
	switch {
	case x.passed:
		level, event = slog.LevelDebug, "authentication succeeded"
	case x.refusal == nil:
		return // a preflight
	case x.refusal.anonymous:
		level = slog.LevelInfo
	case x.refusal.Code == CodeInsufficientScope:
		event = "authorization failed"
		attrs = append(attrs, slog.String("scope", x.refusal.Scope.String()))
	case x.refusal.Code != CodeInvalidToken && x.refusal.Code != CodeTemporarilyUnavailable:
		event = "request refused"
	}
	s.cfg.SecurityLog.LogAttrs(ctx, level, event, attrs...) //nolint:sloglint // one of the four above
}

// clip bounds what a client can write into the log.
func clip(s string) string { return s[:min(len(s), 128)] }
