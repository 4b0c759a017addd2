package migrations

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	sqlitemigrate "github.com/golang-migrate/migrate/v4/database/sqlite"
)

// three is a schema of three steps; the second may be replaced.
func three(second string) Source {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return Source{dir: "x", files: fstest.MapFS{
		"x/000001_one.up.sql":     file("CREATE TABLE one (a)"),
		"x/000001_one.down.sql":   file("DROP TABLE one"),
		"x/000002_two.up.sql":     file(second),
		"x/000002_two.down.sql":   file("DROP TABLE two"),
		"x/000010_three.up.sql":   file("CREATE TABLE three (a)"),
		"x/000010_three.down.sql": file("DROP TABLE three"),
	}}
}

const good = "CREATE TABLE two (a)"

func migrator(t *testing.T, path string, src Source) *Migrator {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	driver, err := sqlitemigrate.WithInstance(db, &sqlitemigrate.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(src, driver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data.db")
}

func wantStatus(t *testing.T, m *Migrator, version uint, dirty bool, pending ...Migration) {
	t.Helper()
	got, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != version || got.Dirty != dirty || got.Newest != 10 || !slices.Equal(got.Pending, pending) {
		t.Fatalf("status is %+v, want version %d, dirty %v, pending %v", got, version, dirty, pending)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMigrator_UpAppliesEachStepAndSaysSo(t *testing.T) {
	t.Parallel()
	m := migrator(t, newPath(t), three(good))
	one, two, last := Migration{1, "one"}, Migration{2, "two"}, Migration{10, "three"}
	wantStatus(t, m, 0, false, one, two, last)
	var applied []Migration
	must(t, m.Up(t.Context(), func(step Migration) { applied = append(applied, step) }))
	if want := []Migration{one, two, last}; !slices.Equal(applied, want) {
		t.Fatalf("progress was %v, want %v", applied, want)
	}
	wantStatus(t, m, 10, false)
	must(t, m.Up(t.Context(), func(step Migration) { t.Errorf("%v was applied again", step) }))
}

func TestMigrator_DownRevertsTheNewest(t *testing.T) {
	t.Parallel()
	m := migrator(t, newPath(t), three(good))
	must(t, m.Down(t.Context(), 1)) // nothing to revert
	must(t, m.Up(t.Context(), nil))
	must(t, m.Down(t.Context(), 0))
	wantStatus(t, m, 10, false)
	must(t, m.Down(t.Context(), 2))
	wantStatus(t, m, 1, false, Migration{2, "two"}, Migration{10, "three"})
	must(t, m.Down(t.Context(), 99))
	wantStatus(t, m, 0, false, Migration{1, "one"}, Migration{2, "two"}, Migration{10, "three"})
	must(t, m.Up(t.Context(), nil))
	wantStatus(t, m, 10, false)
}

func TestMigrator_AFailedStepIsDirtyUntilRepaired(t *testing.T) {
	t.Parallel()
	m := migrator(t, newPath(t), three("CREATE TABLE one (a)"))
	var applied []Migration
	err := m.Up(t.Context(), func(step Migration) { applied = append(applied, step) })
	if err == nil || errors.Is(err, ErrDirty) {
		t.Fatalf("error is %v", err)
	}
	if want := []Migration{{1, "one"}}; !slices.Equal(applied, want) {
		t.Fatalf("progress was %v, want %v", applied, want)
	}
	wantStatus(t, m, 2, true, Migration{10, "three"})
	for _, err := range []error{m.Up(t.Context(), nil), m.Down(t.Context(), 1)} {
		if !errors.Is(err, ErrDirty) {
			t.Fatalf("error is %v, want ErrDirty", err)
		}
	}
}

func TestMigrator_ANewerDatabaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	must(t, migrator(t, path, three(good)).Up(t.Context(), nil))
	older := three(good)
	delete(older.files.(fstest.MapFS), "x/000010_three.up.sql")
	delete(older.files.(fstest.MapFS), "x/000010_three.down.sql")
	m := migrator(t, path, older)
	status, err := m.Status(t.Context())
	must(t, err)
	if status.Version != 10 || status.Newest != 2 || len(status.Pending) != 0 {
		t.Fatalf("status is %+v", status)
	}
	must(t, m.Up(t.Context(), nil))
	if err := m.Down(t.Context(), 1); err == nil {
		t.Fatal("a newer database was reverted")
	}
}

func TestMigrator_StopsBetweenStepsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	m := migrator(t, newPath(t), three(good))
	ctx, cancel := context.WithCancel(t.Context())
	err := m.Up(ctx, func(Migration) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	wantStatus(t, m, 1, false, Migration{2, "two"}, Migration{10, "three"})
	if err := m.Down(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	must(t, m.Up(t.Context(), nil))
}

// A version that this binary should know and does not is an error, not the end.
func TestMigrator_AGapIsAnError(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	m := migrator(t, path, three(good))
	must(t, m.Up(t.Context(), nil))
	must(t, m.Down(t.Context(), 1))
	gap := three(good)
	delete(gap.files.(fstest.MapFS), "x/000002_two.up.sql")
	delete(gap.files.(fstest.MapFS), "x/000002_two.down.sql")
	if err := migrator(t, path, gap).Up(t.Context(), nil); err == nil {
		t.Fatal("a missing version was stepped over")
	}
}
