package conformance

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/test/conformance/fixture"
)

const (
	goodOrigin  = "https://app.example"
	staticToken = "static-token-with-thirty-two-bytes"
	exemptPath  = "/health"
)

// gated is the fixture behind every protection there is.
type gated struct {
	issuer  *rstest.Issuer
	server  *resourceserver.Server
	handler http.Handler // of every path
	log     *record
}

// record is a log that can be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// newGate returns the fixture as the resource, with every rule of the library
// switched on and none in the way of an honest client on this machine.
func newGate(t *testing.T, resource string) *gated {
	t.Helper()
	g := &gated{issuer: rstest.NewIssuer(t, resource), log: &record{}}
	log := slog.New(slog.NewJSONHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server, err := resourceserver.New(t.Context(), everyRule(resource, g.issuer.URL, log))
	if err != nil {
		t.Fatal(err)
	}
	g.server = server
	endpoint := endpointOf(t, log)
	server.OnRevoked(endpoint.CloseSessions)
	t.Cleanup(func() { endpoint.CloseSessions(nil) })
	mux := http.NewServeMux()
	mux.Handle(server.MetadataPath(), server.Metadata())
	mux.Handle("/", server.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == exemptPath {
			_, _ = io.WriteString(w, "ok\n")
			return
		}
		endpoint.ServeHTTP(w, r)
	})))
	g.handler = mux
	until(t, "the gate is ready", func() bool { return server.Ready(t.Context()) == nil })
	return g
}

// everyRule is a configuration that leaves nothing to a default that is off.
// The rates are high because one machine and one person ask everything here.
func everyRule(resource, issuer string, log *slog.Logger) resourceserver.Config {
	return resourceserver.Config{
		Resource: resource, ResourceName: "the fixture", Issuer: issuer,
		Introspection:   &resourceserver.ClientCredentials{ClientID: rstest.ClientID, ClientSecret: rstest.ClientSecret},
		TrustedProxies:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		AllowedIPs:      []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		RequireHTTPS:    true,
		LoopbackHTTP:    true,
		AllowedOrigins:  []string{goodOrigin, `/https:\/\/app-[0-9]+\.example/`, "[2001:db8::1]:8443"},
		AllowedHosts:    []string{"mcp.internal:8080"},
		CORS:            resourceserver.CORS{Headers: []string{"X-Trace"}, MaxAge: time.Minute},
		SecurityHeaders: map[string]string{"X-Robots-Tag": "none"},
		RateLimits:      resourceserver.RateLimits{PerAddress: 600_000, PerPrincipal: 300_000},
		MaxBodyBytes:    1 << 20,
		MaxHeaders:      50,
		AuthExemptPaths: []string{exemptPath},
		StaticTokens:    []resourceserver.StaticToken{{Name: "robot", Token: staticToken, Scopes: []string{scopes.MCPRead}}},
		Logger:          log,
		SecurityEvents:  resourceserver.SecurityEvents{SuccessfulAuth: true},
		Metrics:         prometheus.NewRegistry(),
	}
}

// endpointOf returns the fixture's endpoint with every bound set.
func endpointOf(t *testing.T, log *slog.Logger) *streamable.Endpoint {
	t.Helper()
	server, err := fixture.New()
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := scopes.NewCatalog(scopes.Default()...)
	if err != nil {
		t.Fatal(err)
	}
	server.AddReceivingMiddleware(streamable.FilterLists(policy.Default(), catalog))
	return streamable.Handler(server, &streamable.Options{
		SupportedVersions:  []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"},
		DeprecatedVersions: []string{"2025-03-26"},
		SessionTimeout:     10 * time.Minute,
		CleanupInterval:    time.Second,
		MaxSessions:        5,
		EvictOldest:        true,
		MaxBodyBytes:       1 << 20,
		HostChecked:        true,
		Metrics:            prometheus.NewRegistry(),
		Logger:             log,
	})
}

// until waits for what happens soon.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !happened(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time: " + what)
		}
	}
}
