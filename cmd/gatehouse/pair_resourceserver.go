package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

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
	notebook, err := r.notebook(ctx, s, cfg)
	if err != nil {
		return err
	}
	server.OnRevoked(notebook.CloseSessions)
	tls, err := tlsConfig(s.ResourceServer.TLS, r.log)
	if err != nil {
		return err
	}
	handler, err := r.resourceRoutes(ctx, server, s, registry, notebook)
	if err != nil {
		return err
	}
	r.servers = append(r.servers, httpServer{"resourceserver", listeners, handler, tls})
	return nil
}

// resourceserverConfig is what the settings say, in the words of the library.
func (r *pair) resourceserverConfig(s settings.Settings, own *resourceserver.ClientCredentials, registry *prometheus.Registry) (resourceserver.Config, error) {
	catalog, err := s.Catalog()
	if err != nil {
		return resourceserver.Config{}, err
	}
	rs := s.ResourceServer
	compiled, err := policy.New(notebookPolicy(rs))
	if err != nil {
		return resourceserver.Config{}, err
	}
	tokens, err := staticTokens(rs, r.getenv)
	if err != nil {
		return resourceserver.Config{}, err
	}
	cfg := resourceserver.Config{
		LoopbackHTTP: r.dev,
		Resource:     s.Audience(), ResourceName: rs.ResourceName, Issuer: s.TokenIssuer(), JWKSURI: rs.JWKSURI,
		Algorithms: rs.Algorithms, ClockSkew: orNone(rs.ClockSkew), KeyRefresh: rs.KeyRefresh,
		OnFeedLoss: resourceserver.FeedLoss(rs.OnFeedLoss), FeedLossAfter: rs.FeedLossAfter,
		RequiredScopes: rs.RequiredScopes, ChallengeScopes: someOrNil(rs.ChallengeScopes), ScopesSupported: someOrNil(rs.ScopesSupported),
		Scopes: catalog, Policy: compiled,
		AuthExemptPaths: rs.AuthExemptPaths, AuthHeaderName: rs.AuthHeaderName, StaticTokens: tokens,
		Logger: r.log.With("server", "resourceserver"), SecurityLog: r.security.With("server", "resourceserver"), Metrics: registry,
		SecurityEvents: resourceserver.SecurityEvents{
			NoFailedAuth: !s.SecurityLog.LogFailedAuth, SuccessfulAuth: s.SecurityLog.LogSuccessfulAuth,
			NoAuthorizationFailures: !s.SecurityLog.LogAuthorizationFailures,
		},
	}
	if cfg.Issuer != "" {
		cfg.Introspection = own
	}
	err = networkConfig(rs, &cfg)
	return cfg, err
}

// networkConfig is who may connect, how, and how often.
func networkConfig(rs settings.ResourceServer, cfg *resourceserver.Config) (err error) {
	if cfg.TrustedProxies, err = settings.Networks(rs.TrustedProxies); err != nil {
		return fmt.Errorf("resource_server.trusted_proxies: %w", err)
	}
	if cfg.AllowedIPs, err = settings.Networks(rs.AllowedIPs); err != nil {
		return fmt.Errorf("resource_server.allowed_ips: %w", err)
	}
	cfg.AllowRemote = !rs.LocalhostOnly
	cfg.RequireHTTPS = rs.RequireHTTPS
	cfg.AllowedOrigins, cfg.AllowedHosts = rs.AllowedOrigins, rs.AllowedHosts
	cfg.CORS = resourceserver.CORS{
		Off: !rs.CORSEnabled, Origins: someOrNil(rs.CORSOrigins), Methods: rs.CORSMethods, Headers: rs.CORSHeaders, MaxAge: orNone(rs.CORSMaxAge),
	}
	cfg.SecurityHeaders = rs.SecurityHeaders
	cfg.RateLimits = resourceserver.RateLimits{PerAddress: rs.RateLimits.PerAddress, PerPrincipal: rs.RateLimits.PerPrincipal}
	cfg.MaxBodyBytes, cfg.MaxHeaders = int64(rs.MaxBody), rs.MaxHeaders
	return nil
}

