// Package resourceserver protects an MCP server, or any other http.Handler,
// with OAuth access tokens.
//
// [New] makes a [Server]; [Server.Protect] puts it in front of a handler,
// [Server.Metadata] tells clients where to get a token, [Server.Edge] is for
// what needs none. A request passes when it keeps the rules of the network, it
// carries exactly one bearer token that was issued for this resource and has
// not been revoked, and the token's scopes cover every operation in its body.
// Everything else is answered here, with the challenge a client needs to do
// better; the handler behind never sees it, and never sees a token either.
//
// The rules of the network, in their order: the number of header fields, the
// client's address (behind trusted proxies, as they say), https, Host and
// Origin with CORS, the rate of the address. Every answer has the security
// headers.
//
// JWT access tokens (RFC 9068) are verified locally, opaque ones by
// introspection (RFC 7662). With client credentials in the configuration the
// server also follows the issuer's revocation feed: security event tokens
// (RFC 8417) over a long poll (RFC 8936). While it has lost that feed it asks
// the issuer about every token, or refuses, as configured. Without client
// credentials there is no feed, and a JWT stands on its own until it expires.
// Answers of the issuer are remembered for 60 seconds while the feed is in
// sync and for 10 seconds while it is not. A request that is running when its
// token is revoked or expires is cancelled; one that is running when the feed
// is lost goes on until the feed tells otherwise.
//
// The package issues no tokens, keeps nothing on disk, never gives a client's
// token to anyone but the issuer or the function that it asks about it, writes
// none into a log or an answer, and knows nothing of any particular authorization server except the feed's cursor. It implements
// RFC 6750 §2.1 and §3 (header only), RFC 8414 §3, RFC 9068 §4, RFC 9728 and
// the authorization chapter of MCP up to 2026-07-28.
//
// The http.Server in front sets ReadHeaderTimeout; it leaves ReadTimeout and
// WriteTimeout at zero, because both end event streams. Bodies have their own
// time limit here.
package resourceserver
