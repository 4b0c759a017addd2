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
