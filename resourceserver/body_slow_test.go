package resourceserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// clocked is an answer on a connection whose read deadline is known, now and
// when the answer began.
type clocked struct {
	*httptest.ResponseRecorder
	deadline, began time.Time
}

func (c *clocked) SetReadDeadline(deadline time.Time) error {
	c.deadline = deadline
	return nil
}

func (c *clocked) WriteHeader(status int) {
	c.began = c.deadline
	c.ResponseRecorder.WriteHeader(status)
}

// stalled is a body that stops in the middle until its deadline.
func stalled() io.Reader {
	return io.MultiReader(strings.NewReader("{"), failing{})
}

// net/http reads what a handler leaves of a body before it answers, and waits
// for it as long as the deadline lets it: without one for ever.
func TestSeed_S24_BodyThatNeverComesHoldsNoConnection(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.AuthExemptPaths = []string{"/health"} })
	lazy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	preflight := func(r *http.Request) {
		r.Method = http.MethodOptions
		r.Header.Set("Origin", "https://mcp.example")
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
	}
	for name, c := range map[string]struct {
		door   http.Handler
		target string
		edit   func(*http.Request)
	}{
		"address":   {g.Protect(lazy), publicMCP, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }},
		"origin":    {g.Protect(lazy), publicMCP, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
		"no token":  {g.Protect(lazy), publicMCP, func(r *http.Request) { r.Header.Del("Authorization") }},
		"token":     {g.Protect(lazy), publicMCP, func(*http.Request) {}},
		"preflight": {g.Protect(lazy), publicMCP, preflight},
		"exempt":    {g.Protect(lazy), "/health", func(*http.Request) {}},
		"edge":      {g.Edge(lazy), "/nothing", func(*http.Request) {}},
		"metadata":  {g.Metadata(), wellKnownResource, func(*http.Request) {}},
	} {
		r := httptest.NewRequest(http.MethodPost, publicMCP, stalled())
		r.RemoteAddr, r.ContentLength = "127.0.0.1:1", 1000
		r.Header.Set("Authorization", "Bearer "+robotToken)
		if c.target != publicMCP {
			r.URL.Path = c.target
		}
		c.edit(r)
		w := &clocked{ResponseRecorder: httptest.NewRecorder()}
		c.door.ServeHTTP(w, r)
		if limit := time.Now().Add(bodyTimeout); w.began.IsZero() || w.began.After(limit) || w.deadline.IsZero() {
			t.Errorf("%s: %d, the deadline was %v when the answer began and %v at its end", name, w.Code, w.began, w.deadline)
		}
	}
}

// A stream that follows a whole body lasts longer than the body may take.
func TestSeed_S24_BodyThatIsThereHasNoDeadlineLeft(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.AuthExemptPaths = []string{"/hook"} })
	reader := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != ping {
			t.Errorf("%q, %v", body, err)
		}
		w.WriteHeader(http.StatusOK)
	})
	for _, path := range []string{"/mcp", "/hook"} {
		r := httptest.NewRequest(http.MethodPost, publicMCP, strings.NewReader(ping))
		r.RemoteAddr, r.URL.Path = "127.0.0.1:1", path
		r.Header.Set("Authorization", "Bearer "+robotToken)
		w := &clocked{ResponseRecorder: httptest.NewRecorder(), deadline: time.Now()}
		g.Protect(reader).ServeHTTP(w, r)
		if w.Code != http.StatusOK || !w.began.IsZero() || !w.deadline.IsZero() {
			t.Errorf("%s: %d, deadline %v and %v", path, w.Code, w.began, w.deadline)
		}
	}
}

// Whoever has no token makes the server read and understand only so much.
func TestSeed_S24_BodyOfStrangersIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	large := `{"jsonrpc":"2.0","id":9,"method":"admin/restart","params":{"x":"` + strings.Repeat("x", maxJudged) + `"}}`
	for _, token := range []string{"", "nonsense"} {
		a := w.post(t, token, large)
		if c := a.challenge(t); a.StatusCode != http.StatusUnauthorized || c["scope"] != "mcp:read" || !strings.Contains(a.body, `"id":null`) {
			t.Errorf("%q: %d, %v, %s", token, a.StatusCode, c, a.body)
		}
		small := large[:len(large)-maxJudged] + `"}}`
		a = w.post(t, token, small)
		if c := a.challenge(t); !strings.Contains(c["scope"], "mcp:admin") || !strings.Contains(a.body, `"id":9`) {
			t.Errorf("%q: %d, %v, %s", token, a.StatusCode, c, a.body)
		}
	}
	if a := w.post(t, w.Token(), large); a.StatusCode != http.StatusForbidden && a.StatusCode != http.StatusOK {
		t.Errorf("with a token: %d", a.StatusCode)
	}
}
