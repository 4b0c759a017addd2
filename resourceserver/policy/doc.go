// Package policy says which scopes an MCP request needs.
//
// [Read] turns the body of a request into operations; a compiled [Policy]
// turns each operation into the scopes it requires. Both look at the JSON-RPC
// body alone, in every protocol revision: the headers that newer revisions
// mirror (Mcp-Method, Mcp-Name) grant nothing, and whether they agree with the
// body is the transport's question. Read is stricter than the MCP SDK's
// decoder and never more lenient; whatever both accept, both understand alike.
//
// The package knows neither tokens nor HTTP responses. It refuses to guess: a
// method it does not know costs the administrative scope; a URI that could mean
// several things costs what any of them costs; a member that some readers would
// take for another one is no message; a hook that fails opens nothing; rules
// that are probably slips are errors at start. [Policy.Explain] says for each
// decision which rule made it.
//
// It serves the MCP authorization specification (RFC 6750 §3.1
// insufficient_scope, scope selection per operation), JSON-RPC 2.0, and
// RFC 3986 §6 for the comparison of URIs.
package policy
