// Package passkey is the relying party of WebAuthn (W3C Web Authentication
// Level 3 §7) for discoverable credentials that verify their user: such a
// passkey is two factors at once, and names its user by itself.
//
// It refuses to keep challenges. The caller makes them and judges those that
// come back: its own, in time, for this browser, and never twice.
package passkey
