// Package oauthclient is the client side of OAuth as the commands need it:
// find an authorization server (RFC 8414, OpenID Connect Discovery, RFC 9728),
// get a token with client credentials (RFC 6749 §4.4, RFC 7523, RFC 8707),
// introspect and revoke it (RFC 7662, RFC 7009).
//
// It speaks to any issuer, not only ours. It sends a credential only over TLS
// or to this machine, follows no redirect, and never prints a secret.
package oauthclient
