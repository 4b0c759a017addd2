package resourceserver

import (
	"slices"
	"strings"
)

// cutLast cuts the last element off a list (RFC 9110 §5.6.1). It reads from
// the right, where the nearest proxy wrote: a quote that a client left open on
// the left must not swallow it.
func cutLast(list string) (rest, last string, more bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"' && !escaped(list[:i]):
			quoted = !quoted
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:], true
		}
	}
	return "", list, false
}

// escaped reports whether a backslash at the end of s escapes what follows.
func escaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// maxPairs bounds an element: RFC 7239 §5 knows four parameters.
const maxPairs = 16

// parseForwarded returns two parameters of a forwarded-element (RFC 7239 §4),
// proto in lower case. Both are empty if the element is malformed, has a
// parameter twice, or more of them than anybody needs.
func parseForwarded(element string) (node, proto string) {
	seen := make([]string, 0, maxPairs)
	for rest := strings.TrimSpace(element); rest != ""; {
		name, value, after, ok := cutPair(rest)
		if !ok || len(seen) == maxPairs || slices.Contains(seen, name) {
			return "", ""
		}
		switch name {
		case "for":
			node = value
		case "proto":
			proto = strings.ToLower(value)
		}
		seen, rest = append(seen, name), after
	}
	return node, proto
}

// cutPair cuts the first forwarded-pair off s, its name in lower case. White
// space around it is not in the grammar but on the wire.
func cutPair(s string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(s, "=")
	name = strings.ToLower(strings.TrimSpace(name))
	if !ok || !isToken(name) {
		return "", "", "", false
	}
	if quoted, found := strings.CutPrefix(rest, `"`); found {
		if value, rest, ok = cutQuoted(quoted); !ok {
			return "", "", "", false
		}
		var between string
		between, rest, _ = strings.Cut(rest, ";")
		return name, value, strings.TrimSpace(rest), strings.TrimSpace(between) == ""
	}
	value, rest, _ = strings.Cut(rest, ";")
	value = strings.TrimSpace(value)
	return name, value, strings.TrimSpace(rest), value != "" && !strings.ContainsAny(value, "\"\\ \t")
}

// cutQuoted returns what stands before the closing quote, and after it.
func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
