package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// pair is what dev, serve and demo run: an authorization server, a resource
// server, or both. They share a process and nothing else: the resource server
// meets the authorization server over HTTP.
type pair struct {
	dev      bool // people try things out on this machine
	getenv   func(string) string
	log      *slog.Logger
	security *slog.Logger
	servers  []httpServer
	work     []func(context.Context)
	closers  []io.Closer // closed in reverse order when nothing runs any more
}

// newPair opens the logs.
func (p *process) newPair(s settings.Settings, dev bool) (*pair, error) {
	log := p.logger(dev)
	security, file, err := p.securityLogger(s.SecurityLog, dev)
	if err != nil {
		return nil, err
	}
	return &pair{dev: dev, getenv: p.getenv, log: log, security: security, closers: []io.Closer{file}}, nil
}

// close releases everything; listeners that are being served are closed
// already, and closing them again does no harm.
func (r *pair) close() error {
	for _, s := range r.servers {
		closeAll(s.listeners)
	}
	var errs []error
	for _, c := range slices.Backward(r.closers) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// run serves until ctx ends and returns when everything has stopped.
func (r *pair) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	defer work.Wait()
	for _, do := range r.work {
		work.Go(func() { do(ctx) })
	}
	err := serveHTTP(ctx, r.log, r.servers...)
	cancel()
	return err
}

// addAuthserver makes the authorization server; the store becomes the pair's.
func (r *pair) addAuthserver(ctx context.Context, s settings.Settings, store storage.Store, seal [][]byte, listeners []net.Listener) error {
	r.closers = append(r.closers, store)
	catalog, err := s.Catalog()
	if err != nil {
		return err
	}
	registry := newRegistry()
	cfg := authserver.Config{
		Issuer: s.Issuer, Store: store, SealKeys: seal, Scopes: catalog, Tokens: tokensConfig(s),
		Logger: r.log.With("server", "authserver"), SecurityLog: authserverEvents(r.security, s.SecurityLog).With("server", "authserver"), Metrics: registry,
	}
	for _, resource := range s.Resources {
		cfg.Resources = append(cfg.Resources, authserver.Resource{
			Identifier: resource.Identifier, Name: resource.Name, Scopes: resource.Scopes, TokenFormat: resource.TokenFormat,
		})
	}
	if err := peopleConfig(s, &cfg); err != nil {
		return err
	}
	server, err := authserver.New(ctx, cfg)
	if err != nil {
		return storeError(err)
	}
	tls, err := tlsConfig(s.TLS, r.log)
	if err != nil {
		return err
	}
	r.work = append(r.work, func(ctx context.Context) {
		if err := server.Run(ctx); err != nil {
			r.log.Error("the authorization server's background work ended", "error", err)
		}
	})
	handler, err := r.withMetrics(ctx, s.MetricsListen, registry, server)
	if err != nil {
		return err
	}
	r.servers = append(r.servers, httpServer{"authserver", listeners, handler, tls})
	return nil
}

// withMetrics puts /metrics in front of server, or on an address of its own
// beside its probes.
func (r *pair) withMetrics(ctx context.Context, address string, registry *prometheus.Registry, server http.Handler) (http.Handler, error) {
	if address == "" {
		return routes{map[string]http.Handler{pathMetrics: plain(metricsOf(registry))}, server}, nil
	}
	return server, r.serveApart(ctx, address, map[string]http.Handler{pathMetrics: metricsOf(registry), pathHealth: server, pathReady: server})
}

func tokensConfig(s settings.Settings) authserver.Tokens {
	return authserver.Tokens{
		AccessTokenLifetime: s.Tokens.AccessTokenLifetime, SigningAlg: s.Tokens.SigningAlg,
		KeyRotation: s.Tokens.KeyRotation, KeyOverlap: s.Tokens.KeyOverlap,
		CodeLifetime: s.Tokens.CodeLifetime, RefreshTokenLifetime: s.Tokens.RefreshTokenLifetime,
		RefreshReuseWindow: s.Tokens.RefreshReuseWindow, RefreshOnlyOffline: s.Tokens.RefreshOnlyOffline,
	}
}

// newRegistry has what every Go process can tell.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
