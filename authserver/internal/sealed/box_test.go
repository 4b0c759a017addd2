package sealed

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func box(t *testing.T, seeds ...byte) *Box {
	t.Helper()
	var keys [][]byte
	for _, s := range seeds {
		keys = append(keys, bytes.Repeat([]byte{s}, 32))
	}
	b, err := New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBox_OpensOnlyWhatItSealed(t *testing.T) {
	t.Parallel()
	b := box(t, 1)
	sealed, err := b.Seal("totp", "user-1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := b.Open("totp", "user-1", sealed); err != nil || string(plain) != "secret" {
		t.Fatalf("%q %v", plain, err)
	}
	broken := bytes.Clone(sealed)
	broken[len(broken)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return b.Open("cookie", "user-1", sealed) },
		"another row":     func() ([]byte, error) { return b.Open("totp", "user-2", sealed) },
		"another key":     func() ([]byte, error) { return box(t, 2).Open("totp", "user-1", sealed) },
		"changed":         func() ([]byte, error) { return b.Open("totp", "user-1", broken) },
		"cut":             func() ([]byte, error) { return b.Open("totp", "user-1", sealed[:3]) },
		"nothing":         func() ([]byte, error) { return b.Open("totp", "user-1", nil) },
	} {
		if _, err := open(); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBox_KeysCanBeReplaced(t *testing.T) {
	t.Parallel()
	old, both := box(t, 1), box(t, 2, 1)
	sealed, err := old.Seal("p", "", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Open("p", "", sealed); err != nil {
		t.Error(err)
	}
	was, _ := old.MAC(old.KeyID(), "p", []byte("m"))
	if is, ok := both.MAC(old.KeyID(), "p", []byte("m")); !ok || is != was {
		t.Error("a MAC under the old key is not the same any more")
	}
	if other, _ := both.MAC(both.KeyID(), "p", []byte("m")); other == was {
		t.Error("the new key makes the old MAC")
	}
	if _, ok := box(t, 3).MAC(old.KeyID(), "p", nil); ok {
		t.Error("a key that nobody has")
	}
}

func TestBox_ValuesEnd(t *testing.T) {
	t.Parallel()
	b, now := box(t, 1), time.Unix(1000, 0)
	text, err := b.SealValue("p", "browser", map[string]string{"a": "b"}, now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := b.OpenValue("p", "browser", text, now.Add(time.Minute-1), &got); err != nil || got["a"] != "b" {
		t.Errorf("%v %v", got, err)
	}
	if err := b.OpenValue("p", "browser", text, now.Add(time.Minute), &got); !errors.Is(err, ErrOpen) {
		t.Errorf("after its time: %v", err)
	}
	if err := b.OpenValue("p", "browser", text+"=", now, &got); !errors.Is(err, ErrOpen) {
		t.Errorf("padded: %v", err)
	}
}
