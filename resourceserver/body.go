package resourceserver

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// Bounds of a body: how long a client may take to send it, how much is read of
// one that nobody will look at, and how much is looked at of one that came
// without a good token: enough for a challenge that names the right scopes.
const (
	bodyTimeout = 30 * time.Second
	maxDrained  = 256 << 10
	maxJudged   = 16 << 10
)

// timed is a body that has to be there in time. The deadline is taken back at
// its end, because an event stream that follows lasts longer, and only there:
// net/http reads what a handler has left before it answers, and would wait for
// it for ever.
type timed struct {
	io.ReadCloser
	*http.ResponseController
}

func (t timed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF {
		_ = t.SetReadDeadline(time.Time{}) // as in hurry
	}
	return n, err
}

// hurry returns r with a body that has to be there in time.
func (x *exchange) hurry(r *http.Request) *http.Request {
	if r.Body == nil || r.ContentLength == 0 {
		return r
	}
	body := timed{r.Body, http.NewResponseController(x.ResponseWriter)}
	// A writer without deadlines (a test's) has no connection to protect.
	_ = body.SetReadDeadline(time.Now().Add(bodyTimeout))
	r = r.WithContext(r.Context()) // a shallow copy
	r.Body = body
	return r
}

// receive copies to w what keep allows of the body, and reads up to limit.
func (x *exchange) receive(w io.Writer, r *http.Request, keep, limit int64) error {
	x.received = true
	body := http.MaxBytesReader(x.ResponseWriter, r.Body, limit)
	if _, err := io.Copy(w, io.LimitReader(body, keep)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, body)
	return err
}

// drain reads a body that was not looked at before an answer: proxies lose
// answers that overtake a request.
func (x *exchange) drain(r *http.Request) {
	if !x.received && r.Body != nil && r.ContentLength != 0 {
		_ = x.receive(io.Discard, r, 0, maxDrained) // whatever comes of it, the answer is the same
	}
}

// readBody reads the whole body and returns what keep allows of it.
func (s *Server) readBody(x *exchange, r *http.Request, keep int64) ([]byte, *Refusal) {
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	size := min(max(r.ContentLength, 0), 64<<10) // what is announced is not yet there
	buffer := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	err := x.receive(buffer, r, keep, s.cfg.MaxBodyBytes)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, bodyTooLarge()
	}
	if err != nil {
		return nil, bodyUnreadable(err)
	}
	return buffer.Bytes(), nil
}

// isJSON reports whether the Content-Type is JSON, with whatever parameters,
// or left to the handler.
func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return len(contentType) == 0
	}
	if contentType[0] == "application/json" {
		return true
	}
	name, _, err := mime.ParseMediaType(contentType[0])
	return err == nil && name == "application/json"
}
