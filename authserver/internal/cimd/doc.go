// Package cimd fetches what clients publish: client ID metadata documents
// (draft-ietf-oauth-client-id-metadata-document), key sets (RFC 7517) and
// logos. It owns the only way out of this server to addresses that strangers
// name, and is built so that they gain nothing by naming them (draft, "Server
// Side Request Forgery"; MCP security best practices):
//
//   - https to port 443 of a host that is no IP literal; where the name leads
//     is checked when it is dialled, so that no later answer of the DNS counts;
//     special-purpose addresses (RFC 6890) are never dialled;
//   - no proxy, no redirect, no cookie, no decompression, one connection per
//     request; an answer is 200, of the right type, small and quick, or none.
//
// With AllowLoopback, URLs whose host is loopback may be fetched too, by http
// as well and from any port, and lead to loopback only.
//
// Trust policy: the documents of any public host are read unless AllowedHosts
// names the only ones; DeniedHosts are never contacted, whatever for. What a
// document of a trusted host names (keys, logo) may be elsewhere.
//
// It refuses to remember anything: caching, back-off and the number of fetches
// at a time are its caller's.
package cimd
