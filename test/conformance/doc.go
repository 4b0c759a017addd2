// Package conformance runs the MCP conformance suite against the fixture
// server behind the real gate: resourceserver.Protect in front of the
// streamable endpoint, with tokens of the test issuer.
//
// The suite knows no tokens, so a proxy adds one to each request. Only the
// proxy and the reading of results are compiled by default; the test itself
// needs Node.js and the build tag "conformance". README.md has the commands.
package conformance
