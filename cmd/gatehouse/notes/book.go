package notes

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of the notebook. Each write replaces the whole file, so it has to
// stay small.
const (
	maxNotes = 1000
	maxTitle = 200      // bytes
	maxText  = 16 << 10 // bytes
)

// Errors that a caller can act on. Their text is shown to the model.
var (
	errNotFound = errors.New("there is no note with this id; list_notes shows the ids")
	errFull     = fmt.Errorf("the notebook is full with %d notes; delete_note makes room", maxNotes)
	errTitle    = fmt.Errorf("a note needs a title of 1 to %d bytes without line breaks", maxTitle)
	errText     = fmt.Errorf("a text has at most %d bytes", maxText)
)

// Note is one entry of the notebook.
type Note struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Text    string    `json:"text"`
	Author  string    `json:"author,omitempty"` // subject of the token that wrote it last
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// book holds the notes in memory and writes every change through to its file
// before anyone can see it.
type book struct {
	file string // empty: memory only

	mu    sync.RWMutex
	notes map[string]Note // never modified in place
}

// list returns the notes whose title or text contains query, in any case, the
// last changed first.
func (b *book) list(query string) []Note {
	query = strings.ToLower(query)
	all := slices.Collect(maps.Values(b.snapshot()))
	all = slices.DeleteFunc(all, func(n Note) bool { return !strings.Contains(strings.ToLower(n.Title+"\n"+n.Text), query) })
	slices.SortFunc(all, func(x, y Note) int {
		return cmp.Or(y.Updated.Compare(x.Updated), cmp.Compare(x.ID, y.ID))
	})
	return all
}

func (b *book) snapshot() map[string]Note {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.notes
}

func (b *book) read(id string) (Note, error) {
	note, found := b.snapshot()[id]
	if !found {
		return Note{}, errNotFound
	}
	return note, nil
}

// write stores a note; without an id it is a new one. When it returns without
// an error the note is on disk.
func (b *book) write(n Note, now time.Time) (Note, error) {
	switch {
	case n.Title == "" || len(n.Title) > maxTitle || strings.ContainsAny(n.Title, "\r\n\x00") || !utf8.ValidString(n.Title):
		return Note{}, errTitle
	case len(n.Text) > maxText || !utf8.ValidString(n.Text):
		return Note{}, errText
	}
	n.Created, n.Updated = now.UTC(), now.UTC()
	err := b.change(func(notes map[string]Note) error {
		switch old, found := notes[n.ID]; {
		case found:
			n.Created = old.Created
		case n.ID != "":
			return errNotFound
		case len(notes) >= maxNotes:
			return errFull
		default:
			n.ID = newID(notes)
		}
		notes[n.ID] = n
		return nil
	})
	return n, err
}

func (b *book) delete(id string) error {
	return b.change(func(notes map[string]Note) error {
		if _, found := notes[id]; !found {
			return errNotFound
		}
		delete(notes, id)
		return nil
	})
}

// change edits a copy of the notes, saves it and makes it the current one.
func (b *book) change(edit func(map[string]Note) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := maps.Clone(b.notes)
	if err := edit(next); err != nil {
		return err
	}
	if err := save(b.file, next); err != nil {
		return err
	}
	b.notes = next
	return nil
}

// newID returns a short id that is not taken. Ids are names, not secrets.
func newID(notes map[string]Note) string {
	for {
		id := strings.ToLower(rand.Text()[:10])
		if _, taken := notes[id]; !taken {
			return id
		}
	}
}
