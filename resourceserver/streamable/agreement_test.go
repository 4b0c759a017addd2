package streamable

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// recorder is an SDK server that notes what arrives and does nothing.
type recorder struct {
	handler http.Handler
	mu      sync.Mutex
	seen    []policy.Operation
}

func newRecorder() *recorder {
	r := &recorder{}
	server := mcp.NewServer(&mcp.Implementation{Name: "recorder", Version: "1"}, nil)
	server.AddReceivingMiddleware(func(mcp.MethodHandler) mcp.MethodHandler {
		return func(_ context.Context, method string, req mcp.Request) (mcp.Result, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen = append(r.seen, operations(method, req)...)
			return nil, errors.New("recorded")
		}
	})
	r.handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	return r
}

// send returns what the SDK made of body.
func (r *recorder) send(header http.Header, body []byte) []policy.Operation {
	r.mu.Lock()
	r.seen = nil
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	req.Header = header
	r.handler.ServeHTTP(httptest.NewRecorder(), req)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// TM-19: the header says one thing, the body another; the body counts at the
// gate, and what the gate or the server cannot read in one way only is refused.
func TestGate_TM19_WhatIsSmuggledIsRefused(t *testing.T) {
	t.Parallel()
	c, _, issuer := gated(t, newServer(t), nil)
	c.initialize()
	reader := c.as(issuer.Token(rstest.Claims{"scope": "mcp:tools mcp:read"}))
	innocent := []string{headerMethod, "tools/call", headerName, "read"}
	stats := request("tools/call", `"name":"stats"`)
	for body, want := range map[string]int{
		stats: http.StatusForbidden,
		request("tools/call", `"na\u006de":"st\u0061ts"`):                              http.StatusForbidden,
		request("tools/call", `"name":"stats","arguments":{"name":"read"}`):            http.StatusForbidden,
		"\n\t " + stats + "\r\n":                                                       http.StatusForbidden,
		request("tools/call", `"name":"stats","pad":"`+strings.Repeat("x", 1<<20)+`"`): http.StatusForbidden,
		request("tools/call", `"name":"read","name":"stats"`):                          http.StatusBadRequest,
		request("tools/call", `"name":"read","n\u0061me":"stats"`):                     http.StatusBadRequest,
		request("tools/call", `"name":"read","Name":"stats"`):                          http.StatusBadRequest,
		strings.Replace(stats, `"method"`, `"Method":"ping","method"`, 1):              http.StatusBadRequest,
		"\xef\xbb\xbf" + stats:                                                         http.StatusBadRequest,
		stats + "\x00":                                                                 http.StatusBadRequest,
		request("tools/call", `"name":"read"`) + stats:                                 http.StatusBadRequest,
		strings.Replace(stats, `"id":7`, `"id":7,"id":8`, 1):                           http.StatusBadRequest,
		strings.Replace(stats, `"id":7`, `"id":9007199254740993`, 1):                   http.StatusBadRequest,
		request("tools/call", `"name":"stats","pad":"`+strings.Repeat("x", 5<<20)+`"`): http.StatusRequestEntityTooLarge,
		request("tools/call", `"name":"read\u0000stats"`):                              http.StatusOK, // is no tool
	} {
		for _, version := range []string{"", "2025-03-26", "2025-11-25", "2026-07-28"} {
			header := innocent
			if version != "" {
				header = append([]string{headerVersion, version}, innocent...)
			}
			a := reader.send(http.MethodPost, body, header...)
			if a.status != want && (want != http.StatusOK || a.status >= 500) || strings.Contains(a.body, "stats for") {
				t.Errorf("%q, %.100q: %d %.300s, want %d", version, body, a.status, a.body, want)
			}
		}
	}
	// Whoever may call it has to say so in the headers of the modern era.
	if a := c.modern("tools/call", `"name":"stats"`, "read"); a.status != http.StatusBadRequest || a.code() != mcp.CodeHeaderMismatch {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TM-19 in a batch: each of its messages has to be allowed.
func TestGate_TM19_OneOfABatchIsEnough(t *testing.T) {
	t.Parallel()
	c, _, issuer := gated(t, newServer(t), nil)
	c.initialize()
	reader := c.as(issuer.Token(rstest.Claims{"scope": "mcp:tools mcp:read"}))
	batch := "[" + request("tools/call", `"name":"read"`) + "," + request("tools/call", `"name":"stats"`) + "]"
	for version, want := range map[string]int{"": http.StatusForbidden, "2025-03-26": http.StatusForbidden, "2025-06-18": http.StatusBadRequest, "2025-11-25": http.StatusBadRequest, "2026-07-28": http.StatusBadRequest} {
		header := []string{headerMethod, "tools/call", headerName, "read"}
		if version != "" {
			header = append(header, headerVersion, version)
		}
		if a := reader.send(http.MethodPost, batch, header...); a.status != want || strings.Contains(a.body, "stats for") {
			t.Errorf("%q: %d %s, want %d", version, a.status, a.body, want)
		}
	}
}

// FuzzAgreement proves that the SDK never does what the policy has not judged:
// each operation that reaches its server is among those that policy.Read found
// in the same body, name and URI included, whatever the headers claim.
func FuzzAgreement(f *testing.F) {
	for _, body := range []string{
		request("tools/call", `"name":"read","Name":"stats","n\u0061me ":"x"`),
		request("tools/call", `"name":"a\ud800b"`), request("tools/call", `"name":"\u0000read"`),
		request("resources/read", `"uri":"file:///public/%2e%2e/x"`), request("prompts/get", `"name":"p","arguments":{"name":"q"}`),
		request("resources/subscribe", `"uri":"a:b"`), request("resources/unsubscribe", `"uri":null`),
		request("completion/complete", `"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}`),
		request("completion/complete", `"ref":{"type":"ref/resource","uri":"a:{b}"},"argument":{"name":"a","value":""}`),
		modernBody("subscriptions/listen", `"notifications":{"resourceSubscriptions":["a:b","c:d"]}`),
		modernBody("tools/call", `"name":"read"`), "[" + request("tools/list", "") + "," + request("ping", "") + "]",
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params\u0000":{"name":"b"}}`,
	} {
		f.Add([]byte(body))
	}
	r := newRecorder()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, version := range []string{"", "2025-03-26", "2025-11-25", "2026-07-28"} {
			header := http.Header{"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}, headerVersion: {version}}
			judged, err := policy.Read(header, http.MethodPost, body)
			if err != nil {
				continue // refused at the gate
			}
			// A client that wants to get through mirrors what the body says.
			header.Set(headerMethod, judged[0].Method)
			header.Set(headerName, judged[0].Name+judged[0].URI)
			for _, op := range r.send(header, body) {
				if !judgedAs(judged, op) {
					t.Fatalf("%s: the SDK does %+v, the policy judged %+v", version, op, judged)
				}
			}
		}
	})
}

func judgedAs(judged []policy.Operation, op policy.Operation) bool {
	for _, j := range judged {
		if j.Method == op.Method && j.Name == op.Name && j.URI == op.URI {
			return true
		}
	}
	return false
}

// The recorder would be no proof if nothing ever reached it.
func TestAgreement_OperationsReachTheRecorder(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	header := http.Header{"Accept": {"*/*"}, "Content-Type": {"application/json"}}
	for body, want := range map[string]policy.Operation{
		request("tools/call", `"name":"read"`):   {Method: "tools/call", Name: "read"},
		request("prompts/get", `"name":"p"`):     {Method: "prompts/get", Name: "p"},
		request("resources/read", `"uri":"a:b"`): {Method: "resources/read", URI: "a:b"},
		request("completion/complete", `"ref":{"type":"ref/resource","uri":"a:b"},"argument":{"name":"a"}`): {Method: "completion/complete", URI: "a:b"},
		request("tools/list", ""): {Method: "tools/list"},
	} {
		if got := r.send(header.Clone(), []byte(body)); len(got) != 1 || !judgedAs(got, want) {
			t.Errorf("%s: %+v", body, got)
		}
	}
	modern := header.Clone()
	modern.Set(headerVersion, "2026-07-28")
	modern.Set(headerMethod, "subscriptions/listen")
	if got := r.send(modern, []byte(strings.Replace(modernBody("subscriptions/listen", `"notifications":{"resourceSubscriptions":["a:b"]}`), ",,", ",", 1))); len(got) != 2 {
		t.Errorf("listen: %+v", got)
	}
}
