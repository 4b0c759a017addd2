package resourceserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// FeedLoss says what happens to a JWT while the revocation feed is lost.
type FeedLoss string

const (
	// IntrospectOnFeedLoss asks the issuer about each token (the default).
	IntrospectOnFeedLoss FeedLoss = "introspect"
	// RefuseOnFeedLoss answers 503 until the feed is back.
	RefuseOnFeedLoss FeedLoss = "refuse"
)

// Config is all a [Server] needs. Resource and Issuer are required; every
// other zero value is safe.
type Config struct {
	// Resource is the canonical resource identifier (RFC 9728 §1.2, RFC 8707):
	// the URL that clients use, https or on loopback http, without query and
	// fragment. It is the audience that a token must have.
	Resource string
	// ResourceName is for people, in the metadata.
	ResourceName string

	// Issuer is the issuer identifier of the authorization server (RFC 8414
	// §2), https or on loopback http.
	Issuer string
	// JWKSURI is where its keys are; default: as its metadata says.
	JWKSURI string
	// Introspection are this server's credentials at the issuer. They enable
	// opaque tokens and the revocation feed.
	Introspection *ClientCredentials
	// Algorithms are the JWS algorithms accepted, asymmetric ones only;
	// default ES256, EdDSA, PS256 and RS256.
	Algorithms []string
	// ClockSkew is the tolerance for exp, nbf and iat; default 60 s, a
	// negative value means none.
	ClockSkew time.Duration
	// KeyRefresh is how often the issuer's keys are fetched, hence how long a
	// withdrawn key may live on; default 5 minutes.
	KeyRefresh time.Duration
	// OnFeedLoss applies to JWTs while the feed has been silent for longer
	// than FeedLossAfter (default 30 s; more than the 20 s for which the
	// issuer may hold a poll).
	OnFeedLoss    FeedLoss
	FeedLossAfter time.Duration

	// RequiredScopes are required of every token for every operation; nil
	// means mcp:read, empty but not nil means none.
	RequiredScopes []string
	// ChallengeScopes are named by a 401 when the operation asks for nothing
	// in particular; default RequiredScopes.
	ChallengeScopes []string
	// ScopesSupported is published in the metadata; default ChallengeScopes.
	// A minimal set, not the catalog.
	ScopesSupported []string
	// Scopes is the catalog with the hierarchy; nil means the four default
	// MCP scopes.
	Scopes *scopes.Catalog
	// Policy says what each operation needs; nil means [policy.Default].
	Policy *policy.Policy

	// AllowedOrigins may call from a browser, beside the resource's own
	// origin: "https://app.example". They get CORS headers.
	AllowedOrigins []string
	// AllowedHosts are Host headers accepted beside that of Resource, for
	// proxies that do not keep it: "mcp.internal:8080".
	AllowedHosts []string
	// MaxBodyBytes bounds a request body; default 4 MiB.
	MaxBodyBytes int64

	// Logger receives operational messages and one event per request; nil
	// discards. SecurityLog receives refusals as warnings, successful
	// authentication at debug level; nil uses Logger.
	Logger      *slog.Logger
	SecurityLog *slog.Logger
	// Metrics registers the server's metrics, nil keeps them private. Wrap the
	// registerer (prometheus.WrapRegistererWith) for a second Server.
	Metrics prometheus.Registerer
	// HTTPClient is used for requests to the issuer. Its redirect policy and
	// timeout are replaced: redirects are not followed and every request has a
	// limit of its own.
	HTTPClient *http.Client
}

// ClientCredentials authenticate this server at the issuer with
// client_secret_basic. Printing them does not show the secret.
type ClientCredentials struct {
	ClientID     string
	ClientSecret string
	// Endpoint is the introspection endpoint; default: as the issuer's
	// metadata says.
	Endpoint string
	// EventsEndpoint is the revocation feed; default: the metadata's
	// gatehouse_events_endpoint, or /oauth/events below the issuer.
	EventsEndpoint string
}

// String leaves the secret out.
func (c ClientCredentials) String() string { return c.ClientID + ":[redacted]" }

