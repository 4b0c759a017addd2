package resourceserver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

func TestSeed_S24_HeaderCount(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil) // 100 fields
	for n, want := range map[int]string{99: "", 100: CodeTooManyHeaders, 5000: CodeTooManyHeaders} {
		for name, edit := range map[string]func(http.Header){
			"one name": func(h http.Header) { h["X-Many"] = make([]string, n) },
			"many names": func(h http.Header) {
				for i := range n {
					h["X-"+strings.Repeat("a", i)] = []string{""}
				}
			},
		} {
			got := g.knock(t, "127.0.0.1:1", func(r *http.Request) { edit(r.Header) }) // and Authorization
			if got != want {
				t.Errorf("%d of %s: %q, want %q", n, name, got, want)
			}
		}
	}
	a := ask(g.protect, http.MethodGet, publicMCP, "127.0.0.1:1", func(r *http.Request) { r.Header["X-Many"] = make([]string, 100) })
	if a.Code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", a.Code)
	}
	refusedConfig(t, func(c *Config) { c.MaxHeaders = -1 })
}

func TestSeed_S24_ContentType(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	post := func(verb, token string, types ...string) answer {
		return w.do(t, verb, token, listTools, func(r *http.Request) { r.Header["Content-Type"] = types })
	}
	for _, good := range [][]string{nil, {"application/json"}, {"application/json; charset=utf-8"}, {"Application/JSON;charset=\"utf-8\""}} {
		if a := post(http.MethodPost, w.Token(), good...); a.StatusCode != http.StatusOK {
			t.Errorf("%q: %d", good, a.StatusCode)
		}
	}
	for _, bad := range [][]string{
		{""}, {"text/plain"}, {"application/x-www-form-urlencoded"}, {"multipart/form-data; boundary=x"}, {"application/jsonp"}, {"application/json-rpc"}, {"text/json"},
		{"application/json, text/plain"}, {"application/json", "application/json"}, {"text/plain; application/json"}, {"application/json; ="},
	} {
		a := post(http.MethodPost, w.Token(), bad...)
		if a.StatusCode != http.StatusUnsupportedMediaType || !strings.Contains(a.body, `"id":7`) || !strings.Contains(a.body, `"message":"unsupported_media_type: `) {
			t.Errorf("%q: %d %s", bad, a.StatusCode, a.body)
		}
		if a = post(http.MethodPost, "", bad...); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q without a token: %d", bad, a.StatusCode)
		}
		if a = post(http.MethodDelete, w.Token(), bad...); a.StatusCode != http.StatusOK {
			t.Errorf("%q of a DELETE: %d", bad, a.StatusCode)
		}
	}
}

func TestSeed_S24_BodyThatHidesSomething(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	token := w.Token(rstest.Claims{"scope": "mcp:read"})
	for name, body := range map[string]string{
		"duplicate key":      `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`,
		"nested duplicate":   `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":{"b":1,"b":2}}}`,
		"depth":              `{"jsonrpc":"2.0","id":1,"method":"ping","params":` + strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200) + "}",
		"depth of arrays":    `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}}",
		"not closed":         strings.Repeat("[", 100_000),
		"two messages":       ping + ping,
		"not UTF-8":          `{"jsonrpc":"2.0","id":1,"method":"p` + "\xff" + `ing"}`,
		"id of another kind": `{"jsonrpc":"2.0","id":{},"method":"ping"}`,
		"batch too large":    "[" + strings.Repeat(ping+",", 100) + ping + "]",
		"only a number":      "1",
	} {
		a := w.post(t, token, body)
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, `"jsonrpc":"2.0"`) || !strings.Contains(a.body, `"message":"invalid_request: `) {
			t.Errorf("%s: %d %.200s", name, a.StatusCode, a.body)
		}
	}
	if n := w.calls.Load(); n != 0 {
		t.Errorf("the handler saw %d of them", n)
	}
}

func TestSeed_S24_BodyTooLargeIs413(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.MaxBodyBytes = 100 }).ready(t)
	if a := w.post(t, w.Token(), listTools+strings.Repeat(" ", 100-len(listTools))); a.StatusCode != http.StatusOK {
		t.Errorf("100 bytes: %d", a.StatusCode)
	}
	a := w.do(t, http.MethodPost, "", strings.Repeat(" ", 101), nil)
	if a.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, `"request_too_large: `) {
		t.Errorf("101 bytes: %d %s", a.StatusCode, a.body)
	}
}

// eager is a response that tells whether the body was read when it began.
type eager struct {
	*httptest.ResponseRecorder
	body  *strings.Reader
	early bool
}

func (e *eager) WriteHeader(status int) {
	e.early = e.early || e.body.Len() > 0
	e.ResponseRecorder.WriteHeader(status)
}

func TestSeed_S24_BodyIsReadBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, c := range []struct{ remote, host string }{
		{"127.0.0.1:1", "evil.example"}, {"127.0.0.1:1", w.server.resource.Host}, {"192.0.2.1:1", w.server.resource.Host},
	} {
		answer := &eager{ResponseRecorder: httptest.NewRecorder(), body: strings.NewReader(listTools)}
		r := httptest.NewRequest(http.MethodPost, w.resource, answer.body)
		r.RemoteAddr, r.Host = c.remote, c.host
		w.server.Protect(http.NotFoundHandler()).ServeHTTP(answer, r)
		if answer.early || answer.Code/100 != 4 {
			t.Errorf("%v: answered %d, early: %v", c, answer.Code, answer.early)
		}
	}
}

func TestSeed_S24_BodyMalformedIsAnsweredAfterAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	w.expect(t, "", "{", http.StatusUnauthorized, "")
	a := w.expect(t, w.Token(), "{", http.StatusBadRequest, "")
	if !strings.Contains(a.body, `"code":-32700`) || !strings.Contains(a.body, `"message":"invalid_request: `) || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%v %s", a.Header, a.body)
	}
	a = w.expect(t, w.Token(), `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":1}}`, http.StatusBadRequest, "")
	if !strings.Contains(a.body, `"id":5`) {
		t.Errorf("body %s", a.body)
	}
}

// flood is a body that counts how much of it was read.
type flood struct{ read int64 }

func (e *flood) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}

func (e *flood) Close() error { return nil }

func TestSeed_S24_BodyOfARefusedRequestIsBounded(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *Config) { c.MaxBodyBytes = 1 << 20 })
	for want, c := range map[string]struct {
		remote string
		limit  int64
	}{
		CodeIPNotAllowed: {"192.0.2.1:1", maxDrained}, CodeRequestTooLarge: {"127.0.0.1:1", 1 << 20},
	} {
		body := &flood{}
		a := ask(g.protect, http.MethodPost, publicMCP, c.remote, func(r *http.Request) { r.Body, r.ContentLength = body, -1 })
		if got := code(t, a); got != want || body.read > 2*c.limit {
			t.Errorf("%q, want %q, after %d bytes", got, want, body.read)
		}
	}
}
