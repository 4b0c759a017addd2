package streamable

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
)

// codeRefused is the JSON-RPC code of a refusal that is no protocol error.
const codeRefused = -32000

// writeTimeout is how long one event may take to leave: a client that stopped
// reading would otherwise hold its stream, and whoever notifies it, for ever.
const writeTimeout = 30 * time.Second

// response gives the SDK's responses the form that clients and proxies need: a
// refusal in plain text becomes a JSON-RPC error, an event stream is not
// buffered and is kept alive. The SDK writes from several goroutines, one
// after the other; the keep-alive is one more, hence the lock.
//
// No answer begins once the request has ended: its token may have, and then
// the gate says so.
type response struct {
	http.ResponseWriter
	request   context.Context
	keepAlive time.Duration
	body      []byte // of the request, if somebody has read it before the SDK

	mu      sync.Mutex
	status  int
	refused []byte // text of a refusal, nil if the response is something else
	timer   *time.Timer
	over    bool
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.begin(status) // Write says it again
}

func (w *response) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	if w.refused != nil {
		w.refused = append(w.refused, b...)
		return len(b), nil
	}
	w.limit(time.Now().Add(writeTimeout))
	if _, err := w.ResponseWriter.Write(conceal(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// FlushError is for [http.ResponseController].
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin(http.StatusOK); err != nil || w.refused != nil {
		return err
	}
	w.limit(time.Now().Add(writeTimeout))
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// limit sets the deadline of the next writes, zero for none. A writer without
// deadlines (a test's) has no connection to protect.
func (w *response) limit(deadline time.Time) {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(deadline)
}

// begin sends the header once. The caller holds w.mu.
func (w *response) begin(status int) error {
	if w.status != 0 {
		return nil
	}
	if err := w.request.Err(); err != nil {
		return err
	}
	w.status = status
	switch kind := w.Header().Get("Content-Type"); {
	case status >= http.StatusBadRequest && strings.HasPrefix(kind, "text/plain"):
		w.refused = []byte{} // finish writes it
		return nil
	case strings.HasPrefix(kind, "text/event-stream"):
		w.Header().Set("X-Accel-Buffering", "no")
		if w.keepAlive > 0 {
			w.timer = time.AfterFunc(w.keepAlive, w.comment)
		}
	}
	w.ResponseWriter.WriteHeader(status)
	return nil
}

// comment writes a line that every reader of the stream ignores.
func (w *response) comment() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.limit(time.Now().Add(writeTimeout))
	// A client that is gone is noticed by whoever writes the next event.
	_, _ = w.ResponseWriter.Write([]byte(": keep-alive\n\n"))
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	w.timer.Reset(w.keepAlive)
}

// finish completes the response; nothing is written after it.
func (w *response) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.refused != nil {
		w.explain(strings.TrimSpace(string(w.refused)))
	}
	w.limit(time.Time{}) // the next request on the connection is another's
}

// explain writes what the SDK says in plain text as the error it means, to the
// message that it is about.
func (w *response) explain(text string) {
	refusal := rpcError{Code: policy.CodeInvalidRequest, Message: "invalid_request: " + text}
	if strings.HasPrefix(text, "JSON RPC not handled") {
		refusal = rpcError{Code: jsonrpc.CodeMethodNotFound, Message: "the method is not known here"}
	}
	var id json.RawMessage
	if ops, err := policy.Read(nil, http.MethodPost, w.body); err == nil && len(ops) == 1 {
		id = ops[0].ID
	}
	writeError(w.ResponseWriter, w.status, id, refusal)
}

// refuse answers with a JSON-RPC error to the message with that id, nil if it
// is not known.
func (w *response) refuse(status, code int, id json.RawMessage, message string) {
	w.refuseWith(status, id, rpcError{Code: code, Message: message})
}

func (w *response) refuseWith(status int, id json.RawMessage, err rpcError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
	writeError(w.ResponseWriter, status, id, err)
}

// rpcError is the error member of a response (JSON-RPC 2.0 §5.1).
type rpcError struct {
	Code    int                                 `json:"code"`
	Message string                              `json:"message"`
	Data    *mcp.UnsupportedProtocolVersionData `json:"data,omitempty"`
}

func writeError(w http.ResponseWriter, status int, id json.RawMessage, rpc rpcError) {
	body, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   rpcError        `json:"error"`
	}{"2.0", id, rpc})
	if err != nil {
		status, body = http.StatusInternalServerError, nil // an id is valid JSON: policy.Read saw to it
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
