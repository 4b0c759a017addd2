package notes

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func openBook(t testing.TB, file string) *book {
	t.Helper()
	notes, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	return &book{file: file, notes: notes}
}

func TestBook_KeepsNotesAcrossRestarts(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes.json")
	b := openBook(t, file)
	now := time.Unix(1_800_000_000, 0)
	written, err := b.write(Note{Title: "Milk", Text: "and <bread> & \u2028", Author: "alice"}, now)
	if err != nil || written.ID == "" || !written.Created.Equal(now) {
		t.Fatalf("%+v, %v", written, err)
	}
	changed, err := b.write(Note{ID: written.ID, Title: "Oat milk", Author: "bob"}, now.Add(time.Hour))
	if err != nil || !changed.Created.Equal(now) || !changed.Updated.Equal(now.Add(time.Hour)) {
		t.Fatalf("%+v, %v", changed, err)
	}
	gone, err := b.write(Note{Title: "Gone"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.delete(gone.ID); err != nil {
		t.Fatal(err)
	}
	if again := openBook(t, file).list(""); len(again) != 1 || again[0] != changed {
		t.Errorf("after a restart: %+v", again)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestBook_ListIsNewestFirstAndSearches(t *testing.T) {
	t.Parallel()
	b := openBook(t, "")
	for i, title := range []string{"Milk", "Bread", "milkman"} {
		if _, err := b.write(Note{Title: title}, time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	titles := func(query string) (all []string) {
		for _, note := range b.list(query) {
			all = append(all, note.Title)
		}
		return all
	}
	if got := fmt.Sprint(titles("")); got != "[milkman Bread Milk]" {
		t.Error(got)
	}
	if got := fmt.Sprint(titles("MILK")); got != "[milkman Milk]" {
		t.Error(got)
	}
}

func TestBook_BoundsAreKept(t *testing.T) {
	t.Parallel()
	b := openBook(t, "")
	for want, note := range map[error]Note{
		errTitle:    {Title: strings.Repeat("x", maxTitle+1)},
		errText:     {Title: "x", Text: strings.Repeat("x", maxText+1)},
		errNotFound: {ID: "../../etc/passwd", Title: "x"},
	} {
		if _, err := b.write(note, time.Now()); !errors.Is(err, want) {
			t.Errorf("%.20v: %v, want %v", note, err, want)
		}
	}
	for _, title := range []string{"", "two\nlines", "nul\x00", "\xff"} {
		if _, err := b.write(Note{Title: title}, time.Now()); !errors.Is(err, errTitle) {
			t.Errorf("%q: %v", title, err)
		}
	}
	if err := b.delete("none"); !errors.Is(err, errNotFound) {
		t.Error(err)
	}
	for range maxNotes {
		if _, err := b.write(Note{Title: "x"}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.write(Note{Title: "one more"}, time.Now()); !errors.Is(err, errFull) {
		t.Error(err)
	}
	if _, err := b.write(Note{ID: b.list("")[0].ID, Title: "changed"}, time.Now()); err != nil {
		t.Errorf("changing one in a full book: %v", err)
	}
}

func TestBook_AFailedSaveChangesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "removed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := openBook(t, filepath.Join(dir, "notes.json"))
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := b.write(Note{Title: "x"}, time.Now()); err == nil || len(b.list("")) != 0 {
		t.Errorf("%v, %v", err, b.list(""))
	}
}

func TestBook_RefusesFilesThatAreNotItsOwn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes.json")
	for _, body := range []string{"", "{", "[]", `{"version":2,"notes":[]}`} {
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", body, err)
		}
	}
	if err := os.Truncate(file, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := load(file); err == nil {
		t.Error("a huge file was read")
	}
}

func TestBook_ConcurrentWritersLoseNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes.json")
	b := openBook(t, file)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			note, err := b.write(Note{Title: fmt.Sprint(i)}, time.Now())
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := b.read(note.ID); err != nil {
				t.Error(err)
			}
			b.list("")
		})
	}
	wg.Wait()
	if n := len(openBook(t, file).list("")); n != 20 {
		t.Errorf("%d notes", n)
	}
}

// writerFile makes this test binary a process that writes notes to that file,
// one after the other, and prints the id of each when it is stored.
const writerFile = "NOTES_TEST_WRITER_FILE"

func TestBook_SurvivesKill(t *testing.T) {
	t.Parallel()
	if file := os.Getenv(writerFile); file != "" {
		writeForever(t, file)
	}
	file := filepath.Join(t.TempDir(), "notes.json")
	var stored []string
	for round := range 3 {
		stored = append(stored, writeUntilKilled(t, file)...)
		b := openBook(t, file)
		for _, id := range stored {
			if _, err := b.read(id); err != nil {
				t.Errorf("round %d: note %q: %v", round, id, err)
			}
		}
	}
}

func writeForever(t *testing.T, file string) {
	t.Helper()
	b := openBook(t, file)
	for {
		note, err := b.write(Note{Title: "x", Text: strings.Repeat("x", 10_000)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("stored", note.ID)
	}
}

// writeUntilKilled returns the ids of what a process had stored when it was
// killed in the middle of writing more.
func writeUntilKilled(t *testing.T, file string) (stored []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBook_SurvivesKill$")
	cmd.Env = append(os.Environ(), writerFile+"="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		stored = append(stored, strings.TrimPrefix(lines.Text(), "stored "))
		if len(stored) == 5 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(stored) < 5 {
		t.Fatalf("the writer was not killed: %q", stored)
	}
	return stored
}
