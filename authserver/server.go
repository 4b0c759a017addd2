package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/keys"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

const (
	maintenanceInterval = time.Minute
	keyRetry            = 500 * time.Millisecond
)

// Server is an authorization server. It is an http.Handler for everything
// below its issuer; [Server.Run] must run beside it.
type Server struct {
	cfg       Config
	issuer    *url.URL
	resources map[string]*resource // by canonical identifier, with the admin API
	admin     string               // canonical identifier of the admin API
	clients   *clients
	requests  *addressQuota
	tokens    *tokenCache
	revoked   *revocations
	log       *eventLog
	keys      *keys.Ring
	sealed    *sealed.Box
	pages     *web.Pages
	people    *people
	provider  fosite.OAuth2Provider
	metrics   *metrics
	metadata  []byte
	router    http.Handler

	opened      bool          // what is revoked from now on is news; set by New
	keysChanged chan struct{} // capacity 1
	stopping    chan struct{} // closed when Run ends
	stopOnce    sync.Once
}

// New checks cfg and prepares a server: it makes room in the store, loads or
// creates the signing key and reads every revocation in force, so that a
// server that has started refuses what was revoked before. It fails when the
// store cannot be reached.
func New(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	measured := newMeasuredStore(cfg.Store)
	if err := cfg.Metrics.Register(measured); err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	cfg.Store = measured
	s := &Server{
		cfg: cfg, clients: newClients(cfg), requests: newRequestQuota(cfg.RateLimits), tokens: newTokenCache(), revoked: newRevocations(),
		keysChanged: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
	s.log = newEventLog(cfg.Store, s.apply, cfg.Logger)
	s.provider = s.newProvider(clientCredentials{s}, authorizationCode{s}, refreshToken{s}, deviceCode{s})
	for _, step := range []func(context.Context) error{s.prepare, s.open, s.wire} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("authserver: %w", err)
		}
	}
	return s, nil
}

// prepare derives what needs no store.
func (s *Server) prepare(context.Context) (err error) {
	if s.issuer, err = url.Parse(s.cfg.Issuer); err != nil {
		return err
	}
	if s.sealed, err = sealed.New(s.cfg.SealKeys); err != nil {
		return err
	}
	if s.pages, err = web.New(s.issuer.EscapedPath(), s.cfg.Brand); err != nil {
		return err
	}
	if s.resources, err = newResources(s.cfg.Resources, s.cfg.Scopes); err != nil {
		return err
	}
	if err := s.addAdmin(); err != nil {
		return err
	}
	if s.metrics, err = newMetrics(s.cfg.Metrics); err != nil {
		return err
	}
	if s.people, err = newPeople(s.cfg, s.issuer); err != nil {
		return err
	}
	s.metadata, err = s.newMetadata()
	return err
}

// open brings the state of the store into memory.
func (s *Server) open(ctx context.Context) (err error) {
	now := time.Now()
	if err := s.cfg.Store.Maintain(ctx, now, maintainAhead); err != nil {
		return err
	}
	if s.keys, err = keys.Open(ctx, s.cfg.keys(), now); err != nil {
		return err
	}
	err = s.log.poll(ctx, now)
	s.opened = true
	return err
}

// maintainAhead is how far ahead the store makes room: further than anything
// stored can expire.
const maintainAhead = MaxAccessTokenLifetime + MaxVerifierSkew + 24*time.Hour

// keys is the part of the configuration that concerns signing keys.
func (c Config) keys() keys.Config {
	return keys.Config{
		Store: c.Store, Seal: c.SealKeys, Alg: c.Tokens.SigningAlg, Rotation: c.Tokens.KeyRotation, Overlap: c.Tokens.KeyOverlap,
		Lifetime: MaxAccessTokenLifetime + MaxVerifierSkew, Logger: c.SecurityLog,
	}
}

// RotateKey creates the next signing key, published at once and signing from
// activateAt; running servers on the same store learn of it by themselves.
func RotateKey(ctx context.Context, cfg Config, activateAt time.Time) (storage.Key, error) {
	if err := cfg.Tokens.fill(); err != nil {
		return storage.Key{}, err
	}
	now := time.Now()
	ring, err := keys.Open(ctx, cfg.keys(), now)
	if err != nil {
		return storage.Key{}, err
	}
	return ring.Rotate(ctx, now, activateAt)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// grantTypes are the grant types served.
func (s *Server) grantTypes() []string {
	return []string{grantAuthorizationCode, grantRefreshToken, grantClientCredentials, grantDeviceCode}
}

func (s *Server) supportsGrant(name string) bool { return slices.Contains(s.grantTypes(), name) }

// apply brings an event of the log into this process. It is quick and calls
// nothing that waits.
func (s *Server) apply(e storage.Event) {
	if s.opened && slices.Contains(revocationKinds(), e.Kind) {
		s.metrics.revoked(e.Kind)
	}
	switch e.Kind {
	case storage.EventKeysChanged:
		select {
		case s.keysChanged <- struct{}{}:
		default:
		}
	case storage.EventClientChanged:
		s.clients.forget(e.Target)
	case storage.EventClientRevoked:
		s.clients.forget(e.Target)
		s.revoked.apply(e)
	default:
		s.revoked.apply(e)
	}
}

// Run follows the event log and the keys and maintains the store until ctx
// ends; then held polls are answered, so that an http.Server can shut down.
// It returns nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.stopOnce.Do(s.stop)
	var work sync.WaitGroup
	work.Go(func() { s.log.run(ctx) })
	work.Go(func() { s.followKeys(ctx) })
	defer work.Wait()
	ticker := time.NewTicker(maintenanceInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.maintain(ctx, time.Now())
		}
	}
}

// stop ends held polls and what the caches do in the background.
func (s *Server) stop() {
	close(s.stopping)
	s.tokens.StopAllGoroutines()
	s.clients.stop()
}

// followKeys refreshes the signing keys when they have changed and each minute,
// because a rotation comes due by the clock alone. It waits for no other work,
// and tries again soon when the store failed: a withdrawn key must go.
func (s *Server) followKeys(ctx context.Context) {
	next := time.NewTimer(maintenanceInterval)
	defer next.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.keysChanged:
		case <-next.C:
		}
		err := s.keys.Refresh(ctx, time.Now())
		if err != nil && !failing && ctx.Err() == nil {
			s.cfg.Logger.Error("signing keys could not be refreshed; the known ones stay in use", "error", err)
		}
		failing = errors.Is(err, storage.ErrUnavailable)
		if failing {
			next.Reset(keyRetry)
		} else {
			next.Reset(maintenanceInterval)
		}
	}
}

func (s *Server) maintain(ctx context.Context, now time.Time) {
	s.revoked.forget(now)
	s.log.forget(now)
	if err := s.cfg.Store.Maintain(ctx, now, maintainAhead); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Error("store maintenance failed; it is tried again in a minute", "error", err)
	}
}

// Ready reports whether the server can serve: the store answers, its schema is
// right, a key can sign and the event log is current.
func (s *Server) Ready(ctx context.Context) error {
	now := time.Now()
	return errors.Join(s.cfg.Store.Ready(ctx), s.log.fresh(now), s.keys.Ready(now))
}

// health answers as long as the process does.
func health(w http.ResponseWriter, _ *http.Request, _ *logEntry) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request, _ *logEntry) error {
	if err := s.Ready(r.Context()); err != nil {
		return unavailable(err)
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}
