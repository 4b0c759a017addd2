package resourceserver

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
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

	client   netip.Addr // not valid if nobody knows
	open     bool       // needs no token
	received bool       // the body was read as far as it ever is
	ops      []policy.Operation
	token    *verified
	passed   bool
	refusal  *Refusal
}

func begin(w http.ResponseWriter, headers *securityHeaders) *exchange {
	x := &exchange{ResponseWriter: w, id: requestID(), began: time.Now()}
	h := w.Header()
	headers.set(h)
	h["X-Request-Id"] = []string{x.id}
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
// the session; "other" if there are several, or if it is not the resource.
func (x *exchange) family() string {
	if x.open {
		return policy.FamilyOther
	}
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

// count leaves out what needs no token and was answered: probes and scrapes are
// no requests to the resource.
func (s *Server) count(x *exchange) {
	if x.open && x.refusal == nil {
		return
	}
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
