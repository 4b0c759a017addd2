package postgres

import (
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
)

// What a column is scanned into. All of these and the types of zeronull read
// NULL as the zero value, so that a record may be the missing side of a join.
type (
	text    = zeronull.Text
	instant = zeronull.Timestamptz
	integer = zeronull.Int8
	flag    bool
	digest  [32]byte // SHA-256
	list    []string // nil when empty, as the contract's records have it
	hashes  [][]byte // likewise
)

func (f *flag) ScanBool(v pgtype.Bool) error {
	*f = flag(v.Bool)
	return nil
}

func (d *digest) ScanBytes(b []byte) error {
	*d = digest{}
	copy(d[:], b) // its length is a check of the column
	return nil
}

func (l *list) SetDimensions(d []pgtype.ArrayDimension) error {
	*l = sized[string](d)
	return nil
}

func (l *list) ScanIndex(i int) any { return &(*l)[i] }
func (*list) ScanIndexType() any    { return new(string) }

func (h *hashes) SetDimensions(d []pgtype.ArrayDimension) error {
	*h = sized[[]byte](d)
	return nil
}

func (h *hashes) ScanIndex(i int) any { return &(*h)[i] }
func (*hashes) ScanIndexType() any    { return new([]byte) }

// sized makes room for a one-dimensional array; NULL and {} have no dimension.
func sized[T any](d []pgtype.ArrayDimension) []T {
	if len(d) == 0 || d[0].Length == 0 {
		return nil
	}
	return make([]T, d[0].Length)
}

// scan reads the fields of one or more records from row.
func scan(row pgx.Row, fields ...[]any) error { return row.Scan(slices.Concat(fields...)...) }

// collect reads one record per row.
func collect[T any](rows pgx.Rows, err error, fields func(*T) []any) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (record T, err error) {
		err = scan(row, fields(&record))
		return record, err
	})
}

// orNull makes an empty byte string NULL.
func orNull(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// hashOrNull makes the zero hash, which stands for none, NULL.
func hashOrNull(h [32]byte) []byte {
	if h == [32]byte{} {
		return nil
	}
	return h[:]
}

// orEmpty makes a nil list empty: a list column has no NULL.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// column returns one column of rows.
func column[R, V any](rows []R, value func(R) V) []V {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = value(row)
	}
	return values
}

// arrayLiteral writes a list as PostgreSQL's array literal. Every element is
// quoted, so that none is taken for NULL or for syntax.
func arrayLiteral(list []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, text := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		for _, c := range []byte(text) {
			if c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}
