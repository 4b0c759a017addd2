// Package conformance holds what is proven about the protected endpoint as a
// whole: the fixture server behind the real gate, resourceserver.Protect in front
// of the streamable endpoint, with every protection on and tokens of the test
// issuer.
//
// Three proofs live here. The MCP conformance suite runs against it; the suite
// knows no tokens, so a proxy adds one to each request. The matrix asks every
// verb with every kind of token, Origin and Host and compares the answers with a
// golden table. COVERAGE.md tells for every requirement which tests prove it,
// read from the names of the tests of the whole module; none may be without.
//
// The suite needs Node.js and the build tag "conformance"; the rest needs
// neither. README.md has the commands.
package conformance
