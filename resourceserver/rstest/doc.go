// Package rstest is an authorization server for tests of resource servers: it
// publishes metadata and keys, answers introspection and the revocation feed,
// and mints good tokens and every kind of broken one. It serves loopback http
// and checks no more of a request than a test needs.
package rstest
