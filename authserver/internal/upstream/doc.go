// Package upstream signs people in at an OpenID provider: the relying party of
// OpenID Connect Core 1.0 §3.1 with the code flow, PKCE (RFC 7636), nonce, and
// the issuer in the answer (RFC 9207) where the provider sends it.
//
// A provider is discovered when somebody first wants it and again after a
// while, so that one that is down keeps nobody else from signing in. It must
// speak https, loopback excepted.
//
// It refuses to keep tokens of the provider, to link accounts, and to remember
// what a sign-in began with: that is [Begun], which its caller keeps secret,
// whole and bound to the browser.
package upstream
