// Package pgtest gives tests a throw-away Postgres: a server started from the
// machine's own initdb and postgres programs, reachable through a unix socket
// only, tuned for speed instead of durability, and gone with the process that
// started it, however that process ends.
//
// Most tests want [Database]. Test processes share the server that
// TEST_DATABASE_URL names (the program pgrun starts one for a whole command);
// without it each process starts its own on first use. A test that stops the
// server makes one of its own with [NewServer].
//
// It is for tests alone: its servers trust every local connection that can
// reach the socket's directory, which only the account that runs them can.
package pgtest
