package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// net/http waits for the body of a request before it answers.
func TestSeed_S24_BodyThatNeverComesHoldsNoMetrics(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(plain(probe("ok", nil)))
	defer server.Close()
	for _, body := range []string{"Content-Length: 1000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n5\r\nx"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Write([]byte("POST /metrics HTTP/1.1\r\nHost: localhost\r\n" + body)); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%q: %v", strings.SplitN(body, "\r", 2)[0], err)
			continue
		}
		answer.Body.Close()
	}
}
