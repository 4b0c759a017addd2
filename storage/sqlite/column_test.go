package sqlite

import (
	"bytes"
	"testing"
)

// A digest that is none is NULL, which no digest equals; one that was cut is
// no digest.
func TestDigest_ZeroIsNone(t *testing.T) {
	t.Parallel()
	full := digest(bytes.Repeat([]byte{7}, 32))
	if value, err := (digest{}).Value(); value != nil || err != nil {
		t.Errorf("zero is stored as %v (%v)", value, err)
	}
	d := full
	if err := d.Scan(nil); err != nil || d != (digest{}) {
		t.Errorf("NULL is %x (%v)", d, err)
	}
	if err := d.Scan(full[:]); err != nil || d != full {
		t.Errorf("got %x (%v)", d, err)
	}
	for _, bad := range []any{full[:31], append(full[:], 7), []byte{}, "text", int64(7)} {
		if err := d.Scan(bad); err == nil {
			t.Errorf("%v passed as %x", bad, d)
		}
	}
}

func TestColumns_RefuseWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"list":         new(list).Scan(nil),
		"list, text":   new(list).Scan("a b"),
		"digests":      new(digests).Scan(nil),
		"digests, raw": new(digests).Scan(`["?"]`),
		"word":         new(word).Scan(int64(1)),
		"instant":      new(instant).Scan("now"),
	} {
		if err == nil {
			t.Errorf("%s accepts it", name)
		}
	}
}
