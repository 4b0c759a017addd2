package streamable

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A client that opens a stream and reads nothing must not hold its goroutine,
// and whoever notifies it, for as long as it likes.
func TestStreams_RS23_ClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		inner := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w := &response{ResponseWriter: rw, request: r.Context()}
			defer w.finish()
			w.Header().Set("Content-Type", "text/event-stream")
			for {
				if _, err := w.Write([]byte(strings.Repeat("x", 8<<10))); err != nil {
					ended <- err
					return
				}
			}
		})
		server, client := net.Pipe() // has no buffer at all
		front := &http.Server{Handler: inner}
		go func() { _ = front.Serve(&one{conn: server, done: make(chan struct{})}) }()
		if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(time.Hour):
			t.Error("the stream is still being written to")
		}
		_ = client.Close()
		_ = front.Close()
	})
}

// The deadline of one response must not end the next one on the connection.
func TestStreams_DeadlineEndsWithTheResponse(t *testing.T) {
	t.Parallel()
	rec := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	w := &response{ResponseWriter: rec, request: t.Context()}
	if _, err := w.Write([]byte("x")); err != nil || rec.last.IsZero() {
		t.Errorf("written without a deadline: %v", err)
	}
	w.finish()
	if !rec.last.IsZero() {
		t.Errorf("left behind: %v", rec.last)
	}
}

type deadlines struct {
	*httptest.ResponseRecorder
	last time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error { d.last = t; return nil }

// one is a listener with one connection.
type one struct {
	conn net.Conn
	done chan struct{}
}

func (l *one) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *one) Close() error   { close(l.done); return nil }
func (l *one) Addr() net.Addr { return &net.TCPAddr{} }

// Of one principal, a narrow token must not replay what a broad one was told:
// the owner of a session is the principal, not the token.
func TestEvents_RS17_ReplayNeedsTheScopesOfTheRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _ := start(t, s, nil)
	c.token = "alice,mcp:read,mcp:tools"
	c.initialize()
	a := c.send(http.MethodPost, request("tools/call", `"name":"read"`), headerVersion, "2025-11-25")
	_, id, _ := strings.Cut(a.body, "id: ")
	id, _, _ = strings.Cut(id, "\n")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for token, want := range map[string]bool{"alice,mcp:read": false, "alice,mcp:tools,mcp:read,mcp:write": true, c.token: true} {
		var resp *http.Response
		eventually(t, func() bool { // until the server has let go of the stream
			resp = c.as(token).do(ctx, http.MethodGet, "", headerVersion, "2025-11-25", headerLastEventID, id)
			return resp.StatusCode != http.StatusConflict
		})
		body := make([]byte, 4096)
		n, _ := resp.Body.Read(body) // one event, or the refusal
		if got := strings.Contains(string(body[:n]), "read for"); got != want {
			t.Errorf("%s: %s: %s", token, resp.Status, body[:n])
		}
	}
}
