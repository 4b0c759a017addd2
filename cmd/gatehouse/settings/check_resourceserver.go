package settings

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

func (r ResourceServer) check(c *checker, s Settings, catalog *scopes.Catalog) {
	const here = "resource_server."
	c.require(CheckAddress(r.Listen), here+"listen")
	if r.MetricsListen != "" {
		c.require(CheckAddress(r.MetricsListen), here+"metrics_listen")
	}
	r.TLS.check(c, here+"tls")
	known := s.identifiers()
	switch {
	case r.Audience == "" && len(known) > 1:
		c.fail(here+"audience", "is required when there are several resources: the one served here")
	case r.Audience != "" && !slices.Contains(known, r.Audience):
		c.fail(here+"audience", "%q is not one of resources%s", r.Audience, Suggest(r.Audience, known))
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
	c.between(here+"session_timeout", r.SessionTimeout, time.Second, 30*24*time.Hour)
	c.between(here+"keep_alive", r.KeepAlive, time.Second, time.Hour)
	if r.MaxSessionsPerClient < 1 {
		c.fail(here+"max_sessions_per_client", "must be at least 1")
	}
	if r.MaxBody < 1<<10 {
		c.fail(here+"max_body", "must be at least 1KiB")
	}
	for i, origin := range r.AllowedOrigins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			c.fail(fmt.Sprintf("%sallowed_origins[%d]", here, i), "%q is not an origin such as https://app.example.com", origin)
		}
	}
	r.checkScopes(c, catalog)
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

// checkScopes finds names that are in no catalog, which would lock everyone
// out, and rules that the policy refuses.
func (r ResourceServer) checkScopes(c *checker, catalog *scopes.Catalog) {
	if catalog == nil {
		return
	}
	known := func(key string, names ...string) {
		for _, name := range names {
			if _, ok := catalog.Lookup(name); !ok {
				c.fail("resource_server."+key, "scope %q is not in the catalog%s", name, Suggest(name, catalog.Names()))
			}
		}
	}
	known("required_scopes", r.RequiredScopes...)
	known("challenge_scopes", r.ChallengeScopes...)
	known("scopes_supported", r.ScopesSupported...)
	known("tools_scope", r.ToolsScope)
	known("resources_scope", r.ResourcesScope)
	known("prompts_scope", r.PromptsScope)
	known("admin_scope", r.AdminScope)
	for key, rules := range map[string][]Rule{
		"method_scopes": r.MethodScopes, "resource_scopes": r.ResourceScopes,
		"tool_scopes": r.ToolScopes, "prompt_scopes": r.PromptScopes,
	} {
		for i, rule := range rules {
			known(fmt.Sprintf("%s[%d].scopes", key, i), rule.Scopes...)
		}
	}
	if _, err := policy.New(r.Policy()); err != nil {
		c.fail("resource_server", "%v", err)
	}
}

// Policy returns the scope rules.
func (r ResourceServer) Policy() policy.Config {
	return policy.Config{
		ToolsScope: r.ToolsScope, ResourcesScope: r.ResourcesScope, PromptsScope: r.PromptsScope, AdminScope: r.AdminScope,
		MethodScopes: rules(r.MethodScopes), ResourceScopes: rules(r.ResourceScopes),
		ToolScopes: rules(r.ToolScopes), PromptScopes: rules(r.PromptScopes),
	}
}

func rules(in []Rule) []policy.Rule {
	var out []policy.Rule
	for _, r := range in {
		out = append(out, policy.Rule{Match: r.Match, Scopes: scopes.Of(r.Scopes...)})
	}
	return out
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
