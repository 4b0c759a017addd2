package authserver

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/keys"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
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

	// Scopes is the catalog; nil means the four default MCP scopes. The scopes
	// of OpenID Connect (openid, profile, email, offline_access) are added to it.
	Scopes *scopes.Catalog

	Tokens       Tokens
	Login        Login
	Registration Registration
	RateLimits   RateLimits

	// TrustedProxies are the networks of the reverse proxies in front of the
	// server, whose X-Forwarded-For tells where a request comes from. Behind a
	// proxy that is not among them all requests come from that proxy, and share
	// what one address may do. Empty: the header is never looked at.
	TrustedProxies []netip.Prefix

	// Brand is how the pages look.
	Brand web.Brand

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
	// Name is what people call it; empty means the host.
	Name string
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

	// CodeLifetime of authorization codes; default 1 minute, at most 10
	// (RFC 6749 §4.1.2).
	CodeLifetime time.Duration
	// RefreshTokenLifetime is how long a grant lives without being used;
	// default 30 days. Each refresh begins it anew.
	RefreshTokenLifetime time.Duration
	// RefreshReuseWindow is how long after its use a refresh token still gets
	// the same successor, for clients whose processes share one token or that
	// lost the answer. Zero: not at all. At most 10 minutes.
	RefreshReuseWindow time.Duration
	// RefreshOnlyOffline gives refresh tokens only to clients that ask for
	// offline_access. By default every client that is registered for the
	// refresh_token grant gets them.
	RefreshOnlyOffline bool
}

// Login is how people sign in.
type Login struct {
	// NoPasswords turns local accounts' passwords off: people sign in by
	// passkey or upstream.
	NoPasswords bool
	// Upstreams are OpenID providers that people may sign in with.
	Upstreams []Upstream
	// SessionLifetime is how long a browser stays signed in when it is not
	// used; default 7 days. A session ends 30 days after it began in any case.
	SessionLifetime time.Duration
}

// Upstream is an OpenID provider (OpenID Connect Core) that people may sign in
// with. Who signs in for the first time gets an account.
type Upstream struct {
	ID           string // in paths: lower-case letters, digits and hyphens
	Name         string // as people know it
	Issuer       string // its issuer identifier
	ClientID     string
	ClientSecret string
	Scopes       []string // besides openid; default profile and email
	// AllowedDomains limits who may sign in to these domains of their
	// verified e-mail addresses; empty means everybody the provider lets in.
	AllowedDomains []string
}

// Registration is how clients become known by themselves.
type Registration struct {
	Dynamic   DynamicRegistration
	Documents ClientDocuments
}

// DynamicRegistration is RFC 7591.
type DynamicRegistration struct {
	Enabled bool
	// InitialAccessTokens are the SHA-256 of tokens that allow to register
	// (RFC 7591 §3). With Required nobody registers without one.
	InitialAccessTokens [][]byte
	Required            bool
	// UnusedLifetime is how long a client that was never used is kept;
	// default 24 hours.
	UnusedLifetime time.Duration
	// PerAddress is how many clients one address may register in an hour;
	// default 20.
	PerAddress int
}

// ClientDocuments are client ID metadata documents
// (draft-ietf-oauth-client-id-metadata-document).
type ClientDocuments struct {
	Enabled bool
	// AllowedHosts, when not empty, are the only hosts whose documents are
	// read; DeniedHosts never are. A name that begins with a dot stands for all
	// hosts below it.
	AllowedHosts []string
	DeniedHosts  []string
	// AllowLoopback reads documents and keys from this machine too, by plain
	// http as well; for development.
	AllowLoopback bool
	// RootCAs verifies the hosts' certificates; nil means the system's.
	RootCAs *x509.CertPool
}

// RateLimits bound what strangers may cause from one address, or one /64 network
// of IPv6; each replica counts for itself. What is over them is refused with 429.
type RateLimits struct {
	// RequestsPerMinute is how many authorization requests, pushed ones, device
	// authorizations and passkeys are taken; default 60, and twice as many at
	// once.
	RequestsPerMinute int
	// DocumentsPerHour is how many metadata documents of clients that are not
	// known yet are fetched; default 30.
	DocumentsPerHour int
}

const (
	maxCodeLifetime = 10 * time.Minute
	maxReuseWindow  = 10 * time.Minute
)

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
	catalog, err := withIdentity(c.Scopes)
	if err != nil {
		return c, err
	}
	c.Scopes = catalog
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.SecurityLog == nil {
		c.SecurityLog = c.Logger
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	setDefault(&c.Login.SessionLifetime, 7*24*time.Hour)
	setDefault(&c.Registration.Dynamic.UnusedLifetime, 24*time.Hour)
	setDefault(&c.Registration.Dynamic.PerAddress, 20)
	setDefault(&c.RateLimits.RequestsPerMinute, 60)
	setDefault(&c.RateLimits.DocumentsPerHour, 30)
	return c, c.Tokens.fill()
}

func (t *Tokens) fill() error {
	setDefault(&t.AccessTokenLifetime, time.Hour)
	setDefault(&t.KeyRotation, 30*24*time.Hour)
	setDefault(&t.KeyOverlap, 24*time.Hour)
	setDefault(&t.CodeLifetime, time.Minute)
	setDefault(&t.RefreshTokenLifetime, 30*24*time.Hour)
	if t.SigningAlg == "" {
		t.SigningAlg = keys.ES256
	}
	switch {
	case t.AccessTokenLifetime < time.Second || t.AccessTokenLifetime > MaxAccessTokenLifetime:
		return fmt.Errorf("access token lifetime %s is not between 1s and %s", t.AccessTokenLifetime, MaxAccessTokenLifetime)
	case t.KeyOverlap >= t.KeyRotation:
		return fmt.Errorf("key overlap %s must be shorter than key rotation %s", t.KeyOverlap, t.KeyRotation)
	case t.CodeLifetime < time.Second || t.CodeLifetime > maxCodeLifetime:
		return fmt.Errorf("code lifetime %s is not between 1s and %s", t.CodeLifetime, maxCodeLifetime)
	case t.RefreshTokenLifetime < t.AccessTokenLifetime:
		return fmt.Errorf("refresh token lifetime %s must not be shorter than access token lifetime %s", t.RefreshTokenLifetime, t.AccessTokenLifetime)
	case t.RefreshReuseWindow < 0 || t.RefreshReuseWindow > maxReuseWindow:
		return fmt.Errorf("refresh reuse window %s is not between 0 and %s", t.RefreshReuseWindow, maxReuseWindow)
	case !keys.Supported(t.SigningAlg):
		return fmt.Errorf("signing algorithm %q is not one of %v", t.SigningAlg, keys.Algorithms())
	}
	return nil
}

func setDefault[V int | time.Duration](setting *V, value V) {
	if *setting == 0 {
		*setting = value
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
	case !clientmetadata.Loopback(u.Hostname()):
		return errors.New("must be https unless its host is loopback")
	}
	return nil
}

// String names the server without its seal keys, for whoever prints a Config.
func (c Config) String() string { return "authserver.Config{Issuer: " + c.Issuer + "}" }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }
