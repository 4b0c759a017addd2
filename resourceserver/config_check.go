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

// withDefaults checks the configuration and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	var err error
	setDefault(&c.MaxBodyBytes, 4<<20)
	setDefault(&c.MaxHeaders, 100)
	setDefault(&c.RateLimits.PerAddress, 6000)
	setDefault(&c.RateLimits.PerPrincipal, 6000)
	setDefault(&c.ClockSkew, time.Minute)
	setDefault(&c.KeyRefresh, 5*time.Minute)
	setDefault(&c.OnFeedLoss, IntrospectOnFeedLoss)
	setDefault(&c.FeedLossAfter, 30*time.Second)
	setDefault(&c.Logger, slog.New(slog.DiscardHandler))
	setDefault(&c.SecurityLog, c.Logger)
	setDefault(&c.AuthHeaderName, authorization)
	c.AuthHeaderName = http.CanonicalHeaderKey(c.AuthHeaderName)
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
	if err := c.checkIssuer(); err != nil {
		return err
	}
	if err := checkCredentials(c.Introspection); err != nil {
		return err
	}
	if err := checkStaticTokens(c.StaticTokens); err != nil {
		return err
	}
	if err := CheckAuthHeaderName(c.AuthHeaderName); err != nil {
		return fmt.Errorf("auth header name: %w", err)
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
	switch {
	case c.OnFeedLoss != IntrospectOnFeedLoss && c.OnFeedLoss != RefuseOnFeedLoss:
		return fmt.Errorf("on feed loss %q: neither introspect nor refuse", c.OnFeedLoss)
	case c.MaxBodyBytes < 0 || c.MaxHeaders < 0 || c.KeyRefresh < 0 || c.FeedLossAfter < 0:
		return errors.New("limits must not be negative")
	}
	return nil
}

// checkIssuer refuses a server that nobody could pass, and settings about an
// issuer that there is not.
func (c Config) checkIssuer() error {
	if c.Issuer == "" {
		switch {
		case len(c.StaticTokens) == 0 && c.Validate == nil:
			return errors.New("without an issuer, static tokens or Validate have to say who may pass")
		case c.JWKSURI != "" || c.Introspection != nil:
			return errors.New("jwks_uri and introspection need an issuer")
		}
		return nil
	}
	if err := checkURL(c.Issuer); err != nil {
		return fmt.Errorf("issuer %q: %w", c.Issuer, err)
	}
	if c.JWKSURI == "" {
		return nil
	}
	if err := checkURL(c.JWKSURI); err != nil {
		return fmt.Errorf("jwks_uri %q: %w", c.JWKSURI, err)
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
