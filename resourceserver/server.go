package resourceserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Server protects one resource. It is safe for concurrent use.
type Server struct {
	cfg         Config
	resource    *url.URL
	edge        *edge
	required    scopes.Set
	challenge   scopes.Set
	metadataURL string
	document    []byte // RFC 9728 metadata

	discovery *discovery // nil without an issuer
	keys      *keySet    // same
	feed      *feed      // nil without client credentials
	revoked   *revocations
	running   *running
	verifier  *verifier
	metrics   *metrics
	clock     func() time.Time
}

// New checks cfg and returns a server that has begun to learn about its
// issuer. It never waits for the network: until the issuer's keys are there,
// requests are answered with 503 (see [Server.Ready]). The work in the
// background ends with ctx.
func New(ctx context.Context, cfg Config) (*Server, error) {
	return newServer(ctx, cfg, time.Now)
}

// newServer is New with a clock for the times in tokens.
func newServer(ctx context.Context, cfg Config, clock func() time.Time) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("resource server: %w", err)
	}
	resource, err := url.Parse(cfg.Resource)
	if err != nil {
		return nil, fmt.Errorf("resource server: %w", err)
	}
	s := &Server{
		cfg: cfg, resource: resource, clock: clock,
		required: scopes.Of(cfg.RequiredScopes...), challenge: scopes.Of(cfg.ChallengeScopes...),
		revoked: newRevocations(), running: newRunning(),
	}
	if s.edge, err = newEdge(cfg, resource); err != nil {
		return nil, fmt.Errorf("resource server: %w", err)
	}
	if cfg.Issuer != "" {
		s.metadataURL = resource.Scheme + "://" + resource.Host + s.MetadataPath()
		if s.document, err = s.describe(); err != nil {
			return nil, err
		}
	}
	if err := s.assemble(); err != nil {
		return nil, fmt.Errorf("resource server: %w", err)
	}
	s.start(ctx)
	return s, nil
}

// assemble makes the parts that verify tokens.
func (s *Server) assemble() error {
	cfg := s.cfg
	rules := rules{issuer: cfg.Issuer, resource: s.resource, skew: cfg.ClockSkew, catalog: cfg.Scopes}
	s.verifier = &verifier{
		static:  newStaticTokens(cfg.StaticTokens, cfg.Resource, cfg.Scopes),
		revoked: s.revoked, refuse: cfg.OnFeedLoss == RefuseOnFeedLoss, clock: s.clock,
	}
	if cfg.Issuer != "" {
		s.trust(rules)
	}
	if cfg.Validate != nil {
		s.verifier.opaque = &hook{rules: rules, validate: cfg.Validate, calls: make(chan struct{}, maxCalls), logger: cfg.Logger}
	}
	s.metrics = newMetrics(s.feed, s.clock)
	s.verifier.hits = s.metrics.hits
	if err := cfg.Metrics.Register(s.metrics); err != nil {
		return err
	}
	var err error
	s.verifier.cache, err = newCache()
	return err
}

// trust makes the parts that know about the issuer.
func (s *Server) trust(rules rules) {
	cfg, client := s.cfg, newIssuerClient(s.cfg.HTTPClient)
	s.discovery = newDiscovery(client, cfg)
	s.keys = newKeySet(client, s.discovery, s.clock)
	verifies := &jwtVerifier{rules: rules, keys: s.keys}
	for _, alg := range cfg.Algorithms {
		verifies.algorithms = append(verifies.algorithms, jose.SignatureAlgorithm(alg))
	}
	s.verifier.jwt = verifies
	own := cfg.Introspection
	if own == nil {
		return
	}
	s.feed = &feed{
		client: client, discovery: s.discovery, credentials: *own, jwt: verifies,
		revoked: s.revoked, applied: s.endRevoked,
		lossAfter: cfg.FeedLossAfter, clock: s.clock, started: s.clock(), acks: map[string]time.Time{}, receiver: rand.Text(),
	}
	introspect := &introspection{
		rules: rules, discovery: s.discovery, credentials: *own,
		client: newIssuerClient(cfg.HTTPClient), // a flood of opaque tokens must not hold up feed and keys
	}
	s.verifier.feed, s.verifier.introspect, s.verifier.opaque = s.feed, introspect, introspect
}

// start begins the work in the background.
func (s *Server) start(ctx context.Context) {
	report := func(what string) func(error) {
		return func(err error) {
			if err != nil {
				s.cfg.Logger.LogAttrs(ctx, slog.LevelError, what+" cannot be fetched", //nolint:sloglint // what is one of two, below
					slog.String("issuer", s.cfg.Issuer), slog.Any("error", err))
				return
			}
			s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, what+" can be fetched again", //nolint:sloglint // same
				slog.String("issuer", s.cfg.Issuer))
		}
	}
	if s.keys != nil {
		go s.keys.run(ctx, s.cfg.KeyRefresh, report("issuer keys"))
	}
	if s.feed != nil {
		go s.feed.run(ctx, report("revocation events"))
	}
	context.AfterFunc(ctx, func() { s.verifier.cache.StopAllGoroutines() })
}

// Verifier returns the verifier that [Server.Protect] uses.
func (s *Server) Verifier() Verifier { return s.verifier }

// Ready returns nil when tokens can be verified: the issuer, if there is one,
// is discovered, its keys are loaded and its revocation feed, if there is one,
// is in sync. The error is for operators.
func (s *Server) Ready(context.Context) error {
	if s.discovery == nil {
		return nil
	}
	if _, err := s.discovery.endpoints(); err != nil {
		return err
	}
	if s.keys.fresh() == nil {
		return errNoKeys
	}
	if s.feed != nil && !s.feed.inSync(s.clock()) {
		return errFeedLost
	}
	return nil
}
