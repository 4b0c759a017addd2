package sqlite

import (
	"context"
	"database/sql"
	"strings"
)

// querier is the database or a transaction on it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scanner is a row: [sql.Row] or [sql.Rows].
type scanner interface {
	Scan(dest ...any) error
}

// oneRow wraps an Exec: none is the error when it changed no row.
func oneRow(none error) func(sql.Result, error) error {
	return func(result sql.Result, err error) error {
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err == nil && n == 0 {
			err = none
		}
		return err
	}
}

// collect wraps a Query: it reads all rows and closes them.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what failed is in rows.Err
	var all []T
	for rows.Next() {
		record, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, record)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// marks are n placeholders: "?, ?, ?".
func marks(n int) string { return "?" + strings.Repeat(", ?", n-1) }

// insert adds one row. A key that is taken fails, see isTaken.
func insert(ctx context.Context, tx *sql.Tx, table, columns string, values ...any) error {
	statement := `INSERT INTO ` + table + ` (` + columns + `) VALUES (` + marks(len(values)) + `)` //nolint:gosec // names are constants of this package
	_, err := tx.ExecContext(ctx, statement, values...)
	return err
}
