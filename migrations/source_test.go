package migrations

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

// everything is what this package must embed.
//
//go:embed */*.sql
var everything embed.FS

// Versions count from 1 without gaps, every step has a way back, and no file
// is left out by its name.
func TestSource_FilesAreComplete(t *testing.T) {
	t.Parallel()
	for _, src := range []Source{SQLite(), Postgres()} {
		steps, err := src.Migrations()
		if err != nil || len(steps) == 0 {
			t.Fatalf("%s: %v (%v)", src.dir, steps, err)
		}
		for i, step := range steps {
			if step.Version != uint(i+1) {
				t.Errorf("%s: step %d has version %d", src.dir, i+1, step.Version)
			}
			wantBothWays(t, src, step)
		}
		onDisk, err := fs.ReadDir(everything, src.dir)
		if err != nil || len(onDisk) != 2*len(steps) {
			t.Errorf("%s: %d files for %d steps (%v)", src.dir, len(onDisk), len(steps), err)
		}
		newest, err := src.Newest()
		if err != nil || newest != uint(len(steps)) {
			t.Errorf("%s: newest is %d (%v)", src.dir, newest, err)
		}
	}
}

func wantBothWays(t *testing.T, src Source, step Migration) {
	t.Helper()
	for _, direction := range []string{"up", "down"} {
		name := fmt.Sprintf("%s/%06d_%s.%s.sql", src.dir, step.Version, step.Name, direction)
		text, err := fs.ReadFile(src.files, name)
		if err != nil || strings.TrimSpace(string(text)) == "" {
			t.Errorf("%s is missing or empty (%v)", name, err)
		}
	}
}
