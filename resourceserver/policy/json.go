package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// This file walks JSON that json.Valid has accepted: it looks for what the
// standard decoder forgives, and finds members by their exact names (that
// decoder matches them in any case; see isDisguised).

var (
	errDuplicate = errors.New("a member that occurs twice")
	errDepth     = errors.New("too many levels")
)

// fewMembers is how many keys are compared one by one.
const fewMembers = 16

// inspect refuses duplicate members, whose meaning depends on the reader
// (RFC 8259 §4), and nesting beyond maxDepth, in one pass.
func inspect(b []byte) error {
	_, err := inspectValue(b, space(b, 0), 1)
	return err
}

// inspectValue inspects the value at i and returns the position after it.
func inspectValue(b []byte, i, depth int) (int, error) {
	if b[i] != '{' && b[i] != '[' {
		return scalar(b, i), nil
	}
	if depth > maxDepth {
		return 0, errDepth
	}
	var seen keys
	return children(b, i, func(key []byte, i int) (int, error) {
		if key != nil && !seen.add(unquote(key)) {
			return 0, errDuplicate
		}
		return inspectValue(b, i, depth+1)
	})
}

// keys are the keys of one object. A handful is compared one by one; more go
// into a map so that a huge object costs no quadratic time.
type keys struct {
	few  [][]byte
	many map[string]bool
}

// add reports whether key is new.
func (k *keys) add(key []byte) bool {
	if k.many[string(key)] || slices.ContainsFunc(k.few, func(have []byte) bool { return bytes.Equal(have, key) }) {
		return false
	}
	if k.few = append(k.few, key); len(k.few) < fewMembers {
		return true
	}
	if k.many == nil {
		k.many = map[string]bool{}
	}
	for _, have := range k.few {
		k.many[string(have)] = true
	}
	k.few = k.few[:0]
	return true
}

// children calls visit for each child of the object or array at i with its
// key, still quoted (nil in an array), and the position of its value; visit
// returns the position after the value. children returns that of the whole.
func children(b []byte, i int, visit func(key []byte, i int) (int, error)) (int, error) {
	isObject := b[i] == '{'
	var err error
	for i = space(b, i+1); b[i] != '}' && b[i] != ']'; i = space(b, i) {
		if b[i] == ',' {
			i = space(b, i+1)
		}
		var key []byte
		if isObject {
			end := scalar(b, i)
			key = b[i:end]
			i = space(b, space(b, end)+1) // the colon
		}
		if i, err = visit(key, i); err != nil {
			return 0, err
		}
	}
	return i + 1, nil
}

// skip returns the position after the value at i.
func skip(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			i++
		default:
			i = scalar(b, i)
		}
		if depth == 0 {
			return i
		}
	}
}

// scalar returns the position after the string, number or literal at i.
func scalar(b []byte, i int) int {
	if b[i] != '"' {
		if n := bytes.IndexAny(b[i:], ",]} \t\r\n"); n >= 0 {
			return i + n
		}
		return len(b)
	}
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// unquote returns the text of a quoted string; b is valid.
func unquote(b []byte) []byte {
	if inner := b[1 : len(b)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return b // not reached with valid JSON; and no other string is like it
	}
	return []byte(s)
}

// members returns the members of an object; those of nothing and of null are
// none. ok is false for any other value.
func members(b []byte) (m map[string]json.RawMessage, ok bool) {
	if len(b) == 0 || string(b) == "null" {
		return nil, true
	}
	if b[0] != '{' {
		return nil, false
	}
	m = make(map[string]json.RawMessage, 8)
	_, err := children(b, 0, func(key []byte, i int) (int, error) {
		end := skip(b, i)
		m[string(unquote(key))] = b[i:end:end]
		return end, nil
	})
	return m, err == nil
}

// elements returns the elements of an array.
func elements(b []byte) []json.RawMessage {
	var list []json.RawMessage
	_, err := children(b, 0, func(_ []byte, i int) (int, error) {
		end := skip(b, i)
		list = append(list, b[i:end:end])
		return end, nil
	})
	if err != nil {
		return nil
	}
	return list
}

// text returns the string that b is; ok is false for every other value.
func text(b []byte) (s string, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return "", false
	}
	return string(unquote(b)), true
}

// optionalText is text that may be absent.
func optionalText(b []byte) (s string, ok bool) {
	if len(b) == 0 {
		return "", true
	}
	return text(b)
}
