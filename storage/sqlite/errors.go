package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	code "modernc.org/sqlite/lib"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// failure makes err one of the contract's errors: those of package storage
// pass, no row where one was wanted is [storage.ErrNotFound], a key that is
// taken [storage.ErrExists], the end of the caller's ctx is told as such, and
// everything else is [storage.ErrUnavailable] with the driver's text and
// nothing else of it.
func failure(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{
		storage.ErrNotFound, storage.ErrExists, storage.ErrConflict, storage.ErrSpent,
		storage.ErrScope, storage.ErrResource,
		storage.ErrPending, storage.ErrSlowDown, storage.ErrDenied, storage.ErrExpired,
		storage.ErrSchema, storage.ErrUnavailable,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		return storage.ErrNotFound
	}
	if isTaken(err) {
		return storage.ErrExists
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: sqlite: %s: %v", storage.ErrUnavailable, op, err) //nolint:errorlint // the driver's error stays here
}

// isBusy says that another connection holds the lock.
func isBusy(err error) bool {
	failed, ok := errors.AsType[*driver.Error](err)
	return ok && failed.Code()&0xff == code.SQLITE_BUSY
}

// isTaken says that a key or another unique value exists already.
func isTaken(err error) bool {
	failed, ok := errors.AsType[*driver.Error](err)
	return ok && (failed.Code() == code.SQLITE_CONSTRAINT_PRIMARYKEY || failed.Code() == code.SQLITE_CONSTRAINT_UNIQUE)
}