// GoString leaves the secret out.
func (c ClientCredentials) GoString() string { return c.String() }

// LogValue leaves the secret out.
func (c ClientCredentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// withDefaults checks the configuration and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	var err error
	setDefault(&c.MaxBodyBytes, 4<<20)
	setDefault(&c.ClockSkew, time.Minute)
	setDefault(&c.KeyRefresh, 5*time.Minute)
	setDefault(&c.OnFeedLoss, IntrospectOnFeedLoss)
	setDefault(&c.FeedLossAfter, 30*time.Second)
	setDefault(&c.Logger, slog.New(slog.DiscardHandler))
	setDefault(&c.SecurityLog, c.Logger)
	c.ClockSkew = max(c.ClockSkew, 0)
	if c.Policy == nil {
		c.Policy = policy.Default()
	}
	if c.Scopes == nil {
		if c.Scopes, err = scopes.NewCatalog(scopes.Default()...); err != nil {
			return c, err
		}
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.RequiredScopes == nil {
		c.RequiredScopes = []string{scopes.MCPRead}
	}
	if c.ChallengeScopes == nil {
		c.ChallengeScopes = c.RequiredScopes
	}
	if c.ScopesSupported == nil {
		c.ScopesSupported = c.ChallengeScopes
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"ES256", "EdDSA", "PS256", "RS256"}
	}
	return c, c.check()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) check() error {
	if err := checkURL(c.Resource); err != nil {
		return fmt.Errorf("resource %q: %w", c.Resource, err)
	}
	if err := checkURL(c.Issuer); err != nil {
		return fmt.Errorf("issuer %q: %w", c.Issuer, err)
	}
	if c.JWKSURI != "" {
		if err := checkURL(c.JWKSURI); err != nil {
			return fmt.Errorf("jwks_uri %q: %w", c.JWKSURI, err)
		}
	}
	if err := checkCredentials(c.Introspection); err != nil {
		return err
	}
	for _, alg := range c.Algorithms {
		if !slices.Contains(asymmetric(), jose.SignatureAlgorithm(alg)) {
			return fmt.Errorf("algorithm %q is not one of %v", alg, asymmetric())
		}
	}
	for _, scope := range slices.Concat(c.RequiredScopes, c.ChallengeScopes, c.ScopesSupported) {
		if !scopes.ValidToken(scope) || scope == "offline_access" {
			return fmt.Errorf("scope %q cannot be asked for by a resource", scope)
		}
	}
	for _, origin := range c.AllowedOrigins {
		if _, ok := parseOrigin(origin); !ok {
			return fmt.Errorf("allowed origin %q is not scheme://host", origin)
		}
	}
	switch {
	case c.OnFeedLoss != IntrospectOnFeedLoss && c.OnFeedLoss != RefuseOnFeedLoss:
		return fmt.Errorf("on feed loss %q: neither introspect nor refuse", c.OnFeedLoss)
	case c.MaxBodyBytes < 0 || c.KeyRefresh < 0 || c.FeedLossAfter < 0:
		return errors.New("limits must not be negative")
	}
	return nil
}

func checkCredentials(c *ClientCredentials) error {
	if c == nil {
		return nil
	}
	if c.ClientID == "" || c.ClientSecret == "" {
		return errors.New("introspection needs client_id and client_secret")
	}
	for _, endpoint := range []string{c.Endpoint, c.EventsEndpoint} {
		if endpoint == "" {
			continue
		}
		if err := checkURL(endpoint); err != nil {
			return fmt.Errorf("endpoint %q: %w", endpoint, err)
		}
	}
	return nil
}

// asymmetric are the algorithms that may be allowed: verifying with a public
// key cannot be turned into signing with it (RFC 8725 §3.1).
func asymmetric() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
		jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512,
	}
}

// checkURL enforces what MCP and RFC 8414 §2 ask of a server's URL: absolute,
// https (http on loopback only), without userinfo, query and fragment.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("must be an absolute URL")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return errors.New("must have neither query nor fragment")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("must be https unless its host is loopback")
}

// isLoopback reports whether host, without port and brackets, is this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
