package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
)

const (
	audiencePeople   = 5
	audienceSessions = 500
	audienceTimeout  = 2 * time.Second  // of an idle session
	audienceWait     = 20 * time.Second // bounds every wait

	// What may be left when all are gone: goroutines of idle connections and of
	// the feed's poll, and what the runtime keeps of a heap that was larger.
	sparedGoroutines = 20
	sparedHeap       = 4 << 20
)

// audience is many sessions of a few principals, each with an open stream, over
// real connections.
type audience struct {
	t        *testing.T
	issuer   *rstest.Issuer
	server   *mcp.Server
	endpoint *streamable.Endpoint
	registry *prometheus.Registry
	client   *http.Client
	streams  sync.WaitGroup
	people   [audiencePeople]listener
}

// listener counts what happens to the streams of one principal.
type listener struct {
	token                string
	open, told, finished atomic.Int64
}

// Revoking a principal ends its streams, all of them and no other ones, and
// sessions that nobody uses leave nothing behind.
func TestSeed_S20_S29_SessionsOfAnAudience(t *testing.T) { //nolint:paralleltest // counts the goroutines of the process
	c := newAudience(t)
	c.open(1) // what is made once is there
	c.leave()
	goroutines, heap := c.usage()

	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	c.fill(ctx)
	busyGoroutines, busyHeap := c.usage()
	t.Logf("%d sessions: %d goroutines, %d KiB more", audienceSessions, busyGoroutines-goroutines, (int64(busyHeap)-int64(heap))>>10)

	revoked, each := &c.people[0], int64(audienceSessions/audiencePeople)
	began := time.Now()
	c.issuer.RevokeBefore("sub", "user0", began)
	c.until("the streams of the revoked principal end", func() bool { return revoked.finished.Load() == each })
	t.Logf("%d streams ended %v after the revocation", each, time.Since(began).Round(time.Millisecond))
	c.until("its sessions end", func() bool { return c.active() == audienceSessions-int(each) })

	c.server.RemoveTools("news") // every session is told
	for i := range c.people[1:] {
		other := &c.people[i+1]
		c.until("the others are told", func() bool { return other.told.Load() == each })
		if n := other.finished.Load(); n != 0 {
			t.Errorf("%d streams of user%d ended", n, i+1)
		}
	}
	if n := revoked.told.Load(); n != 0 {
		t.Errorf("%d streams of the revoked principal go on", n)
	}

	hangUp()
	c.leave()
	c.until("memory and goroutines return to the start", func() bool {
		nowGoroutines, nowHeap := c.usage()
		return nowGoroutines <= goroutines+sparedGoroutines && nowHeap <= heap+sparedHeap
	})
}

