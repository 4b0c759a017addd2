package resourceserver

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// world is an issuer and a protected handler that the test supplies.
type world struct {
	*rstest.Issuer
	server   *Server
	resource string
	client   *http.Client
	log      *buffer
	offset   atomic.Int64 // of the server's clock, in nanoseconds
	calls    atomic.Int64 // of the handler behind
	handler  http.HandlerFunc
}

// newWorld starts both; configure may change the configuration, which has
// neither introspection nor a feed.
func newWorld(t *testing.T, configure func(*world, *Config)) *world {
	t.Helper()
	front := httptest.NewUnstartedServer(nil)
	w := &world{resource: "http://" + front.Listener.Addr().String() + "/mcp", log: &buffer{}}
	w.Issuer = rstest.NewIssuer(t, w.resource)
	cfg := Config{Resource: w.resource, Issuer: w.Issuer.URL, Logger: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if configure != nil {
		configure(w, &cfg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	server, err := newServer(ctx, cfg, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.server = server
	mux := http.NewServeMux()
	mux.Handle("/.well-known/", server.Metadata())
	mux.Handle("/", server.Protect(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.calls.Add(1)
		if w.handler != nil {
			w.handler(rw, r)
		}
	})))
	front.Config.Handler = mux
	front.Start()
	t.Cleanup(front.Close)
	w.client = front.Client()
	return w
}

// credentials configures introspection and with it the feed.
func credentials(_ *world, cfg *Config) {
	cfg.Introspection = &ClientCredentials{ClientID: rstest.ClientID, ClientSecret: rstest.ClientSecret}
}

// ready waits until tokens can be verified.
func (w *world) ready(t *testing.T) *world {
	t.Helper()
	eventually(t, func() bool { return w.server.Ready(t.Context()) == nil })
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// advance moves the server's clock.
func (w *world) advance(d time.Duration) { w.offset.Add(int64(d)) }

// eventually waits until condition holds.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
	}
}

const (
	listTools = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	callTool  = `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"write_note"}}`
	readAll   = `{"jsonrpc":"2.0","id":8,"method":"resources/read","params":{"uri":"notes://all"}}`
	admin     = `{"jsonrpc":"2.0","id":9,"method":"admin/restart"}`
	ping      = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// challenge returns the one Bearer challenge as a client parses it.
func (a answer) challenge(t *testing.T) map[string]string {
	t.Helper()
	list, err := oauthex.ParseWWWAuthenticate(a.Header["Www-Authenticate"])
	if err != nil || len(list) != 1 || list[0].Scheme != "bearer" {
		t.Fatalf("challenge %q: %v", a.Header["Www-Authenticate"], err)
	}
	return list[0].Params
}

// do sends a request; edit may change it.
func (w *world) do(t *testing.T, verb, token, body string, edit func(*http.Request)) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), verb, w.resource, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if edit != nil {
		edit(r)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(read)}
}

func (w *world) post(t *testing.T, token, body string) answer {
	t.Helper()
	return w.do(t, http.MethodPost, token, body, nil)
}

// expect checks the status of a post and of the error in its challenge.
func (w *world) expect(t *testing.T, token, body string, status int, code string) answer {
	t.Helper()
	a := w.post(t, token, body)
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		if got := a.challenge(t)["error"]; got != code {
			t.Fatalf("error %q, want %q", got, code)
		}
	}
	return a
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
