package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/internal/coalesce"
)

// The SQLSTATEs that mean something to this package.
const (
	uniqueViolation    = "23505"
	checkViolation     = "23514"
	undefinedTable     = "42P01"
	duplicateTable     = "42P07"
	duplicateObject    = "42710" // the row type of a table that is there
	wrongObjectState   = "55000"
	lockNotAvailable   = "55P03"
	queryCanceled      = "57014" // by statement_timeout or for its caller
	concurrentlyUpdate = "XX000" // "tuple concurrently updated", of the catalog
)

// failure is a [storage.ErrUnavailable] with a cause for the log. The cause is
// text, so that no type of the driver leaves the engine. It names neither a
// credential (the driver's connection errors tell user, host and database
// only) nor, but for what PostgreSQL quotes of malformed text, a value.
type failure struct {
	step  string
	cause string
	code  string // SQLSTATE; empty when the server did not answer
}

func (f *failure) Error() string {
	return fmt.Sprintf("%s: %s: %s", storage.ErrUnavailable, f.step, f.cause)
}

func (f *failure) Is(target error) bool { return target == storage.ErrUnavailable }

// partitionAttempts is how often a statement is run again after its partitions
// were made. A step may write to two tables; and when another replica has just
// made one, its name is taken a moment before this session is told of it.
const partitionAttempts = 10

// do runs one statement of the contract: it bounds it in time, makes the
// partitions it turns out to lack for records that expire at expires, and
// turns what comes back into an error of package storage.
func (s *Store) do(ctx context.Context, step string, run func(ctx context.Context) error, expires ...time.Time) error {
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err := run(bounded)
	for range partitionAttempts {
		table := lacksPartition(err)
		if table == "" {
			break
		}
		if err = s.makePartitions(bounded, table, expires); err == nil {
			err = run(bounded)
		}
	}
	return translate(ctx, step, err)
}

// translate tells a caller with context ctx what became of its step.
func translate(ctx context.Context, step string, err error) error {
	code := sqlstate(err)
	switch {
	case err == nil, isAnswer(err):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return storage.ErrNotFound
	case code == uniqueViolation:
		return storage.ErrExists
	case (code == "" || code == queryCanceled) && ctx.Err() != nil:
		return fmt.Errorf("%s: %w", step, ctx.Err())
	default:
		// The driver spreads a failed connection over several lines.
		return &failure{step: step, cause: strings.Join(strings.Fields(err.Error()), " "), code: code}
	}
}

// isAnswer says that err is what the contract answers, not a failure.
func isAnswer(err error) bool {
	for _, answer := range []error{
		storage.ErrNotFound, storage.ErrExists, storage.ErrConflict, storage.ErrSpent, storage.ErrSchema,
		storage.ErrScope, storage.ErrResource,
		storage.ErrPending, storage.ErrSlowDown, storage.ErrDenied, storage.ErrExpired,
	} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// sqlstate returns the server's error code, empty when it was not the server
// that failed.
func sqlstate(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// lacksPartition returns the table that has no partition for a row, or "". The
// server reports it as a check violation, but of no constraint.
func lacksPartition(err error) string {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if ok && pg.Code == checkViolation && pg.ConstraintName == "" {
		return pg.TableName
	}
	return ""
}

// refused marks an error as the fault of one item of a batch.
type refused struct{ error }

func (r refused) Is(target error) bool { return target == coalesce.ErrItem }
func (r refused) Unwrap() error        { return r.error }

// itemwise marks the error of a batch that is the fault of an item: a
// duplicate, or data the server does not take (SQLSTATE classes 22 and 23).
func itemwise(err error) error {
	f, ok := errors.AsType[*failure](err)
	data := ok && (strings.HasPrefix(f.code, "22") || strings.HasPrefix(f.code, "23"))
	if data || errors.Is(err, storage.ErrExists) {
		return refused{err}
	}
	return err
}

// batched tells a caller what became of the batch its item was in.
func batched(step string, err error) error {
	if errors.Is(err, coalesce.ErrClosed) {
		return &failure{step: step, cause: "the store is closed"}
	}
	return err
}

// orElse tells what it means that a statement changed nothing.
func orElse(tag pgconn.CommandTag, err, nothing error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return nothing
	}
	return err
}
