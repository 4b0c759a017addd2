package conformance

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// through starts handler behind the proxy and returns the proxy's URL.
func through(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	back := httptest.NewServer(handler)
	t.Cleanup(back.Close)
	target, err := url.Parse(back.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(WithToken(target, func() string { return "secret" }))
	t.Cleanup(front.Close)
	return front.URL
}

func TestProxy_AddsATokenAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	front := through(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Authorization") != "Bearer secret" || r.Host != "evil.example" ||
			r.Header.Get("Origin") != "http://evil.example" || r.URL.Path != "/mcp" || string(body) != "question" {
			t.Errorf("%s %s %v %q", r.Host, r.URL, r.Header, body)
		}
		w.WriteHeader(http.StatusTeapot)
	})
	r, err := http.NewRequest(http.MethodPost, front+"/mcp", strings.NewReader("question"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	r.Header.Set("Origin", "http://evil.example")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot {
		t.Fatal(resp.Status)
	}
}

func TestProxy_PassesEventsOnAsTheyCome(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	front := through(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2 {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-read:
			case <-r.Context().Done():
				return
			}
		}
	})
	resp, err := http.Get(front)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for range 2 {
		if line, err := lines.ReadString('\n'); err != nil || line != "data: x\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		read <- struct{}{}
	}
}
