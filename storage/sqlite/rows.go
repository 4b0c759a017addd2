package sqlite

import "database/sql"

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
