package notes

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// maxFile bounds what is read at start: every note at its largest, escaped.
const maxFile = maxNotes * (maxText + maxTitle + 1024) * 6

// contents is the form of the file.
type contents struct {
	Version int    `json:"version"`
	Notes   []Note `json:"notes"`
}

// load reads the notes of file; a missing file is an empty notebook. What a
// killed process left half-written is ignored, the next save replaces it.
func load(file string) (map[string]Note, error) {
	notes := map[string]Note{}
	if file == "" {
		return notes, nil
	}
	dir, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // only a handle
	info, err := dir.Stat(filepath.Base(file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notes, nil
	case err != nil:
		return nil, err
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is too large to be a notebook", file)
	}
	body, err := dir.ReadFile(filepath.Base(file))
	if err != nil {
		return nil, err
	}
	var c contents
	if err := json.Unmarshal(body, &c); err != nil || c.Version != 1 {
		return nil, fmt.Errorf("%s is not a notebook of version 1: %w", file, cmp.Or(err, errors.ErrUnsupported))
	}
	for _, note := range c.Notes {
		notes[note.ID] = note
	}
	return notes, nil
}

// save replaces file with notes: whoever reads it, and whenever the process is
// killed, finds the old notes or the new ones. It returns when they are on
// disk. One process has one notebook, whose lock the caller holds.
func save(file string, notes map[string]Note) error {
	if file == "" {
		return nil
	}
	list := slices.SortedFunc(maps.Values(notes), func(x, y Note) int { return cmp.Compare(x.ID, y.ID) })
	body, err := json.MarshalIndent(contents{Version: 1, Notes: list}, "", "\t")
	if err != nil {
		return err
	}
	dir, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only a handle
	name := filepath.Base(file)
	if err := writeDurably(dir, name+temporary, body); err != nil {
		return err
	}
	if err := dir.Rename(name+temporary, name); err != nil {
		return err
	}
	return syncDurably(dir)
}

// temporary ends the name of the file that becomes the notebook.
const temporary = ".tmp"

func writeDurably(dir *os.Root, name string, body []byte) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = f.Chmod(0o600) // it may be what another process left behind
	if err == nil {
		_, err = f.Write(body)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDurably makes a rename in dir durable.
func syncDurably(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
