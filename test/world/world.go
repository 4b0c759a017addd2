// Package world runs both servers on loopback for tests: a real authorization
// server over a real store, and the notebook behind the real gate, which meet
// over HTTP only. Clients of a test are independent ones.
package world

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/notes"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

// World is a running pair.
type World struct {
	Issuer   string
	Resource string // the MCP endpoint and its identifier
	Store    storage.Store
	Gate     *resourceserver.Server

	// IntrospectID and IntrospectSecret are the resource server's own client.
	IntrospectID, IntrospectSecret string

	// HTTP is a client for tests, without a proxy and with many connections.
	// Browsers made later use its Transport.
	HTTP *http.Client

	t         testing.TB
	documents *documents
	replica   func(net.Listener)
}

// Config says what is special about a pair.
type Config struct {
	Store storage.Store
	// Resources are others that the authorization server knows.
	Resources []string
	// IssuerPath is the path of the issuer; empty or with a leading slash.
	IssuerPath string
	// Adapt changes the configuration of the authorization server; may be nil.
	// Without it clients may register themselves and people sign in by
	// password.
	Adapt func(*authserver.Config)
	// Logs receives all that both servers log, one JSON object per line; nil
	// keeps errors with the test's output.
	Logs io.Writer
}

// Replica starts another authorization server of the same issuer on the same
// store and returns the address at which only it answers.
func (w *World) Replica() (address string) {
	w.t.Helper()
	listener := listen(w.t)
	w.replica(listener)
	return "http://" + listener.Addr().String()
}

// Postgres opens a database of its own; tracer may be nil.
func Postgres(t testing.TB, tracer pgx.QueryTracer) storage.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.Database(t), Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// SQLite opens a new database file.
func SQLite(t testing.TB) storage.Store {
	t.Helper()
	cfg := sqlite.Config{Path: filepath.Join(t.TempDir(), "gatehouse.db")}
	migrator, err := sqlite.Migrator(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(migrator.Up(t.Context(), nil), migrator.Close()); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// Start runs a pair over store until the test ends, and returns when both are
// ready. The authorization server knows the other resources too.
func Start(t testing.TB, store storage.Store, others ...string) *World {
	t.Helper()
	return Config{Store: store, Resources: others}.Start(t)
}

// Start is [Start] with all there is to choose.
func (cfg Config) Start(t testing.TB) *World {
	t.Helper()
	// The servers outlive the test's own context by the clean-up below, so
	// that what it checks at its end still has answers.
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &World{Store: cfg.Store, HTTP: newHTTPClient(), t: t, documents: newDocuments(t)}
	authListener, gateListener := listen(t), listen(t)
	w.Issuer = "http://" + authListener.Addr().String() + cfg.IssuerPath
	w.Resource = "http://" + gateListener.Addr().String() + "/mcp"
	catalog, err := scopes.NewCatalog(notes.Scopes()...)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() }) // also when what follows fails

	logger := cfg.logger(t)
	settings := w.settings(cfg, catalog, logger)
	w.replica = func(listener net.Listener) {
		server, err := authserver.New(ctx, settings)
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = server.Run(ctx) })
		serve(t, listener, server)
	}
	w.replica(authListener)
	w.IntrospectID = "resource-server"
	w.IntrospectSecret = w.Client(w.IntrospectID, func(c *storage.Client) { c.Introspect = true })
	serve(t, gateListener, w.gate(ctx, catalog, logger))
	t.Cleanup(stop) // before the listeners close, so that nobody misses anybody
	w.Eventually("the resource server is ready", func() bool { return w.Gate.Ready(ctx) == nil })
	return w
}

