// Package migrations owns the schemas: one folder of SQL per engine, embedded
// in the binary, and the [Migrator] that applies them with golang-migrate.
//
// Files are named NNNNNN_title.up.sql and NNNNNN_title.down.sql. A published
// file never changes. Schemas expand first and contract a release later, so
// that a version and its successor run side by side; servers refuse a schema
// that is older than the binary and tolerate a newer one.
//
// The package opens no database (engines hand it a golang-migrate driver, and
// with it the lock that keeps two migrators apart) and imports nothing of ours.
package migrations
