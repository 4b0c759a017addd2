package authserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/keys"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Config is all a [Server] needs. Zero values are safe; Issuer, Store,
// SealKeys and at least one resource are required.
type Config struct {
	// Issuer is the issuer identifier (RFC 8414 §2): an https URL without
	// query and fragment, or an http one whose host is loopback. Everything
	// the server says about itself derives from it and never from a request.
	Issuer string

	// Store keeps the server's state; it is not closed by the server.
	Store storage.Store

	// SealKeys seal private keys at rest: the first seals, all open. Each
	// has 32 bytes.
	SealKeys [][]byte

	// Resources are the protected resources tokens are issued for.
	Resources []Resource

	// Scopes is the catalog; nil means the four default MCP scopes.
	Scopes *scopes.Catalog

	Tokens Tokens

	// Logger receives operational messages and one event per request; nil
	// discards. SecurityLog receives security events (failed client
	// authentication, revocations, key changes); nil uses Logger.
	Logger      *slog.Logger
	SecurityLog *slog.Logger

	// Metrics registers the server's metrics; nil keeps them private.
	Metrics prometheus.Registerer
}

// Resource is a protected resource (RFC 8707) that tokens are issued for.
type Resource struct {
	// Identifier is the absolute URL of the resource; a token's audience.
	Identifier string
	// Scopes are those that make sense there; empty means the whole catalog.
	Scopes []string
	// TokenFormat is the format of its tokens unless the client has its own;
	// empty means JWT.
	TokenFormat storage.TokenFormat
}

// Tokens are the lifetimes and algorithms of tokens.
type Tokens struct {
	// AccessTokenLifetime of tokens; default 1 hour, at most 24 hours.
	AccessTokenLifetime time.Duration
	// SigningAlg is ES256 (default), EdDSA, PS256 or RS256.
	SigningAlg string
	// KeyRotation is how long a key signs; default 30 days.
	KeyRotation time.Duration
	// KeyOverlap is how long before its time the next key is published, so
	// that every verifier knows it when it starts to sign; default 24 hours.
	KeyOverlap time.Duration
}

// MaxAccessTokenLifetime bounds [Tokens.AccessTokenLifetime].
const MaxAccessTokenLifetime = 24 * time.Hour

// MaxVerifierSkew is how long after its expiry a verifier with a slow clock may
// still take a token; revocations and keys are kept that much longer.
const MaxVerifierSkew = 5 * time.Minute

// withDefaults checks the configuration and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	if err := checkIssuer(c.Issuer); err != nil {
		return c, fmt.Errorf("issuer %q: %w", c.Issuer, err)
	}
	if c.Store == nil {
		return c, errors.New("a store is required")
	}
	if len(c.Resources) == 0 {
		return c, errors.New("at least one resource is required")
	}
	if c.Scopes == nil {
		catalog, err := scopes.NewCatalog(scopes.Default()...)
		if err != nil {
			return c, err
		}
		c.Scopes = catalog
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.SecurityLog == nil {
		c.SecurityLog = c.Logger
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c, c.Tokens.fill()
}

func (t *Tokens) fill() error {
	setDefault(&t.AccessTokenLifetime, time.Hour)
	setDefault(&t.KeyRotation, 30*24*time.Hour)
	setDefault(&t.KeyOverlap, 24*time.Hour)
	if t.SigningAlg == "" {
		t.SigningAlg = keys.ES256
	}
	switch {
	case t.AccessTokenLifetime < time.Second || t.AccessTokenLifetime > MaxAccessTokenLifetime:
		return fmt.Errorf("access token lifetime %s is not between 1s and %s", t.AccessTokenLifetime, MaxAccessTokenLifetime)
	case t.KeyOverlap >= t.KeyRotation:
		return fmt.Errorf("key overlap %s must be shorter than key rotation %s", t.KeyOverlap, t.KeyRotation)
	case !keys.Supported(t.SigningAlg):
		return fmt.Errorf("signing algorithm %q is not one of %v", t.SigningAlg, keys.Algorithms())
	}
	return nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// checkIssuer enforces RFC 8414 §2 and MCP's rule that plain http is for
// loopback only.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("must be an absolute URL")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must have neither query nor fragment")
	case strings.HasSuffix(u.Path, "/"):
		return errors.New("must not end in a slash")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("must be an https URL")
	case !isLoopback(u.Hostname()):
		return errors.New("must be https unless its host is loopback")
	}
	return nil
}

// String names the server without its seal keys, for whoever prints a Config.
func (c Config) String() string { return "authserver.Config{Issuer: " + c.Issuer + "}" }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }
