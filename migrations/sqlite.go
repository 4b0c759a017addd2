package migrations

import "embed"

//go:embed sqlite/*.sql
var sqliteFiles embed.FS

// SQLite is the schema of the embedded engine.
func SQLite() Source { return Source{files: sqliteFiles, dir: "sqlite"} }
