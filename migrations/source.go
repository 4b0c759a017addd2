package migrations

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"

	"github.com/golang-migrate/migrate/v4/source"
)

// Migration is one step of a schema.
type Migration struct {
	Version uint
	Name    string // the title in its file name
}

// Source is the schema of one engine: a folder of migrations.
type Source struct {
	files fs.FS
	dir   string
}

// Migrations lists all steps, oldest first.
func (s Source) Migrations() ([]Migration, error) {
	entries, err := fs.ReadDir(s.files, s.dir)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	var all []Migration
	for _, entry := range entries {
		m, err := source.DefaultParse(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("migrations: %s: %w", entry.Name(), err)
		}
		if m.Direction == source.Up {
			all = append(all, Migration{Version: m.Version, Name: m.Identifier})
		}
	}
	slices.SortFunc(all, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return all, nil
}

// Newest returns the version of the last step: the one a server needs at
// least.
func (s Source) Newest() (uint, error) {
	all, err := s.Migrations()
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[len(all)-1].Version, nil
}
