package settings

import "time"

// ResourceServer is the protected MCP endpoint.
type ResourceServer struct {
	// Listen is the address the resource server listens on, host:port.
	Listen string `yaml:"listen"`
	// MetricsListen gives /metrics an address of its own, where /health and
	// /ready are as well: by plain http, without the rules below.
	MetricsListen string `yaml:"metrics_listen"`
	// TLS is the resource server's certificate.
	TLS TLS `yaml:"tls"`
	// Notes is the file of the built-in demo server, a notebook; its scopes
	// files:admin and system:admin are yours to declare if you want to grant
	// them. To protect a server of your own, use the package resourceserver.
	Notes string `yaml:"notes"`

	// AuthExemptPaths need no token, within the rules of the network. A path is
	// compared as it was sent, byte for byte.
	AuthExemptPaths []string `yaml:"auth_exempt_paths"`
	// AuthHeaderName is the header that carries the token. In another one than
	// Authorization the scheme "Bearer" may be left out.
	AuthHeaderName string `yaml:"auth_header_name"`
	// AuthToken is a static token that is accepted beside those of the issuer,
	// at least 32 bytes. Whoever can read this file has it; auth_tokens keep
	// theirs elsewhere.
	AuthToken string `yaml:"auth_token"`
	// AuthTokenScopes are what auth_token may be used for.
	AuthTokenScopes []string `yaml:"auth_token_scopes"`
	// AuthTokens are more static tokens, each with scopes of its own.
	AuthTokens []AuthToken `yaml:"auth_tokens"`

	// OAuthEnabled accepts tokens of the issuer. Without it static tokens are
	// the only ones, and clients are told nothing about the issuer.
	OAuthEnabled bool `yaml:"oauth_enabled"`
	// Issuer is whose tokens are accepted; empty means the issuer of this file.
	Issuer string `yaml:"issuer"`
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

	// CustomScopes adds to the catalog, by name, with a description that tells a
	// person what granting it allows; the key scopes says more about them.
	CustomScopes map[string]string `example:"\"files:read\": Read your files" yaml:"custom_scopes"`
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

	// TrustedProxies are the networks of the reverse proxies in front, as in
	// "10.0.0.0/8": their X-Forwarded-For and X-Forwarded-Proto, or Forwarded
	// (RFC 7239), tell whom a request is from and whether it came by https.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// LocalhostOnly lets only this machine connect, and allowed_ips.
	LocalhostOnly bool `yaml:"localhost_only"`
	// AllowedIPs may connect: addresses and networks, as in "192.0.2.7" and
	// "2001:db8::/32". Without localhost_only they are the only ones, unless
	// there are none.
	AllowedIPs []string `yaml:"allowed_ips"`
	// RequireHTTPS refuses plain http with 403. Behind a proxy that terminates
	// TLS, name it in trusted_proxies.
	RequireHTTPS bool `yaml:"require_https"`
	// AllowedOrigins may call from a browser, beside the resource's own: an
	// origin (https://app.example.com), a host (app.example.com, "[::1]:8080"),
	// or a regular expression between slashes that has to match all of the
	// host, or of the origin if it contains "://"
	// ('/.*\.example\.com/').
	AllowedOrigins []string `yaml:"allowed_origins"`
	// AllowedHosts are Host headers accepted beside the resource's own, for
	// proxies that do not keep it.
	AllowedHosts []string `yaml:"allowed_hosts"`
	// SecurityHeaders replaces headers that every answer carries, or adds some;
	// empty text leaves one out.
	SecurityHeaders map[string]string `example:"X-Frame-Options: SAMEORIGIN" yaml:"security_headers"`
	// CORSEnabled tells browsers that scripts of the origins below may call.
	CORSEnabled bool `yaml:"cors_enabled"`
	// CORSOrigins may read answers, written as in allowed_origins or "*"; empty
	// means those that may call.
	CORSOrigins []string `yaml:"cors_origins"`
	// CORSMethods are the verbs that scripts may use.
	CORSMethods []string `yaml:"cors_methods"`
	// CORSHeaders are headers that scripts may send beside those of the protocol.
	CORSHeaders []string `yaml:"cors_headers"`
	// CORSMaxAge is how long a browser may remember that.
	CORSMaxAge time.Duration `yaml:"cors_max_age"`
	// RateLimits bound requests; each process counts for itself.
	RateLimits ResourceRateLimits `yaml:"rate_limits"`
	// MaxHeaders bounds the number of header fields of a request.
	MaxHeaders int `yaml:"max_headers"`
	// MaxBody bounds a request body.
	MaxBody Bytes `yaml:"max_body"`

	// EnforceProtocolVersion refuses a request that names a revision which is
	// not supported; without it such a name is ignored. A request that names none
	// is from an old client and passes.
	EnforceProtocolVersion bool `yaml:"enforce_protocol_version"`
	// SupportedVersions are the protocol revisions served; empty means all
	// that there are.
	SupportedVersions []string `yaml:"supported_versions"`
	// DeprecatedVersions are served, with a warning in the log.
	DeprecatedVersions []string `yaml:"deprecated_versions"`

	// SessionIDEntropy is how many random bits a session id has, at least 128.
	SessionIDEntropy int `yaml:"session_id_entropy"`
	// SessionCleanupInterval is how often sessions that have timed out are
	// closed; until then they are refused already.
	SessionCleanupInterval time.Duration `yaml:"session_cleanup_interval"`
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

// ResourceRateLimits are requests per minute, a tenth of which may come at once;
// -1 is no limit.
type ResourceRateLimits struct {
	// PerAddress counts every request of an address, or of an IPv6 /64 network,
	// before its token and its body are looked at.
	PerAddress int `yaml:"per_address"`
	// PerPrincipal counts the requests of one subject and client.
	PerPrincipal int `yaml:"per_principal"`
}

// AuthToken is a static token; name it and say where it is, in one of two ways.
type AuthToken struct {
	// Name is the subject of whoever presents the token, in logs too.
	Name string `example:"backup" yaml:"name"`
	// Scopes are what it may be used for.
	Scopes []string `example:"[\"mcp:read\"]" yaml:"scopes"`
	// TokenEnv names the environment variable that holds it.
	TokenEnv string `example:"BACKUP_TOKEN" yaml:"token_env"`
	// TokenFile is a file that holds it.
	TokenFile string `yaml:"token_file"`
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
