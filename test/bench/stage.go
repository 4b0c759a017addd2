package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
)

// The clients that take part.
const (
	jwtClient    = "jwt"
	opaqueClient = "opaque"
	ownClient    = "resource-server" // of the gate
)

// stage is everything that runs while figures are taken: two replicas of the
// authorization server on one Postgres, the gate, which is connected to the
// first one, and the limits.
type stage struct {
	db    *database
	pool  *pgxpool.Pool // of the limits
	store *postgres.Store

	issuer   string // of both replicas; the first one answers there
	replica  string
	resource string // the MCP endpoint behind the gate, and its identifier
	bare     string // the same endpoint without a gate

	first   *authserver.Server
	gate    *resourceserver.Server
	secrets map[string]string

	http    *http.Client // for what is not measured
	servers []*http.Server
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newStage starts all; the caller closes it.
func newStage(ctx context.Context) (*stage, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &stage{cancel: cancel, secrets: map[string]string{}, http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: 30 * time.Second,
	}}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (s *stage) start(ctx context.Context) (err error) {
	if s.db, err = openDatabase(ctx); err != nil {
		return err
	}
	if s.pool, err = s.db.pool(ctx); err != nil {
		return err
	}
	if s.store, err = postgres.Open(ctx, postgres.Config{URL: s.db.url}); err != nil {
		return err
	}
	var at [4]net.Listener
	for i := range at {
		if at[i], err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	s.issuer, s.replica = "http://"+at[0].Addr().String(), "http://"+at[1].Addr().String()
	s.resource, s.bare = "http://"+at[2].Addr().String()+"/mcp", "http://"+at[3].Addr().String()+"/mcp"
	for id, opaque := range map[string]bool{jwtClient: false, opaqueClient: true, ownClient: false} {
		if err := s.register(ctx, id, opaque); err != nil {
			return err
		}
	}
	if s.first, err = s.authserver(ctx, at[0]); err != nil {
		return err
	}
	if _, err = s.authserver(ctx, at[1]); err != nil {
		return err
	}
	if err := s.protect(ctx, at[2], at[3]); err != nil {
		return err
	}
	return s.awaitReady(ctx)
}

// register makes a confidential client with all MCP scopes for the resource.
func (s *stage) register(ctx context.Context, id string, opaque bool) error {
	secret := "ghs_" + rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(secret))
	now := time.Now()
	c := storage.Client{
		ID: id, Name: id, AuthMethod: "client_secret_basic", SecretHash: hash[:], GrantTypes: []string{"client_credentials"},
		Scopes: []string{"mcp:read", "mcp:write", "mcp:tools", "mcp:admin"}, Resources: []string{s.resource},
		Introspect: id == ownClient, CreatedAt: now, UpdatedAt: now,
	}
	if opaque {
		c.TokenFormat = storage.FormatOpaque
	}
	s.secrets[id] = secret
	return s.store.CreateClient(ctx, c)
}

// authserver runs a replica.
func (s *stage) authserver(ctx context.Context, at net.Listener) (*authserver.Server, error) {
	server, err := authserver.New(ctx, authserver.Config{
		Issuer: s.issuer, Store: s.store, SealKeys: [][]byte{make([]byte, 32)},
		Resources: []authserver.Resource{{Identifier: s.resource}},
		Logger:    productionLog("authserver"), SecurityLog: productionLog("authserver").With("log", "security"),
		Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, err
	}
	s.running.Go(func() { _ = server.Run(ctx) }) // returns nil
	s.serve(at, server)
	return server, nil
}

// nowhere is where logs go. It is not io.Discard, for which a logger could skip
// the work that production does.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// productionLog formats everything and keeps nothing.
func productionLog(server string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(nowhere{}, &slog.HandlerOptions{Level: slog.LevelInfo})).With("server", server)
}

// serve runs a handler as the binary does.
func (s *stage) serve(at net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	s.servers = append(s.servers, server)
	s.running.Go(func() { _ = server.Serve(at) }) // until Close
}

// serveLimit serves a limit on an address of its own and returns that.
func (s *stage) serveLimit(ctx context.Context, handler http.Handler) (address string, err error) {
	at, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.serve(at, handler)
	return at.Addr().String(), nil
}

func (s *stage) awaitReady(ctx context.Context) error {
	return eventually(ctx, func() bool { return s.gate.Ready(ctx) == nil })
}

// eventually waits for a condition, as long as ctx lasts.
func eventually(ctx context.Context, condition func() bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *stage) close(ctx context.Context) error {
	s.cancel()
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	s.running.Wait()
	s.http.CloseIdleConnections()
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	if s.db != nil {
		errs = append(errs, s.db.close(ctx))
	}
	return errors.Join(errs...)
}

// form makes a request to an endpoint of an authorization server.
func (s *stage) form(ctx context.Context, address, client string, form url.Values) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, s.secrets[client])
	return r, nil
}

// hostOf returns the host and port of an absolute URL.
func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}
