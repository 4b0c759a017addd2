// Package clientmetadata reads what a client says about itself: the JSON that
// it registers with (RFC 7591 §2) or publishes at its client_id
// (draft-ietf-oauth-client-id-metadata-document). One parser serves both, so
// that a client that may not be registered may not be published either.
//
// It checks each member by itself: strict JSON (RFC 8259; a repeated member is
// refused, names are case sensitive), redirect URIs (OAuth 2.1 §2.3.1, RFC
// 8252 §7.3, MCP authorization "Communication Security"), public keys (RFC
// 7517), bounded and harmless text. Unknown members are ignored.
//
// It refuses to decide what a client may do: grant types, scopes and methods
// are returned as they were asked for. It fetches nothing and keeps nothing.
package clientmetadata