// settings are those of each authorization server.
func (w *World) settings(cfg Config, catalog *scopes.Catalog, logger *slog.Logger) authserver.Config {
	settings := authserver.Config{
		Issuer: w.Issuer, Store: w.Store, SealKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}, Scopes: catalog,
		Resources: []authserver.Resource{{Identifier: w.Resource}}, Logger: logger,
		Registration: authserver.Registration{
			Dynamic:   authserver.DynamicRegistration{Enabled: true},
			Documents: authserver.ClientDocuments{Enabled: true, AllowLoopback: true, RootCAs: w.documents.authorities},
		},
		RateLimits: authserver.RateLimits{RequestsPerMinute: 1_000_000, DocumentsPerHour: 1_000_000}, // many people at one address
	}
	for _, other := range cfg.Resources {
		settings.Resources = append(settings.Resources, authserver.Resource{Identifier: other})
	}
	if cfg.Adapt != nil {
		cfg.Adapt(&settings)
		w.Issuer = settings.Issuer // may be another name of this machine
	}
	return settings
}

// gate is the resource server.
func (w *World) gate(ctx context.Context, catalog *scopes.Catalog, logger *slog.Logger) http.Handler {
	rules, err := policy.New(notes.Policy())
	if err != nil {
		w.t.Fatal(err)
	}
	// Clients of the first generation never step up, and list tools at once.
	w.Gate, err = resourceserver.New(ctx, resourceserver.Config{
		Resource: w.Resource, Issuer: w.Issuer, Scopes: catalog, Policy: rules,
		RequiredScopes: []string{}, ChallengeScopes: []string{scopes.MCPRead, scopes.MCPTools},
		Introspection: &resourceserver.ClientCredentials{ClientID: w.IntrospectID, ClientSecret: w.IntrospectSecret},
		Logger:        logger, RateLimits: resourceserver.RateLimits{PerAddress: -1, PerPrincipal: -1}, // all clients share one address
	})
	if err != nil {
		w.t.Fatal(err)
	}
	notebook, err := notes.New(notes.Config{File: filepath.Join(w.t.TempDir(), "notes.json"), Policy: rules, Catalog: catalog})
	if err != nil {
		w.t.Fatal(err)
	}
	endpoint := streamable.Handler(notebook, &streamable.Options{HostChecked: true, MaxSessions: 1000})
	w.Gate.OnRevoked(endpoint.CloseSessions)
	context.AfterFunc(ctx, func() { endpoint.CloseSessions(nil) })
	mux := http.NewServeMux()
	mux.Handle("/mcp", w.Gate.Protect(endpoint))
	mux.Handle("/.well-known/oauth-protected-resource", w.Gate.Metadata())
	mux.Handle("/.well-known/oauth-protected-resource/mcp", w.Gate.Metadata())
	return mux
}

// Post sends a form with HTTP Basic and returns status and body.
func (w *World) Post(ctx context.Context, path, id, secret string, form url.Values) (int, []byte, error) {
	return w.PostTo(ctx, w.Issuer+path, id, secret, form)
}

// PostTo is [World.Post] to any address. Without a secret the client is a public
// one and named in the form.
func (w *World) PostTo(ctx context.Context, address, id, secret string, form url.Values) (int, []byte, error) {
	if secret == "" {
		form = maps.Clone(form)
		form.Set("client_id", id)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return w.send(r)
}

// Call sends a JSON-RPC message of the stateless era to the MCP endpoint.
func (w *World) Call(ctx context.Context, token, method, name, params string) (int, []byte, error) {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	if params != "" {
		params += ","
	}
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + meta + `}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Resource, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Authorization": "Bearer " + token, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": method,
	} {
		r.Header.Set(name, value)
	}
	if name != "" {
		r.Header.Set("Mcp-Name", name)
	}
	return w.send(r)
}

func (w *World) send(r *http.Request) (int, []byte, error) {
	response, err := w.HTTP.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// Eventually waits for what another goroutine or server will bring about.
func (w *World) Eventually(what string, condition func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if <-tick.C; time.Now().After(deadline) {
			w.t.Fatalf("never happened: %s", what)
		}
	}
}

func newHTTPClient() *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serve(t testing.TB, l net.Listener, handler http.Handler) {
	t.Helper()
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}}
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
}

// logger writes all to Logs, or errors to the test's output.
func (cfg Config) logger(t testing.TB) *slog.Logger {
	t.Helper()
	if cfg.Logs != nil {
		return slog.New(slog.NewJSONHandler(cfg.Logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
}
