package settings

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func (r ResourceServer) check(c *checker, s Settings) {
	const here = "resource_server."
	c.require(CheckAddress(r.Listen), here+"listen")
	if r.MetricsListen != "" {
		c.require(CheckAddress(r.MetricsListen), here+"metrics_listen")
	}
	r.TLS.check(c, here+"tls")
	r.checkIssuer(c, s)
	r.checkAuthentication(c, s)
	r.checkNetwork(c, s)
	r.checkBrowsers(c)
	r.checkProtocol(c)
	r.checkScopes(c)
}

// checkIssuer is about whose tokens are accepted, and for what.
func (r ResourceServer) checkIssuer(c *checker, s Settings) {
	const here = "resource_server."
	known := s.identifiers()
	switch {
	case r.Audience == "" && len(known) > 1:
		c.fail(here+"audience", "is required when there are several resources: the one served here")
	case r.Audience != "" && !slices.Contains(known, r.Audience):
		c.fail(here+"audience", "%q is not one of resources%s", r.Audience, Suggest(r.Audience, known))
	}
	if r.Issuer != "" {
		c.require(CheckURL(strings.TrimSuffix(r.Issuer, "/")), here+"issuer") // some issuers end in a slash
	}
	if r.JWKSURI != "" {
		c.require(CheckURL(r.JWKSURI), here+"jwks_uri")
	}
	r.Introspection.check(c, here+"introspection")
	for i, alg := range r.Algorithms {
		c.oneOf(fmt.Sprintf("%salgorithms[%d]", here, i), alg, "ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
	}
	c.oneOf(here+"on_feed_loss", r.OnFeedLoss, "introspect", "refuse")
	c.between(here+"clock_skew", r.ClockSkew, 0, 5*time.Minute)
	c.between(here+"key_refresh", r.KeyRefresh, time.Second, 24*time.Hour)
	c.between(here+"feed_loss_after", r.FeedLossAfter, 21*time.Second, time.Hour)
	if r.OAuthEnabled {
		return
	}
	for key, set := range map[string]bool{"issuer": r.Issuer != "", "jwks_uri": r.JWKSURI != "", "introspection": r.Introspection.ClientID != ""} {
		if set {
			c.fail(here+key, "is for tokens of an issuer, and oauth_enabled is false")
		}
	}
}

func (i Introspection) check(c *checker, key string) {
	secrets := 0
	for _, source := range []string{i.ClientSecretEnv, i.ClientSecretFile} {
		if source != "" {
			secrets++
		}
	}
	switch {
	case i.ClientID == "" && secrets > 0:
		c.fail(key, "has a secret but no client_id")
	case i.ClientID != "" && secrets != 1:
		c.fail(key, "needs client_secret_env or client_secret_file, one of them")
	}
}

// checkProtocol is about revisions of MCP, sessions and streams.
func (r ResourceServer) checkProtocol(c *checker) {
	const here = "resource_server."
	served := r.versions(c, "supported_versions", r.SupportedVersions, mcp.SupportedProtocolVersions(), "a revision of MCP that is served here")
	if len(served) == 0 {
		served = mcp.SupportedProtocolVersions()
	}
	deprecated := r.versions(c, "deprecated_versions", r.DeprecatedVersions, served, "one of supported_versions")
	if len(deprecated) == len(served) && len(r.DeprecatedVersions) > 0 {
		c.fail(here+"deprecated_versions", "leaves no revision that is not deprecated")
	}
	c.between(here+"session_timeout", r.SessionTimeout, time.Second, 30*24*time.Hour)
	c.between(here+"session_cleanup_interval", r.SessionCleanupInterval, time.Second, 24*time.Hour)
	c.between(here+"keep_alive", r.KeepAlive, time.Second, time.Hour)
	if r.SessionIDEntropy < 128 || r.SessionIDEntropy > 1024 || r.SessionIDEntropy%8 != 0 {
		c.fail(here+"session_id_entropy", "must be a multiple of 8 between 128 and 1024")
	}
	if r.MaxSessionsPerClient < 1 {
		c.fail(here+"max_sessions_per_client", "must be at least 1")
	}
}

// versions returns those of the list that are known.
func (ResourceServer) versions(c *checker, key string, list, known []string, what string) []string {
	var out []string
	for i, version := range list {
		at := fmt.Sprintf("resource_server.%s[%d]", key, i)
		switch {
		case !slices.Contains(known, version):
			c.fail(at, "%q is not %s (%s)%s", version, what, strings.Join(known, ", "), Suggest(version, known))
		case slices.Contains(list[:i], version):
			c.fail(at, "%q stands here twice", version)
		default:
			out = append(out, version)
		}
	}
	return out
}

// checkExemptPaths refuses paths that no request could have, and those that
// must not be open.
func (r ResourceServer) checkExemptPaths(c *checker, s Settings) {
	for i, exempt := range r.AuthExemptPaths {
		key := fmt.Sprintf("resource_server.auth_exempt_paths[%d]", i)
		switch {
		case !strings.HasPrefix(exempt, "/") || strings.ContainsFunc(exempt, func(c rune) bool { return c <= ' ' || c > '~' }) || strings.ContainsAny(exempt, "?#%*"):
			c.fail(key, "%q is not a path such as /health: it begins with a slash and stands for itself alone", exempt)
		case path.Clean(exempt) != exempt:
			c.fail(key, "%q is not a clean path; did you mean %q?", exempt, path.Clean(exempt))
		case strings.EqualFold(exempt, strings.TrimSuffix(s.resourcePath(), "/")), exempt == s.resourcePath():
			c.fail(key, "%q is the resource itself, which always needs a token", exempt)
		case strings.HasPrefix(exempt, "/.well-known/"):
			c.fail(key, "%q is never asked for a token; leave it out", exempt)
		case slices.Contains(r.AuthExemptPaths[:i], exempt):
			c.fail(key, "%q stands here twice", exempt)
		}
	}
}

// identifiers are those of the resources.
func (s Settings) identifiers() []string {
	out := make([]string, len(s.Resources))
	for i, r := range s.Resources {
		out[i] = r.Identifier
	}
	return out
}

// Audience returns the identifier of the resource that the resource server
// serves.
func (s Settings) Audience() string {
	if s.ResourceServer.Audience == "" && len(s.Resources) > 0 {
		return s.Resources[0].Identifier
	}
	return s.ResourceServer.Audience
}

// TokenIssuer returns whose tokens the resource server accepts, empty if it
// accepts none.
func (s Settings) TokenIssuer() string {
	switch {
	case !s.ResourceServer.OAuthEnabled:
		return ""
	case s.ResourceServer.Issuer != "":
		return s.ResourceServer.Issuer
	}
	return s.Issuer
}
