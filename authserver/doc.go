// Package authserver is the OAuth 2.1 authorization server.
//
// It owns the protocol: client authentication (RFC 6749 §2.3, RFC 7523 §2.2),
// the token endpoint with one file per grant type, access tokens as JWT
// (RFC 9068) and as opaque references, resource indicators (RFC 8707),
// pushed requests (RFC 9126), devices (RFC 8628), ID tokens and userinfo (OpenID
// Connect Core), introspection (RFC 7662), revocation (RFC 7009), the metadata
// documents (RFC 8414, OpenID Connect Discovery) and the feed of revocations
// that resource servers poll (RFC 8417, RFC 8936).
//
// A request travels one way: edge (limits, headers, one log event), parse
// (params.go), decide (the endpoint or grant), one storage call, respond
// (respond.go, errors.go). Handlers return errors; only respond.go writes.
//
// The dispatch of the token endpoint is fosite's; everything it dispatches to
// is written here, and no fosite type leaves this package. The package knows
// the storage contract and no engine; it never trusts the Host header, and it
// keeps no state that another replica on the same store would miss.
package authserver
