package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/notes"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
)

// addResourceserver makes the resource server in front of the notebook. Its
// background work, which begins at once, ends with ctx.
func (r *pair) addResourceserver(ctx context.Context, s settings.Settings, own *resourceserver.ClientCredentials, listeners []net.Listener) error {
	registry := newRegistry()
	cfg, err := r.resourceserverConfig(s, own, registry)
	if err != nil {
		return err
	}
	server, err := resourceserver.New(ctx, cfg)
	if err != nil {
		return err
	}
	notebook, err := r.notebook(ctx, s.ResourceServer, cfg)
	if err != nil {
		return err
	}
	tls, err := tlsConfig(s.ResourceServer.TLS, r.log)
	if err != nil {
		return err
	}
	routes := resourceRoutes(server, cfg.Resource, notebook)
	handler, err := r.exposeMetrics(ctx, s.ResourceServer.MetricsListen, registry, routes)
	if err != nil {
		return err
	}
	r.servers = append(r.servers, httpServer{"resourceserver", listeners, handler, tls})
	return nil
}

func (r *pair) resourceserverConfig(s settings.Settings, own *resourceserver.ClientCredentials, registry *prometheus.Registry) (resourceserver.Config, error) {
	catalog, err := s.Catalog()
	if err != nil {
		return resourceserver.Config{}, err
	}
	rs := s.ResourceServer
	rules, base := rs.Policy(), notes.Policy()
	rules.ToolScopes = override(base.ToolScopes, rules.ToolScopes)
	rules.ResourceScopes = override(base.ResourceScopes, rules.ResourceScopes)
	rules.MethodScopes = override(base.MethodScopes, rules.MethodScopes)
	rules.PromptScopes = override(base.PromptScopes, rules.PromptScopes)
	compiled, err := policy.New(rules)
	if err != nil {
		return resourceserver.Config{}, err
	}
	skew := rs.ClockSkew
	if skew == 0 {
		skew = -1 // the library's zero means its default
	}
	return resourceserver.Config{
		Resource: s.Audience(), ResourceName: rs.ResourceName, Issuer: s.Issuer, JWKSURI: rs.JWKSURI,
		Introspection: own, Algorithms: rs.Algorithms, ClockSkew: skew, KeyRefresh: rs.KeyRefresh,
		OnFeedLoss: resourceserver.FeedLoss(rs.OnFeedLoss), FeedLossAfter: rs.FeedLossAfter,
		RequiredScopes: rs.RequiredScopes, ChallengeScopes: someOrNil(rs.ChallengeScopes), ScopesSupported: someOrNil(rs.ScopesSupported),
		Scopes: catalog, Policy: compiled, AllowedOrigins: rs.AllowedOrigins, AllowedHosts: rs.AllowedHosts, MaxBodyBytes: int64(rs.MaxBody),
		Logger: r.log.With("server", "resourceserver"), SecurityLog: r.security.With("server", "resourceserver"), Metrics: registry,
	}, nil
}

// notebook makes the MCP endpoint behind cfg's rules; its sessions end with ctx.
func (r *pair) notebook(ctx context.Context, rs settings.ResourceServer, cfg resourceserver.Config) (http.Handler, error) {
	if err := os.MkdirAll(filepath.Dir(rs.Notes), 0o700); err != nil {
		return nil, fmt.Errorf("resource_server.notes: %w", err)
	}
	log := atLeast(slog.LevelWarn, cfg.Logger) // the SDK reports every session at info
	server, err := notes.New(notes.Config{
		File: rs.Notes, Policy: cfg.Policy, Catalog: cfg.Scopes, Version: version(), Logger: log,
	})
	if err != nil {
		return nil, err
	}
	endpoint := streamable.Handler(server, &streamable.Options{
		SessionTimeout: rs.SessionTimeout, MaxSessions: rs.MaxSessionsPerClient, EvictOldest: rs.EvictOldestSession,
		KeepAlive: rs.KeepAlive, MaxBodyBytes: int64(rs.MaxBody), HostChecked: true, // by Protect
		Metrics: cfg.Metrics, Logger: log,
	})
	context.AfterFunc(ctx, func() { endpoint.CloseSessions(nil) })
	return endpoint, nil
}

// override returns the rules of base that own does not replace, and own.
func override(base, own []policy.Rule) []policy.Rule {
	replaced := map[string]bool{}
	for _, rule := range own {
		replaced[rule.Match] = true
	}
	var out []policy.Rule
	for _, rule := range base {
		if !replaced[rule.Match] {
			out = append(out, rule)
		}
	}
	return append(out, own...)
}

// someOrNil makes an empty list mean the library's default.
func someOrNil(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// resourceRoutes exempts exact paths from authentication, compared as they
// were sent: no other spelling of them leads anywhere. All the rest that is
// not the resource itself does not exist.
func resourceRoutes(server *resourceserver.Server, resource string, mcp http.Handler) http.Handler {
	alive := probe("ok", func(context.Context) error { return nil })
	routes := map[string]http.Handler{
		"/health":                               alive,
		"/status":                               alive,
		"/ready":                                probe("ready", server.Ready),
		"/.well-known/oauth-protected-resource": server.Metadata(),
		server.MetadataPath():                   server.Metadata(),
		pathOf(resource):                        server.Protect(mcp),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route, ok := routes[r.URL.EscapedPath()]; ok {
			route.ServeHTTP(w, r)
			return
		}
		plainHeaders(w)
		http.NotFound(w, r)
	})
}
