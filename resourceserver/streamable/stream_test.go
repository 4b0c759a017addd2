package streamable

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestStreams_TR07_HeadersAndKeepAlive(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), &Options{KeepAlive: time.Millisecond})
	a := c.modern("tools/call", `"name":"read"`, "read")
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") || a.header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("POST: %v", a.header)
	}
	c.initialize()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	resp := c.do(ctx, http.MethodGet, "")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("TL-05: GET: %s %v", resp.Status, resp.Header)
	}
	stream := bufio.NewReader(resp.Body)
	for range 3 {
		for {
			line, err := stream.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == ": keep-alive\n" {
				break
			}
		}
	}
	if a := c.send(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/x"}`); a.header.Get("X-Accel-Buffering") != "" {
		t.Errorf("not a stream: %v", a.header)
	}
}

// TL-08, TL-09, TL-07: the client goes away in the middle of a call, the tool
// runs on, and the answer is there for whoever owns the session.
func TestStreams_TL09_ResumeAfterDisconnect(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _ := start(t, s, nil)
	c.initialize()
	ctx, hangUp := context.WithCancel(t.Context())
	resp := c.do(ctx, http.MethodPost, request("tools/call", `"name":"slow"`), headerVersion, "2025-11-25")
	stream := bufio.NewReader(resp.Body)
	prime, err := stream.ReadString('\n')
	if err != nil || prime != "event: prime\n" {
		t.Fatalf("TL-08: the stream begins with %q, %v", prime, err)
	}
	id, err := stream.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	id = strings.TrimSpace(strings.TrimPrefix(id, "id: "))
	await(t, s.started)
	hangUp()
	close(s.release)
	if err := await(t, s.done); err != nil {
		t.Errorf("a disconnect is not a cancellation in this era: %v", err)
	}
	resume, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for token, want := range map[string]int{"mallory,mcp:admin": http.StatusNotFound, c.token: http.StatusOK} {
		var resp *http.Response
		eventually(t, func() bool { // until the server has noticed that the first stream is gone
			resp = c.as(token).do(resume, http.MethodGet, "", headerVersion, "2025-11-25", headerLastEventID, id)
			return resp.StatusCode != http.StatusConflict
		})
		if resp.StatusCode != want {
			t.Errorf("%s: %s", token, resp.Status)
		}
		if want == http.StatusOK {
			if _, data := nextData(t, bufio.NewReader(resp.Body)); !strings.Contains(data, "slow result") {
				t.Errorf("resumed with %s", data)
			}
		}
	}
}
