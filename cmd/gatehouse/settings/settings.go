package settings

import (
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Settings is the whole file.
type Settings struct {
	// Issuer is the issuer identifier of the authorization server (RFC 8414):
	// an https URL without query, fragment and trailing slash. Plain http is
	// for loopback only. Everything the server says about itself derives from
	// it, never from a request. Required.
	Issuer string `yaml:"issuer"`

	// Listen is the address the authorization server listens on, host:port.
	// The host localhost means 127.0.0.1 and ::1; an empty host means every
	// address.
	Listen string `yaml:"listen"`

	// MetricsListen gives the authorization server's /metrics an address of
	// its own, by plain http, where /health and /ready are as well; empty serves
	// it beside everything else.
	MetricsListen string `yaml:"metrics_listen"`

	// Database is where the authorization server keeps its state. The flags
	// --database-url and --data and the variable DATABASE_URL come first.
	Database Database `yaml:"database"`

	// SealKeyFile holds the keys that seal private keys at rest: 32 random
	// bytes in base64 per line; the first seals, all open. The variables
	// GATEHOUSE_SEAL_KEY (the keys themselves) and GATEHOUSE_SEAL_KEY_FILE come
	// first. Required for the authorization server.
	SealKeyFile string `yaml:"seal_key_file"`

	// TLS is the authorization server's certificate; without one it serves
	// plain HTTP, which is right behind a proxy that terminates TLS.
	TLS TLS `yaml:"tls"`

	// TrustedProxies are the networks of the reverse proxies in front of the
	// authorization server, as in "10.0.0.0/8": their X-Forwarded-For tells whom
	// a request is from. Behind a proxy that is not listed all people share what
	// one address may try and register.
	TrustedProxies []string `yaml:"trusted_proxies"`

	// Memory is the heap the process may reach before the garbage collector
	// starts to work, and so a floor of its memory use. GOGC, GOMEMLIMIT and a
	// container's limit are respected.
	Memory Bytes `yaml:"memory"`

	// Resources are the protected resources (RFC 8707) that tokens are issued
	// for. At least one is required.
	Resources []Resource `yaml:"resources"`

	// Scopes adds to the catalog, by name, or replaces one of its entries.
	// mcp:read, mcp:write, mcp:tools and mcp:admin are always there.
	Scopes map[string]Scope `example:"\"files:read\"" yaml:"scopes"`

	// Tokens are the lifetimes and algorithms of tokens.
	Tokens Tokens `yaml:"tokens"`

	// Login is how people sign in.
	Login Login `yaml:"login"`

	// Registration is how clients become known by themselves.
	Registration Registration `yaml:"registration"`

	// RateLimits bound what strangers may cause from one address, or one /64
	// network of IPv6; each process counts for itself. What is over them is
	// refused with 429.
	RateLimits RateLimits `yaml:"rate_limits"`

	// Brand is how the pages look.
	Brand Brand `yaml:"brand"`

	// SecurityLog is where security events go: failed client authentication,
	// refusals, revocations, key changes.
	SecurityLog SecurityLog `yaml:"security_log"`

	// ResourceServer is the protected MCP endpoint.
	ResourceServer ResourceServer `yaml:"resource_server"`
}

// Database names one engine; with neither key set it is the embedded one in
// the data directory.
type Database struct {
	// SQLite is the path of the database file; one node.
	SQLite string `yaml:"sqlite"`
	// Postgres is a connection URL. Leave the password out of it and use
	// DATABASE_URL, PGPASSWORD or a password file.
	Postgres string `yaml:"postgres"`
	// MaxConns bounds the connections to Postgres; 0 is four per processor.
	MaxConns int `yaml:"max_conns"`
}

// TLS is a certificate and its key. Both files are read again when they change.
type TLS struct {
	// Certificate is the PEM file of the certificate chain.
	Certificate string `yaml:"certificate"`
	// Key is the PEM file of the private key.
	Key string `yaml:"key"`
}

// Resource is a protected resource.
type Resource struct {
	// Identifier is the absolute URL of the resource, a token's audience.
	Identifier string `yaml:"identifier"`
	// Name is what people call it, as in "Claude wants to use your notes";
	// empty shows the host.
	Name string `yaml:"name"`
	// Scopes are those that make sense there; empty means the whole catalog.
	Scopes []string `yaml:"scopes"`
	// TokenFormat of clients that have none of their own: jwt or opaque.
	TokenFormat storage.TokenFormat `yaml:"token_format"`
}

// Scope is an entry of the catalog.
type Scope struct {
	// Description tells a person what granting it allows; verb first.
	Description string `example:"Read your files" yaml:"description"`
	// Sensitive scopes are set apart when a person is asked for consent.
	Sensitive bool `yaml:"sensitive"`
	// Implies names narrower scopes that this one includes.
	Implies []string `example:"[]" yaml:"implies"`
}

// Tokens are the lifetimes and algorithms of tokens.
type Tokens struct {
	// AccessTokenLifetime is at most 24h.
	AccessTokenLifetime time.Duration `yaml:"access_token_lifetime"`
	// CodeLifetime of authorization codes; at most 10m.
	CodeLifetime time.Duration `yaml:"code_lifetime"`
	// RefreshTokenLifetime is how long a connected app that is not used stays
	// connected; each refresh begins it anew.
	RefreshTokenLifetime time.Duration `yaml:"refresh_token_lifetime"`
	// RefreshReuseWindow is how long after its use a refresh token still gets
	// the same successor, because clients lose answers and share tokens between
	// processes; later it counts as stolen. 0s is strict, 10m the most.
	RefreshReuseWindow time.Duration `yaml:"refresh_reuse_window"`
	// RefreshOnlyOffline gives refresh tokens only to clients that ask for
	// offline_access; many MCP clients never do.
	RefreshOnlyOffline bool `yaml:"refresh_only_offline"`
	// SigningAlg is ES256, EdDSA, PS256 or RS256.
	SigningAlg string `yaml:"signing_alg"`
	// KeyRotation is how long a key signs.
	KeyRotation time.Duration `yaml:"key_rotation"`
	// KeyOverlap is how long before its time the next key is published.
	KeyOverlap time.Duration `yaml:"key_overlap"`
}

// SecurityLog is the destination of security events.
type SecurityLog struct {
	// File is appended to; empty means stderr.
	File string `yaml:"file"`
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// LogFailedAuth writes refusals for want of good credentials, and of the
	// network's rules.
	LogFailedAuth bool `yaml:"log_failed_auth"`
	// LogSuccessfulAuth writes who was let in.
	LogSuccessfulAuth bool `yaml:"log_successful_auth"`
	// LogAuthorizationFailures writes refusals for want of scopes.
	LogAuthorizationFailures bool `yaml:"log_authorization_failures"`
}
