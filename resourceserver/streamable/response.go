package streamable

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
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
type response struct {
	http.ResponseWriter
	keepAlive time.Duration

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
	w.begin(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(http.StatusOK)
	if w.refused != nil {
		w.refused = append(w.refused, b...)
		return len(b), nil
	}
	w.limit(time.Now().Add(writeTimeout))
	return w.ResponseWriter.Write(b)
}

// FlushError is for [http.ResponseController].
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(http.StatusOK)
	if w.refused != nil {
		return nil
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
func (w *response) begin(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	switch kind := w.Header().Get("Content-Type"); {
	case status >= http.StatusBadRequest && strings.HasPrefix(kind, "text/plain"):
		w.refused = []byte{} // finish writes it
		return
	case strings.HasPrefix(kind, "text/event-stream"):
		w.Header().Set("X-Accel-Buffering", "no")
		if w.keepAlive > 0 {
			w.timer = time.AfterFunc(w.keepAlive, w.comment)
		}
	}
	w.ResponseWriter.WriteHeader(status)
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
		writeError(w.ResponseWriter, w.status, -32600, nil, "invalid_request: "+strings.TrimSpace(string(w.refused)))
	}
	w.limit(time.Time{}) // the next request on the connection is another's
}

// refuse answers with a JSON-RPC error to the message with that id, nil if it
// is not known.
func (w *response) refuse(status, code int, id json.RawMessage, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
	writeError(w.ResponseWriter, status, code, id, message)
}

func writeError(w http.ResponseWriter, status, code int, id json.RawMessage, message string) {
	type rpcError struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   rpcError        `json:"error"`
	}{"2.0", id, rpcError{code, message}})
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
