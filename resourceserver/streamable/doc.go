// Package streamable serves one go-sdk MCP server over Streamable HTTP in all
// protocol revisions on one endpoint: 2026-07-28 and newer without sessions,
// 2025-11-25 and older with them.
//
// It owns what the SDK leaves open: which revisions are served and which era a
// request belongs to, the number, the owners and the end of sessions, resumable
// streams that only their owner can resume, headers of event streams, state
// that a client carries ([StateSealer]), errors that say nothing of the inside,
// and the rule that a list shows, and a call reaches, only what the token may
// use ([FilterLists]).
//
// It refuses to authenticate. The identity arrives as the SDK's auth.TokenInfo,
// which the package resourceserver puts there; Host, Origin and the HTTP 403
// with its challenge are also decided there, before this package sees the
// request. Handlers of tools read req.Extra.TokenInfo: the context of a
// stateful session belongs to the request that opened it.
//
// It implements the transport chapters of MCP 2025-03-26, 2025-06-18,
// 2025-11-25 and 2026-07-28.
package streamable
