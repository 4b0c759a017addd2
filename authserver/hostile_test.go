package authserver_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// troubled is a store of which single steps fail or hang when told to.
type troubled struct {
	storage.Store
	keysDown, createDown, eventsDown atomic.Bool
	failed                           atomic.Int64 // reads of keys that failed
	maintainHangs                    atomic.Bool
}

func trouble(t *troubled) func(*authserver.Config) {
	return func(c *authserver.Config) { c.Store = t }
}

func (s *troubled) Keys(ctx context.Context) ([]storage.Key, error) {
	if s.keysDown.Load() {
		s.failed.Add(1)
		return nil, storage.ErrUnavailable
	}
	return s.Store.Keys(ctx)
}

func (s *troubled) CreateKey(ctx context.Context, k storage.Key) error {
	if s.createDown.Load() {
		return storage.ErrUnavailable
	}
	return s.Store.CreateKey(ctx, k)
}

func (s *troubled) Events(ctx context.Context, after int64, limit int, now time.Time) ([]storage.Event, error) {
	if s.eventsDown.Load() {
		return nil, storage.ErrUnavailable
	}
	return s.Store.Events(ctx, after, limit, now)
}

func (s *troubled) Maintain(ctx context.Context, now time.Time, horizon time.Duration) error {
	if s.maintainHangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Maintain(ctx, now, horizon)
}

// retire withdraws every signing key there is.
func (w *world) retire() {
	w.t.Helper()
	keys, err := w.store.Keys(w.t.Context())
	for _, k := range keys {
		err = errors.Join(err, w.store.RetireKey(w.t.Context(), k.KID, time.Now()))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// pipes is a listener without a network.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }
func (p *pipes) Close() error   { p.once.Do(func() { close(p.conns) }); return nil }
func (p *pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// over sends raw over a connection of its own and returns the status of the
// answer and how long it took.
func (w *world) over(p *pipes, raw string) (status int, took time.Duration) {
	w.t.Helper()
	near, far := net.Pipe()
	p.conns <- far
	began := time.Now()
	_ = near.SetDeadline(began.Add(time.Minute))
	go func() { _, _ = io.WriteString(near, raw) }()
	answer, err := http.ReadResponse(bufio.NewReader(near), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode, time.Since(began)
}

// A body that trickles or never comes holds a connection for seconds, wanted
// by an endpoint or not; a poll whose body has come is held as long as it likes.
func TestEdge_SlowBodyDoesNotHoldAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		rs := w.client("rs", introspecting)
		listener := &pipes{conns: make(chan net.Conn)}
		server := &http.Server{Handler: w.handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }()
		defer func() { _ = server.Close() }()
		const post = "POST /oauth/token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant"
		if status, took := w.over(listener, post); status != http.StatusRequestTimeout || took > 15*time.Second {
			t.Errorf("half a form: %d after %s", status, took)
		}
		const get = "GET /health HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx"
		if status, took := w.over(listener, get); status != http.StatusOK || took > 15*time.Second {
			t.Errorf("half a body that nobody wants: %d after %s", status, took)
		}
		poll := httptest.NewRequest(http.MethodPost, "/", nil)
		poll.SetBasicAuth("rs", rs)
		held := "POST /oauth/events HTTP/1.1\r\nHost: h\r\nAuthorization: " + poll.Header.Get("Authorization") + "\r\nContent-Length: 2\r\n\r\n{}"
		if status, took := w.over(listener, held); status != http.StatusOK || took < 15*time.Second {
			t.Errorf("held poll: %d after %s", status, took)
		}
	})
}

// Broken chunks and bodies that are cut off are no failure of the server.
func TestEdge_BrokenBodyIsInvalidRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs := w.client("rs", introspecting)
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/events"} {
		r := httptest.NewRequest(http.MethodPost, issuer+path, iotest.ErrReader(io.ErrUnexpectedEOF))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("rs", rs)
		if a := w.do(r); a.Code != http.StatusBadRequest || a.str("error") != "invalid_request" {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
}

// What a request writes into the log is bounded, whatever it consists of.
func TestLog_HugeInputIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.client("keyed", keyed(keySet(t)))
	huge := strings.Repeat("A", 40_000)
	header := `{"alg":"` + huge + `"}`
	w.withAssertion(encode(header)+"."+encode(`{}`)+".AAAA", "client_id", "keyed")
	w.do(httptest.NewRequest(huge, issuer+"/oauth/token", nil))
	for line := range strings.Lines(w.logs.String()) {
		if len(line) > 2000 {
			t.Errorf("a line of %d bytes: %.200s", len(line), line)
		}
	}
	if logs := w.logs.String(); !strings.Contains(logs, "malformed assertion") && !strings.Contains(logs, "AAAA") {
		t.Error("nothing of it is in the log")
	}
}

// Clients that hang up are not errors that an operator is woken for.
func TestMetrics_ClientThatLeftIsNoError(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(c *authserver.Config) { c.Metrics = registry })
	rs := w.client("rs", introspecting)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w.poll(ctx, "rs", rs, map[string]any{})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "oauth_token_errors_total" {
			t.Errorf("counted: %v", family.GetMetric())
		}
	}
}

// An issuer's path may hold characters that are escaped in requests.
func TestMetadata_RFC8414_3_1_IssuerWithEscapedPath(t *testing.T) {
	t.Parallel()
	const tenant = "https://as.example/t%C3%A9n{a}nt"
	w := newWorld(t, func(c *authserver.Config) { c.Issuer = tenant })
	for _, at := range []string{
		tenant + "/.well-known/openid-configuration", tenant + "/health",
		"https://as.example/.well-known/oauth-authorization-server/t%C3%A9n%7Ba%7Dnt",
	} {
		if a := w.do(httptest.NewRequest(http.MethodGet, at, nil)); a.Code != http.StatusOK {
			t.Errorf("%s: %d", at, a.Code)
		}
	}
}
