package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	driver "modernc.org/sqlite"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// busy returns the driver's own error for a lock that another connection has.
func busy(t *testing.T) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.db")
	holder, err := openWriter(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	tx, err := holder.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	impatient, err := sql.Open("sqlite", path+"?_busy_timeout=0")
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	_, err = impatient.ExecContext(t.Context(), `CREATE TABLE t (c TEXT)`)
	if !isBusy(err) {
		t.Fatalf("error is %v, want the driver's busy", err)
	}
	return err
}

func TestFailure_LeavesNothingOfTheDriver(t *testing.T) {
	t.Parallel()
	locked := busy(t)
	for _, err := range []error{locked, sql.ErrConnDone, sql.ErrTxDone, context.DeadlineExceeded} {
		got := failure(t.Context(), "test", err)
		if !errors.Is(got, storage.ErrUnavailable) {
			t.Errorf("%v became %v", err, got)
		}
		if errors.Is(got, err) {
			t.Errorf("%v is still in %v", err, got)
		}
		if _, leaked := errors.AsType[*driver.Error](got); leaked {
			t.Errorf("the driver's error is still in %v", got)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := failure(ended, "test", locked); !errors.Is(got, context.Canceled) {
		t.Errorf("an ended context became %v", got)
	}
	if got := failure(ended, "test", storage.ErrSpent); got != storage.ErrSpent { //nolint:errorlint // the very error, not one around it
		t.Errorf("ErrSpent became %v", got)
	}
}

// Keys that are taken, of whatever kind, and rows that are missing have names
// in the contract; other constraints are a mistake of ours.
func TestFailure_NamesWhatTheContractNames(t *testing.T) {
	t.Parallel()
	s := memory(t)
	const user = `INSERT INTO users VALUES ($1, $2, '', '', 0, '', NULL, '[]', 0, 1, 0, 0)`
	run := func(statement string, values ...any) error {
		_, err := s.writer.ExecContext(t.Context(), statement, values...)
		return failure(t.Context(), "test", err)
	}
	for _, tc := range []struct {
		name string
		err  error
		want error
	}{
		{"first", run(user, "u1", "ada"), nil},
		{"primary key", run(user, "u1", "bob"), storage.ErrExists},
		{"unique column", run(user, "u2", "ada"), storage.ErrExists},
		{"unknown user", run(`INSERT INTO user_identity VALUES ('i', 's', 'nobody')`), storage.ErrUnavailable},
		{"no text", run(user, "u3", nil), storage.ErrUnavailable},
		{"no row", failure(t.Context(), "test", sql.ErrNoRows), storage.ErrNotFound},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%s: error is %v, want %v", tc.name, tc.err, tc.want)
		}
	}
}
