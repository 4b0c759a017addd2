// Package sqlite is the embedded engine of package storage: one SQLite
// database in a file for one durable node, or in memory for tests.
//
// All writes go through one connection with BEGIN IMMEDIATE, so that writers
// queue in Go instead of failing on a lock; reads use a pool beside it, which
// the write-ahead log never blocks. A write is answered after it was synced
// (synchronous=FULL). Any number of processes of one machine may use one file
// at the same time; a network file system is no place for it, because the
// write-ahead log needs shared memory.
//
// A step of the contract that decides something reads what it decides by in the
// very transaction that writes: nothing can move in between, and a step that
// refuses leaves nothing but what the contract says it does.
//
// The package does not migrate a file on its own (see [Migrator]), keeps no
// goroutine while idle, and never asks the clock what expired. Lists are stored as JSON
// arrays: no character needs to be forbidden as a separator, and sqlite3's
// own tools can read them.
package sqlite
