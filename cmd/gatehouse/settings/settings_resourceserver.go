package settings

import "time"

// ResourceServer is the protected MCP endpoint.
type ResourceServer struct {
	// Listen is the address the resource server listens on, host:port.
	Listen string `yaml:"listen"`
	// MetricsListen gives /metrics an address of its own.
	MetricsListen string `yaml:"metrics_listen"`
	// TLS is the resource server's certificate.
	TLS TLS `yaml:"tls"`
	// Notes is the file of the built-in demo server, a notebook; its scopes
	// files:admin and system:admin are yours to declare if you want to grant
	// them. To protect a server of your own, use the package resourceserver.
	Notes string `yaml:"notes"`

	// Audience is the identifier of the resource served here, one of
	// resources; empty means the only one.
	Audience string `yaml:"audience"`
	// ResourceName is for people, in the metadata.
	ResourceName string `yaml:"resource_name"`
	// JWKSURI is where the issuer's keys are; empty means as its metadata says.
	JWKSURI string `yaml:"jwks_uri"`
	// Introspection are this server's credentials at the issuer. They enable
	// opaque tokens and revocation within a second.
	Introspection Introspection `yaml:"introspection"`
	// Algorithms are the signature algorithms accepted of the issuer.
	Algorithms []string `yaml:"algorithms"`
	// ClockSkew is the tolerance for times in tokens.
	ClockSkew time.Duration `yaml:"clock_skew"`
	// KeyRefresh is how often the issuer's keys are fetched, hence how long a
	// withdrawn key may live on.
	KeyRefresh time.Duration `yaml:"key_refresh"`
	// OnFeedLoss says what happens to JWTs while revocations cannot be
	// followed: introspect (ask about each token) or refuse (503).
	OnFeedLoss string `yaml:"on_feed_loss"`
	// FeedLossAfter is how long the feed must be silent to count as lost; more
	// than the 20s for which the issuer may hold a poll.
	FeedLossAfter time.Duration `yaml:"feed_loss_after"`

	// RequiredScopes are required of every token for every operation.
	RequiredScopes []string `yaml:"required_scopes"`
	// ChallengeScopes are named by a 401 when the operation asks for nothing
	// in particular: what a new client asks for at first. There are clients that
	// never ask for more later, so tools/list should work with them. Empty
	// means required_scopes.
	ChallengeScopes []string `yaml:"challenge_scopes"`
	// ScopesSupported is published in the metadata: a minimal set, not the
	// catalog; empty means challenge_scopes.
	ScopesSupported []string `yaml:"scopes_supported"`
	// ToolsScope is required for tools/*.
	ToolsScope string `yaml:"tools_scope"`
	// ResourcesScope is required for resources/*.
	ResourcesScope string `yaml:"resources_scope"`
	// PromptsScope is required for prompts/*.
	PromptsScope string `yaml:"prompts_scope"`
	// AdminScope is required for admin/* and every unknown method.
	AdminScope string `yaml:"admin_scope"`
	// MethodScopes replace the scope of methods; match is a method or a
	// pattern such as analytics/*.
	MethodScopes []Rule `yaml:"method_scopes"`
	// ResourceScopes replace the scope of resources; match is a URI or the
	// beginning of one, such as file:///private/; the longest counts. The
	// built-in notebook has its own for its files.
	ResourceScopes []Rule `yaml:"resource_scopes"`
	// ToolScopes replace the scope of tools; match is a tool's name. The
	// built-in notebook has its own for its tools.
	ToolScopes []Rule `yaml:"tool_scopes"`
	// PromptScopes replace the scope of prompts; match is a prompt's name.
	PromptScopes []Rule `yaml:"prompt_scopes"`

	// AllowedOrigins may call from a browser, beside the resource's own:
	// https://app.example.com. They get CORS headers.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// AllowedHosts are Host headers accepted beside the resource's own, for
	// proxies that do not keep it.
	AllowedHosts []string `yaml:"allowed_hosts"`
	// MaxBody bounds a request body.
	MaxBody Bytes `yaml:"max_body"`

	// SessionTimeout ends an MCP session after this long without a request.
	SessionTimeout time.Duration `yaml:"session_timeout"`
	// MaxSessionsPerClient bounds the sessions of one client and subject; one
	// more is refused with 429.
	MaxSessionsPerClient int `yaml:"max_sessions_per_client"`
	// EvictOldestSession closes the oldest session over the limit instead.
	EvictOldestSession bool `yaml:"evict_oldest_session"`
	// KeepAlive is how often a comment is sent on a quiet event stream, so
	// that proxies keep it open.
	KeepAlive time.Duration `yaml:"keep_alive"`
}

// Introspection authenticates the resource server by client_secret_basic.
type Introspection struct {
	// ClientID is a client made with gatehouse client create --introspect;
	// empty turns introspection and the revocation feed off.
	ClientID string `yaml:"client_id"`
	// ClientSecretEnv names the environment variable with its secret.
	ClientSecretEnv string `yaml:"client_secret_env"`
	// ClientSecretFile is a file with its secret, instead.
	ClientSecretFile string `yaml:"client_secret_file"`
}

// Rule gives what it matches the scopes that are needed, all of them; without
// scopes any valid token will do.
type Rule struct {
	// Match is what the rule is about.
	Match string `yaml:"match"`
	// Scopes are those that are needed.
	Scopes []string `yaml:"scopes"`
}
