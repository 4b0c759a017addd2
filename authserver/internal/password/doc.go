// Package password keeps people's passwords: argon2id (RFC 9106) as PHC strings,
// with bounded memory and a bounded queue, and the rules a new password must
// meet.
//
// A password is the bytes that the browser sent. It is not normalised (RFC 8265
// §4.2 would apply Unicode NFC): browsers send what keyboards compose, which is
// the same everywhere for all but a few people, and a rule that cannot be taken
// back once hashes exist must not be added lightly.
//
// It refuses to know users: who is unknown is verified against nothing, at the
// same cost.
package password
