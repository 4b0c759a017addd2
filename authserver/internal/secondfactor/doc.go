// Package secondfactor makes and judges the codes of a second step: time-based
// ones (RFC 6238 with SHA-1, six digits and steps of 30 seconds, which is what
// authenticator apps do) and recovery codes.
//
// It remembers nothing: that a step or a recovery code is good once is the
// store's decision, and sealing a secret is its owner's.
package secondfactor
