package resourceserver

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

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

// Config is all a [Server] needs. Resource is required, and who issues tokens;
// every other zero value is safe: without AllowRemote only this machine may
// connect.
type Config struct {
	// Resource is the canonical resource identifier (RFC 9728 §1.2, RFC 8707):
	// the URL that clients use, https or on loopback http, without query and
	// fragment. It is the audience that a token must have.
	Resource string
	// ResourceName is for people, in the metadata.
	ResourceName string

	// Issuer is the issuer identifier of the authorization server (RFC 8414
	// §2), https or on loopback http. Empty turns OAuth off: then StaticTokens
	// or Validate must say who may pass, and there is no metadata.
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

	// The rules of the network, in the order in which they are applied. They
	// hold for every verb and every path of [Server.Protect] and [Server.Edge].

	// TrustedProxies are the networks of the reverse proxies in front: whom
	// they have a request from, and whether it came by https, is what their
	// X-Forwarded-For, X-Forwarded-Proto or Forwarded (RFC 7239) say, of which
	// only the part that trusted proxies wrote counts. From anybody else these
	// headers mean nothing. A proxy has to write one of the two kinds on every
	// request; if both are there and differ, that is whoever sent the request, who
	// gets 400. A client whom a proxy does not name ("unknown") may connect only
	// where everybody may. X-Forwarded-Host is never believed.
	TrustedProxies []netip.Prefix
	// AllowRemote lets other machines connect: the opposite of the setting
	// localhost_only, so that the zero value is the safe one.
	AllowRemote bool
	// AllowedIPs may connect. Without AllowRemote they may beside loopback,
	// with it they are the only ones unless there are none.
	AllowedIPs []netip.Prefix
	// RequireHTTPS refuses plain http with 403; there is no redirect, because
	// the token has been on the wire already.
	RequireHTTPS bool
	// LoopbackHTTP exempts loopback addresses from RequireHTTPS; for
	// development.
	LoopbackHTTP bool
	// IsHTTPS replaces the rule that decides whether a request came by https
	// (a TLS connection, or the word of a trusted proxy).
	IsHTTPS func(*http.Request) bool
	// AllowedOrigins may call from a browser, beside the resource's own
	// origin. Each is a whole origin ("https://app.example"), a host with or
	// without port ("app.example", "[::1]:8080"), or a regular expression
	// between slashes, which has to match all of the host, or of the origin if
	// it contains "://" ("/.*\.example\.com/", "/https:\/\/app-[0-9]+\.example/").
	// A host without port stands for all of its ports, over http too. Names are
	// in the ASCII form that browsers send.
	AllowedOrigins []string
	// AllowedHosts are Host headers accepted beside that of Resource, for
	// proxies that do not keep it: "mcp.internal:8080".
	AllowedHosts []string
	// CORS is what a browser is told.
	CORS CORS
	// SecurityHeaders replaces headers that every answer carries, or adds some;
	// an empty value leaves one out.
	SecurityHeaders map[string]string
	// RateLimits bound requests per address and per principal.
	RateLimits RateLimits
	// MaxBodyBytes bounds a request body; default 4 MiB.
	MaxBodyBytes int64
	// MaxHeaders bounds the number of header fields; default 100.
	MaxHeaders int

	// AuthExemptPaths pass [Server.Protect] without a token ("/health"), within
	// the rules of the network. A path is compared as it was sent, byte for byte:
	// no other spelling is exempt. The path of Resource cannot be. The headers
	// that may hold a token are gone there too.
	AuthExemptPaths []string
	// AuthHeaderName is the header that carries the token; default
	// Authorization. In another one the scheme "Bearer" may be left out.
	AuthHeaderName string
	// StaticTokens are accepted beside those of the issuer, or instead of them.
	StaticTokens []StaticToken
	// Validate decides about tokens that are no JWTs, instead of introspection,
	// and without an issuer about all. It returns what the token says, or an
	// error: a [*Refusal] as it is (temporarily_unavailable with 503, when it
	// cannot tell), any other refuses the token as invalid, as does no token at
	// all; a panic is answered with 500. ExpiresAt is required: it bounds how long
	// the token may be used without asking again. Issuer and ClientID may be empty,
	// and so may Audience: a token with one must be for Resource. Answers are
	// remembered like those of introspection, and the issuer's revocations hold for
	// them unless they name another issuer. ctx ends after 5 seconds; many requests
	// may wait for one call, which goes on when they leave. At most 64 calls run
	// at a time.
	Validate func(ctx context.Context, token string) (*AccessToken, error)

	// Logger receives operational messages and one event per request; nil
	// discards. SecurityLog receives what SecurityEvents says; nil uses Logger.
	Logger         *slog.Logger
	SecurityLog    *slog.Logger
	SecurityEvents SecurityEvents
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

// StaticToken is a token that does not come from the issuer. It lives as long
// as the configuration; revocations of the issuer do not concern it, so that
// one that got about is replaced here. Printing it does not show the secret.
type StaticToken struct {
	// Name is the subject and client_id of whoever presents it, in logs too;
	// [StaticIssuer] is the issuer. Sessions are bound to all three.
	Name string
	// Token is random and has at least 32 bytes: letters, digits, "-._~+/", and
	// "=" at the end.
	Token string
	// Scopes are what it may be used for.
	Scopes []string
}

// String leaves the secret out.
func (t StaticToken) String() string { return t.Name + ":[redacted]" }

// GoString leaves the secret out.
func (t StaticToken) GoString() string { return t.String() }

// LogValue leaves the secret out.
func (t StaticToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// CORS is what browsers are told (Fetch standard). Credentials such as cookies
// are never allowed: the token stands in a header.
type CORS struct {
	// Off sends none of these headers and treats a preflight like any other
	// request.
	Off bool
	// Origins may read answers, written as in AllowedOrigins or "*"; default
	// those that may call.
	Origins []string
	// Methods, default GET, POST and DELETE.
	Methods []string
	// Headers that a script may send beside those of the protocol.
	Headers []string
	// MaxAge is how long a browser may remember a preflight; default 10
	// minutes, negative for not at all.
	MaxAge time.Duration
}

// RateLimits are requests per minute; a tenth of a minute's may come at once.
// Zero is the default of 6000, a negative value no limit. Each process counts
// for itself.
type RateLimits struct {
	// PerAddress counts every request of an address, or of an IPv6 /64 network,
	// before its token and its body are looked at.
	PerAddress int
	// PerPrincipal counts the requests of one issuer, subject and client.
	PerPrincipal int
}

// SecurityEvents selects what is written to the security log; the zero value
// is all refusals, as warnings, except that the first request of a client that
// has no token yet is information. Each has the request_id, the remote_addr,
// method and name, subject and client_id as far as they are known, and the
// reason; a refusal for want of scopes also those needed and those held, so that
// it can be told later why a client came back with more. None has a token.
type SecurityEvents struct {
	// NoFailedAuth leaves out refusals for want of a good token, and of the
	// network's rules.
	NoFailedAuth bool
	// NoAuthorizationFailures leaves out refusals for want of scopes.
	NoAuthorizationFailures bool
	// SuccessfulAuth adds the requests that passed.
	SuccessfulAuth bool
}
