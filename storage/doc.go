// Package storage holds the records an authorization server keeps and the
// contract its engines fulfil.
//
// The contract speaks of protocol steps, not of rows: every method is one
// atomic statement (or one short write transaction on SQLite), so that single
// use and revocation are decided by the database and never by a read followed
// by a write in Go. No transaction crosses the contract and no method does
// network calls or password hashing of its own.
//
// Rules that hold for every method of every engine:
//
//   - Records returned are copies; changing one changes nothing else.
//   - "now" is a parameter. Engines never ask the clock.
//   - Times are stored with microsecond precision and returned in UTC.
//   - Errors are those of this package (compare with errors.Is) or context
//     errors; everything else is wrapped in [ErrUnavailable]. Nothing
//     specific to a driver leaves an engine.
//   - Strings must be valid UTF-8 without NUL; callers check at the edge.
//
// The package imports nothing of ours. Engines live below it; storagetest is
// the one suite that they all pass.
package storage