func newAudience(t *testing.T) *audience {
	t.Helper()
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &audience{t: t, registry: prometheus.NewRegistry(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	c.issuer = rstest.NewIssuer(t, "http://"+socket.Addr().String()+"/mcp")
	gate, err := resourceserver.New(t.Context(), resourceserver.Config{
		Resource: c.issuer.Resource, Issuer: c.issuer.URL, RateLimits: resourceserver.RateLimits{PerAddress: -1, PerPrincipal: -1},
		Introspection: &resourceserver.ClientCredentials{ClientID: rstest.ClientID, ClientSecret: rstest.ClientSecret},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.server = mcp.NewServer(&mcp.Implementation{Name: "audience", Version: "1"}, streamable.ServerOptions(mcp.ServerOptions{}))
	c.server.AddTool(&mcp.Tool{Name: "news", InputSchema: map[string]any{"type": "object"}}, nil)
	c.endpoint = streamable.Handler(c.server, &streamable.Options{
		HostChecked: true, SessionTimeout: audienceTimeout, CleanupInterval: audienceTimeout / 10,
		MaxSessions: audienceSessions / audiencePeople, Metrics: c.registry,
	})
	gate.OnRevoked(c.endpoint.CloseSessions)
	front := &http.Server{Handler: gate.Protect(c.endpoint), ReadHeaderTimeout: audienceWait}
	go func() { _ = front.Serve(socket) }() // ends with Close
	t.Cleanup(func() { _ = front.Close() })
	for i := range c.people {
		c.people[i].token = c.issuer.Token(rstest.Claims{"sub": fmt.Sprint("user", i)})
	}
	c.until("the gate is ready", func() bool { return gate.Ready(t.Context()) == nil })
	return c
}

// fill opens all sessions with their streams.
func (c *audience) fill(ctx context.Context) {
	c.t.Helper()
	var starting sync.WaitGroup
	for i := range c.people {
		for worker := range 4 {
			starting.Go(func() {
				for n := worker; n < audienceSessions/audiencePeople; n += 4 {
					c.listen(ctx, &c.people[i], c.open(i))
				}
			})
		}
	}
	starting.Wait()
	for i := range c.people {
		if n := c.people[i].open.Load(); n != audienceSessions/audiencePeople {
			c.t.Fatalf("user%d has %d streams", i, n)
		}
	}
	if n := c.active(); n != audienceSessions {
		c.t.Fatalf("%d sessions", n)
	}
}

// open opens a session and returns its id.
func (c *audience) open(i int) string {
	const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	const initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	session := ""
	for _, body := range []string{initialize, initialized} {
		resp, err := c.send(c.t.Context(), http.MethodPost, c.people[i].token, session, body)
		if err != nil {
			c.t.Errorf("user%d: %v", i, err)
			return ""
		}
		session = resp.Header.Get("Mcp-Session-Id") + session // only the first answer has it
		_, _ = io.Copy(io.Discard, resp.Body)                 // until the end
		_ = resp.Body.Close()
	}
	return session
}

// listen opens a session's stream and counts what comes, until its end.
func (c *audience) listen(ctx context.Context, p *listener, session string) {
	resp, err := c.send(ctx, http.MethodGet, p.token, session, "")
	if err != nil {
		c.t.Error(err)
		return
	}
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() { // the first comment: it is open
		c.t.Errorf("the stream ends at once: %v", lines.Err())
		return
	}
	p.open.Add(1)
	c.streams.Go(func() {
		defer func() { _ = resp.Body.Close() }()
		for lines.Scan() {
			if strings.Contains(lines.Text(), "notifications/tools/list_changed") {
				p.told.Add(1)
			}
		}
		p.finished.Add(1)
	})
}

func (c *audience) send(ctx context.Context, method, token, session, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.issuer.Resource, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Content-Type", "application/json")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	resp, err := c.client.Do(r)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		return nil, errors.Join(errors.New(resp.Status), resp.Body.Close())
	}
	return resp, err
}

// leave waits until all sessions have timed out.
func (c *audience) leave() {
	c.t.Helper()
	c.streams.Wait()
	c.until("idle sessions end", func() bool { return c.active() == 0 })
	c.until("the server lets go of them", func() bool {
		for range c.server.Sessions() {
			return false
		}
		return true
	})
	c.client.CloseIdleConnections()
}

// active is the metric that an operator sees.
func (c *audience) active() int {
	families, err := c.registry.Gather()
	if err != nil || len(families) != 1 {
		c.t.Fatalf("%v, %v", families, err)
	}
	return int(families[0].GetMetric()[0].GetGauge().GetValue())
}

func (c *audience) usage() (goroutines int, heap uint64) {
	c.client.CloseIdleConnections()
	runtime.GC()
	runtime.GC() // what pools let go of at the first
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return runtime.NumGoroutine(), memory.HeapAlloc
}

// until polls until ok holds.
func (c *audience) until(what string, ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(audienceWait); !ok(); <-tick.C {
		if time.Now().After(end) {
			goroutines, heap := c.usage()
			c.t.Fatalf("%s: not in time; %d sessions, %d goroutines, %d KiB", what, c.active(), goroutines, heap>>10)
		}
	}
}
