// Package postgres is the storage engine for production: several stateless
// servers on one PostgreSQL (14 or later) through a native pgx pool.
//
// It owns the SQL, which stands next to the method that runs it, the pool, the
// day-sized partitions of tokens and events, and the removal of all else that
// expires. Every method of the contract is one statement and so one round trip;
// where a step does several things (a code becomes a grant and an access token
// is stored), the statement does them all. Access tokens and events of
// concurrent callers are written together, and each caller returns when its own
// is durable.
//
// It refuses to decide anything in Go that the database can decide: single use
// and optimistic concurrency are conditions inside the statement. It keeps no
// session state, takes no advisory lock, holds no transaction open between
// statements and lets no driver error, URL or password out.
//
// The records and their semantics (RFC 6749, 7009, 7517, 7523, 7591, 7636,
// 8628, 8707, 9126) are those of package storage.
package postgres