// staticTokens reads the tokens that do not come from the issuer.
func staticTokens(rs settings.ResourceServer, getenv func(string) string) ([]resourceserver.StaticToken, error) {
	var tokens []resourceserver.StaticToken
	if rs.AuthToken != "" {
		tokens = append(tokens, resourceserver.StaticToken{Name: settings.StaticTokenName, Token: rs.AuthToken, Scopes: rs.AuthTokenScopes})
	}
	for _, t := range rs.AuthTokens {
		secret := getenv(t.TokenEnv)
		if t.TokenFile != "" {
			var err error
			if secret, err = readSecret(t.TokenFile); err != nil {
				return nil, fmt.Errorf("resource_server.auth_tokens %q: %w", t.Name, err)
			}
		}
		if err := settings.CheckStaticToken(secret); err != nil {
			return nil, fmt.Errorf("resource_server.auth_tokens %q: what %s holds %w", t.Name, t.TokenEnv+t.TokenFile, err)
		}
		tokens = append(tokens, resourceserver.StaticToken{Name: t.Name, Token: secret, Scopes: t.Scopes})
	}
	return tokens, nil
}

// orNone makes zero mean none, where the library's zero is its default.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// notebook makes the MCP endpoint behind cfg's rules; its sessions end with ctx.
func (r *pair) notebook(ctx context.Context, s settings.Settings, cfg resourceserver.Config) (*streamable.Endpoint, error) {
	rs := s.ResourceServer
	if err := os.MkdirAll(filepath.Dir(rs.Notes), 0o700); err != nil {
		return nil, fmt.Errorf("resource_server.notes: %w", err)
	}
	log := atLeast(slog.LevelWarn, cfg.Logger) // the SDK reports every session at info
	server, err := notes.New(notes.Config{
		File: rs.Notes, Policy: cfg.Policy, Catalog: cfg.Scopes, Version: version(), Logger: log,
		SessionID: streamable.SessionID(rs.SessionIDEntropy / 8),
	})
	if err != nil {
		return nil, err
	}
	opts := endpointOptions(rs)
	opts.Metrics, opts.Logger = cfg.Metrics, log
	endpoint := streamable.Handler(server, &opts)
	context.AfterFunc(ctx, func() { endpoint.CloseSessions(nil) })
	return endpoint, nil
}

// endpointOptions is what the settings say about revisions of MCP and sessions.
func endpointOptions(rs settings.ResourceServer) streamable.Options {
	return streamable.Options{
		SupportedVersions: someOrNil(rs.SupportedVersions), AnyVersion: !rs.EnforceProtocolVersion, DeprecatedVersions: rs.DeprecatedVersions,
		SessionTimeout: rs.SessionTimeout, CleanupInterval: rs.SessionCleanupInterval,
		MaxSessions: rs.MaxSessionsPerClient, EvictOldest: rs.EvictOldestSession,
		KeepAlive: rs.KeepAlive, MaxBodyBytes: int64(rs.MaxBody), HostChecked: true, // by Protect
	}
}

// notebookPolicy is the notebook's rules, where the settings have none of
// their own.
func notebookPolicy(rs settings.ResourceServer) policy.Config {
	rules, base := rs.Policy(), notes.Policy()
	rules.ToolScopes = override(base.ToolScopes, rules.ToolScopes)
	rules.ResourceScopes = override(base.ResourceScopes, rules.ResourceScopes)
	rules.MethodScopes = override(base.MethodScopes, rules.MethodScopes)
	rules.PromptScopes = override(base.PromptScopes, rules.PromptScopes)
	return rules
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

// resourceRoutes leads exact paths where they belong, all of them through the
// gate, which lets some pass without a token. What is not there answers 404
// within the rules of the network.
func (r *pair) resourceRoutes(ctx context.Context, server *resourceserver.Server, s settings.Settings, registry *prometheus.Registry, mcp http.Handler) (http.Handler, error) {
	alive := probe("ok", func(context.Context) error { return nil })
	ready, metrics := probe("ready", server.Ready), metricsOf(registry)
	exact := map[string]http.Handler{
		pathHealth:           server.Protect(alive),
		pathStatus:           server.Protect(alive),
		pathReady:            server.Protect(ready),
		pathOf(s.Audience()): server.Protect(mcp),
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource", server.MetadataPath()} {
		exact[path] = server.Metadata()
	}
	address := s.ResourceServer.MetricsListen
	if address == "" {
		exact[pathMetrics] = server.Protect(metrics)
	} else if err := r.serveApart(ctx, address, map[string]http.Handler{pathMetrics: metrics, pathHealth: alive, pathReady: ready}); err != nil {
		return nil, err
	}
	return routes{exact, server.Edge(http.NotFoundHandler())}, nil
}
