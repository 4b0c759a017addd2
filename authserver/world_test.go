package authserver_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
)

const (
	issuer   = "https://as.example"
	notesURL = "https://mcp.example/notes"
	rootURL  = "https://root.example"
)

// world is a server on its own in-memory store, driven without a network.
type world struct {
	t       testing.TB
	store   storage.Store
	server  *authserver.Server
	handler http.Handler
	logs    *logBuffer
}

// logBuffer collects what the server logs.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newStore(t testing.TB, path string) storage.Store {
	t.Helper()
	cfg := sqlite.Config{Path: path}
	store, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// newWorld starts a server; change may adapt its configuration.
func newWorld(t testing.TB, change ...func(*authserver.Config)) *world {
	t.Helper()
	catalog, err := scopes.NewCatalog(append(scopes.Default(), scopes.Scope{Name: "files:read", Description: "Read files"})...)
	if err != nil {
		t.Fatal(err)
	}
	logs := &logBuffer{}
	cfg := authserver.Config{
		Issuer:   issuer,
		SealKeys: [][]byte{bytes.Repeat([]byte{7}, 32)},
		Resources: []authserver.Resource{
			{Identifier: notesURL, Scopes: []string{"mcp:admin"}},
			{Identifier: rootURL, TokenFormat: storage.FormatOpaque},
		},
		RateLimits: authserver.RateLimits{RequestsPerMinute: 1_000_000, DocumentsPerHour: 1_000_000}, // many people at one address
		Scopes:     catalog,
		Logger:     slog.New(slog.NewJSONHandler(logs, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	if cfg.Store == nil {
		cfg.Store = migratedStore(t)
	}
	server, err := authserver.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return &world{t: t, store: cfg.Store, server: server, handler: server, logs: logs}
}

// client registers a confidential client with a secret for the notes resource.
func (w *world) client(id string, change ...func(*storage.Client)) (secret string) {
	w.t.Helper()
	secret = "ghs_" + rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(secret))
	c := storage.Client{
		ID: id, Name: id, AuthMethod: "client_secret_basic", SecretHash: hash[:],
		GrantTypes: []string{"client_credentials"}, Scopes: []string{"mcp:read", "mcp:tools"},
		Resources: []string{notesURL}, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	for _, f := range change {
		f(&c)
	}
	if err := w.store.CreateClient(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// answer is a response with its decoded JSON body.
type answer struct {
	*httptest.ResponseRecorder
	json map[string]any
}

func (a answer) str(name string) string { s, _ := a.json[name].(string); return s }

// do sends a request to the server.
func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	a := answer{ResponseRecorder: recorder}
	if strings.HasPrefix(recorder.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(recorder.Body.Bytes(), &a.json); err != nil {
			w.t.Fatalf("body is not JSON: %v\n%s", err, recorder.Body)
		}
	}
	return a
}

// form is a POST of a form to an endpoint of the issuer.
func form(path string, values url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// post sends a form with Basic authentication.
func (w *world) post(path, id, secret string, pairs ...string) answer {
	w.t.Helper()
	r := form(path, values(pairs...))
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return w.do(r)
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// token gets a token by client credentials.
func (w *world) token(id, secret string, pairs ...string) string {
	w.t.Helper()
	a := w.post("/oauth/token", id, secret, append([]string{"grant_type", "client_credentials"}, pairs...)...)
	if a.Code != http.StatusOK {
		w.t.Fatalf("token: %d %s", a.Code, a.Body)
	}
	return a.str("access_token")
}

// active introspects a token.
func (w *world) active(id, secret, token string) bool {
	w.t.Helper()
	a := w.post("/oauth/introspect", id, secret, "token", token)
	if a.Code != http.StatusOK {
		w.t.Fatalf("introspect: %d %s", a.Code, a.Body)
	}
	active, _ := a.json["active"].(bool)
	return active
}

// eventually waits for a condition that another goroutine will bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func introspecting(c *storage.Client) { c.Introspect = true }

func opaque(c *storage.Client) { c.TokenFormat = storage.FormatOpaque }

func decodeSegment(t *testing.T, segment string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// migratedStore is a new store in memory; migrated one in a new file.
func migratedStore(t testing.TB) storage.Store { t.Helper(); return newStore(t, sqlite.Memory) }

func migrated(t testing.TB, path string) storage.Store {
	t.Helper()
	migrator, err := sqlite.Migrator(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(migrator.Up(t.Context(), nil), migrator.Close()); err != nil {
		t.Fatal(err)
	}
	return newStore(t, path)
}
