// Package keys owns the server's signing keys: it generates them, seals them at
// rest, rotates them with overlap, publishes their public halves, signs with
// the one whose turn it is and verifies what they signed.
//
// Replicas agree through [storage.Keys] alone. Who signs when is a function of
// the stored rows and the clock, so nobody is elected and nobody is asked:
//
//   - A key is published from its creation and signs from ActivateAt until a
//     younger key's ActivateAt. It stays published for [Config].Lifetime after
//     that, until the last token it signed is dead, and is then removed.
//   - A key with RetiredAt is gone at once: it neither signs nor verifies and
//     is not published.
//   - Generations are unique in the store. Replicas that create a successor at
//     the same time ask for the same generation; one wins, the others reload.
//
// A key is trusted because it opens under a seal key, never because it is in
// the store: whoever can write to the database but does not hold a seal key
// can withdraw keys, but cannot make the server publish or accept their own.
//
// The package refuses to sign without an explicit type (RFC 8725 §3.11), to
// verify with anything but its own published keys, and to let a token choose
// its algorithm (RFC 8725 §3.1). It knows nothing of claims: their times,
// issuer and audience are the caller's to judge.
//
// It implements RFC 7515 (compact serialization), RFC 7517 (JWK Set), RFC 7518
// §3.3 to §3.5 (RS256, ES256, PS256), RFC 8037 (EdDSA with Ed25519) and RFC 7638
// (thumbprints as kid).
package keys
