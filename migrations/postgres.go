package migrations

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"path"
)

//go:embed postgres/*.sql
var postgresFiles embed.FS

// Postgres is the schema of the Postgres engine.
func Postgres() Source { return Source{files: postgresFiles, dir: "postgres"} }

// Digest returns the SHA-256 of the source's files and their names: two
// sources with one digest make the same schema.
func (s Source) Digest() ([32]byte, error) {
	entries, err := fs.ReadDir(s.files, s.dir) // sorted by name
	if err != nil {
		return [32]byte{}, fmt.Errorf("migrations: %w", err)
	}
	hash := sha256.New()
	for _, entry := range entries {
		text, err := fs.ReadFile(s.files, path.Join(s.dir, entry.Name()))
		if err != nil {
			return [32]byte{}, fmt.Errorf("migrations: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", entry.Name(), len(text), text)
	}
	return [32]byte(hash.Sum(nil)), nil
}
