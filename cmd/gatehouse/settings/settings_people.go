package settings

import "time"

// Login is how people sign in.
type Login struct {
	// Passwords lets people with a local account sign in with a password;
	// without it they use a passkey or sign in elsewhere.
	Passwords bool `yaml:"passwords"`
	// SessionLifetime is how long a browser that is not used stays signed in;
	// 30 days after it signed in it ends in any case.
	SessionLifetime time.Duration `yaml:"session_lifetime"`
	// Upstreams are OpenID providers that people may sign in with. Whoever
	// signs in for the first time gets an account.
	Upstreams []Upstream `yaml:"upstreams"`
}

// Upstream is an OpenID provider.
type Upstream struct {
	// ID stands in addresses: lower-case letters, digits and hyphens. Register
	// ISSUER/login/upstream/ID as redirect URI at the provider.
	ID string `yaml:"id"`
	// Name is how people know the provider.
	Name string `yaml:"name"`
	// Issuer is its issuer identifier.
	Issuer string `yaml:"issuer"`
	// ClientID is what the provider calls this server.
	ClientID string `yaml:"client_id"`
	// ClientSecretFile holds the secret that goes with it.
	ClientSecretFile string `yaml:"client_secret_file"`
	// Scopes are asked for besides openid.
	Scopes []string `yaml:"scopes"`
	// AllowedDomains limits who may sign in to these domains of verified
	// e-mail addresses; empty means everybody the provider lets in.
	AllowedDomains []string `yaml:"allowed_domains"`
}

// Registration is how clients become known by themselves.
type Registration struct {
	// DCR is dynamic client registration (RFC 7591, RFC 7592).
	DCR DCR `yaml:"dcr"`
	// CIMD are client ID metadata documents: the client_id is the URL of a
	// document that the client publishes.
	CIMD CIMD `yaml:"cimd"`
}

// DCR is dynamic client registration.
type DCR struct {
	// Enabled lets clients register themselves.
	Enabled bool `yaml:"enabled"`
	// InitialAccessTokenFile holds tokens, one per line, that allow to
	// register clients of every kind.
	InitialAccessTokenFile string `yaml:"initial_access_token_file"`
	// RequireInitialAccessToken lets nobody register without one of them.
	RequireInitialAccessToken bool `yaml:"require_initial_access_token"`
	// UnusedLifetime is how long a client that was never used is kept.
	UnusedLifetime time.Duration `yaml:"unused_lifetime"`
	// PerAddress is how many clients one address may register in an hour.
	PerAddress int `yaml:"per_address"`
}

// CIMD is the policy for client ID metadata documents.
type CIMD struct {
	// Enabled reads them.
	Enabled bool `yaml:"enabled"`
	// AllowedHosts, if there are any, are the only hosts whose documents are
	// read. A name that begins with a dot stands for every host below it.
	AllowedHosts []string `yaml:"allowed_hosts"`
	// DeniedHosts are never asked.
	DeniedHosts []string `yaml:"denied_hosts"`
	// AllowLoopback reads documents from this machine too, by plain http as
	// well. For development only.
	AllowLoopback bool `yaml:"allow_loopback"`
}

// RateLimits bound what strangers may cause from one address.
type RateLimits struct {
	// RequestsPerMinute is how many authorization requests, pushed ones, device
	// authorizations and passkeys are taken, and twice as many at once.
	RequestsPerMinute int `yaml:"requests_per_minute"`
	// DocumentsPerHour is how many metadata documents of clients that are not
	// known yet are fetched.
	DocumentsPerHour int `yaml:"documents_per_hour"`
}

// Brand is how the pages look.
type Brand struct {
	// Name of the product on every page.
	Name string `yaml:"name"`
	// Logo is an SVG or PNG file shown above it.
	Logo string `yaml:"logo"`
	// Accent is the colour of buttons and links, as in "#1f5c4d".
	Accent string `yaml:"accent"`
}
