package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// list is a list of strings in a TEXT column, as a JSON array; an empty one is
// "[]" there and nil here.
type list []string //nolint:recvcheck // a Valuer is a value, a Scanner has to be a pointer

// Value implements [driver.Valuer].
func (l list) Value() (driver.Value, error) {
	if len(l) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal([]string(l))
	return string(text), err
}

// Scan implements [database/sql.Scanner].
func (l *list) Scan(column any) error {
	text, ok := column.(string)
	if !ok {
		return fmt.Errorf("a list is %T", column)
	}
	if text == "[]" {
		*l = nil
		return nil
	}
	return json.Unmarshal([]byte(text), (*[]string)(l))
}

// digests is a list of hashes in a TEXT column, as a JSON array of base64; an
// empty one is "[]" there and nil here.
type digests [][]byte //nolint:recvcheck // as list

// Value implements [driver.Valuer].
func (d digests) Value() (driver.Value, error) {
	if len(d) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal([][]byte(d))
	return string(text), err
}

// Scan implements [database/sql.Scanner].
func (d *digests) Scan(column any) error {
	text, ok := column.(string)
	if !ok {
		return fmt.Errorf("a list of digests is %T", column)
	}
	if text == "[]" {
		*d = nil
		return nil
	}
	return json.Unmarshal([]byte(text), (*[][]byte)(d))
}

// digest is a SHA-256 in a BLOB column; the zero digest, which stands for none,
// is NULL there and thus equal to nothing.
type digest [32]byte //nolint:recvcheck // as list

// Value implements [driver.Valuer].
func (d digest) Value() (driver.Value, error) {
	if d == (digest{}) {
		return nil, nil
	}
	return d[:], nil
}

// Scan implements [database/sql.Scanner].
func (d *digest) Scan(column any) error {
	*d = digest{}
	bytes, ok := column.([]byte)
	if column != nil && (!ok || len(bytes) != len(d)) {
		return fmt.Errorf("a digest is %T of %d bytes", column, len(bytes))
	}
	copy(d[:], bytes)
	return nil
}

// word is a text in an optional TEXT column; empty is NULL there.
type word string //nolint:recvcheck // as list

// Value implements [driver.Valuer].
func (w word) Value() (driver.Value, error) { return orNull(string(w)), nil }

// Scan implements [database/sql.Scanner].
func (w *word) Scan(column any) error {
	text, ok := column.(string)
	if column != nil && !ok {
		return fmt.Errorf("a word is %T", column)
	}
	*w = word(text)
	return nil
}

// instant is a time in an INTEGER column: unix microseconds.
type instant time.Time //nolint:recvcheck // as list

// Value implements [driver.Valuer].
func (i instant) Value() (driver.Value, error) { return time.Time(i).UnixMicro(), nil }

// Scan implements [database/sql.Scanner]; NULL is the zero time.
func (i *instant) Scan(column any) error {
	switch micros := column.(type) {
	case nil:
		*i = instant{}
	case int64:
		*i = instant(time.UnixMicro(micros).UTC())
	default:
		return fmt.Errorf("an instant is %T", column)
	}
	return nil
}

// orNull is a value for an optional column: nil for the zero time, the empty
// text and no bytes.
func orNull[T time.Time | string | []byte](value T) any {
	switch v := any(value).(type) {
	case time.Time:
		if !v.IsZero() {
			return v.UnixMicro()
		}
	case string:
		if v != "" {
			return v
		}
	case []byte:
		if len(v) > 0 {
			return v
		}
	}
	return nil
}
