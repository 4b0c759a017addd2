package policy

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxURI    = 8192 // bytes
	maxRounds = 4    // of percent-decoding; the last finds nothing to do
)

// readings returns uri as the different handlers there are would understand
// it, without repetitions and never empty:
//
//   - literally, but for the case of scheme and host,
//   - normalised as in RFC 3986 §6.2.2 (case, %-encoding of unreserved
//     characters, dot segments); a file URI also without host, backslashes and
//     repeated slashes,
//   - as a path to open: percent-decoding done until nothing is left to
//     decode, everything after the scheme, or after the authority, a path, dot
//     segments resolved.
//
// For an honest URI all are the same. ok is false if uri cannot be compared:
// it has no scheme, is longer than 8192 bytes, contains control characters
// (encoded or not), a "%" that encodes nothing, octets that are not UTF-8, or
// encoding inside encoding three times.
func readings(uri string) (all []string, ok bool) {
	scheme, rest, ok := cutScheme(uri)
	if !ok || len(uri) > maxURI || !utf8.ValidString(uri) {
		return nil, false
	}
	authority, path, isHierarchy := cutAuthority(rest)
	authority = strings.ToLower(authority)
	if scheme == "file" {
		// RFC 8089: file:/x, file:///x and file://localhost/x are the same.
		if authority == "localhost" {
			authority = ""
		}
		path, isHierarchy = "/"+strings.TrimPrefix(path, "/"), true
	}
	if isHierarchy {
		rest = "//" + authority + path
	}
	all = []string{scheme + ":" + rest}
	all = appendNew(all, normalise(scheme, authority, path, isHierarchy))
	opened, ok := decode(rest)
	if !ok {
		return nil, false
	}
	all = appendNew(all, open(scheme, opened))
	if isHierarchy && strings.HasPrefix(path, "/") {
		opened, _ = decode(path)
		all = appendNew(all, openAt(scheme, authority, opened)...)
	}
	return all, true
}

// normalise applies RFC 3986 §6.2.2 to the parts of a URI.
func normalise(scheme, authority, path string, isHierarchy bool) string {
	path, tail := cutTail(path)
	path = normalEncoding(path)
	if scheme == "file" {
		path = strings.ReplaceAll(path, `\`, "/")
	}
	if strings.HasPrefix(path, "/") {
		path = "/" + cleanPath(path, scheme == "file")
	}
	if isHierarchy {
		path = "//" + normalEncoding(authority) + path
	}
	return scheme + ":" + path + normalEncoding(tail)
}

// openAt returns the URIs of what handlers would open that keep the authority
// apart from the path; those of files ignore it. To some a backslash is a
// slash. Some resolve dot segments before they drop empty ones (RFC 3986
// §5.2.4), some after.
func openAt(scheme, authority, path string) (all []string) {
	if scheme == "file" {
		authority = ""
	}
	base := scheme + "://" + authority + "/"
	for _, path := range []string{path, strings.ReplaceAll(path, `\`, "/")} {
		all = append(all, base+cleanPath(path, true), base+cleanPath("/"+cleanPath(path, false), true))
	}
	return all
}

// open returns the URI of what a handler would open that takes all of rest
// for a path.
func open(scheme, rest string) string {
	rest = strings.ReplaceAll(rest, `\`, "/")
	path := cleanPath(rest, true)
	switch {
	case scheme == "file":
		return "file:///" + path
	case strings.HasPrefix(rest, "//"):
		host, below, found := strings.Cut(path, "/")
		if found {
			below = "/" + below
		}
		return scheme + "://" + strings.ToLower(host) + below
	case strings.HasPrefix(rest, "/"):
		return scheme + ":/" + path
	}
	return scheme + ":" + path
}

// cleanPath resolves the dot segments of path (RFC 3986 §5.2.4) and returns
// it without its leading slash; with collapse, empty segments vanish too. A
// trailing slash stays.
func cleanPath(path string, collapse bool) string {
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch {
		case segment == "..":
			kept = kept[:max(len(kept)-1, 0)]
		case segment == ".", segment == "" && collapse && !last:
		default:
			kept = append(kept, segment)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return strings.Join(kept, "/")
}

// decode percent-decodes s until nothing changes any more.
func decode(s string) (string, bool) {
	for round := range maxRounds {
		var out strings.Builder
		for i := 0; i < len(s); i++ {
			c := s[i]
			if c == '%' {
				value, ok := octet(s, i)
				switch {
				case ok:
					c, i = value, i+2
				case round == 0:
					return "", false
				}
			}
			out.WriteByte(c)
		}
		if out.Len() == len(s) {
			return s, printable(s)
		}
		s = out.String()
	}
	return "", false
}

// normalEncoding decodes what needs no encoding and writes the rest of the
// octets in upper case. s has been through decode: every "%" encodes an octet.
func normalEncoding(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		value, ok := octet(s, i)
		switch {
		case s[i] != '%' || !ok:
			out.WriteByte(s[i])
			continue
		case unreserved(value):
			out.WriteByte(value)
		default:
			out.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return out.String()
}

// octet returns the octet that the three characters at i encode.
func octet(s string, i int) (value byte, ok bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	for _, c := range []byte(s[i+1 : i+3]) {
		switch {
		case c >= '0' && c <= '9':
			value = value<<4 | (c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			value = value<<4 | (c | 0x20 - 'a' + 10)
		default:
			return 0, false
		}
	}
	return value, true
}

func unreserved(c byte) bool {
	return c >= '0' && c <= '9' || isLetter(c) || strings.IndexByte("-._~", c) >= 0
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// printable reports whether s is text without control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7F {
			return false
		}
	}
	return utf8.ValidString(s)
}

// cutScheme splits a URI after its scheme, which it lowers (RFC 3986 §3.1).
func cutScheme(uri string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(uri, ":")
	if !ok || scheme == "" || !isLetter(scheme[0]) {
		return "", "", false
	}
	for i := range len(scheme) {
		c := scheme[i]
		if !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte("+-.", c) < 0 {
			return "", "", false
		}
	}
	return strings.ToLower(scheme), rest, true
}

// cutAuthority splits what follows the scheme (RFC 3986 §3.2).
func cutAuthority(rest string) (authority, path string, found bool) {
	after, found := strings.CutPrefix(rest, "//")
	if !found {
		return "", rest, false
	}
	i := strings.IndexAny(after, "/?#")
	if i < 0 {
		i = len(after)
	}
	return after[:i], after[i:], true
}

// cutTail splits the query and fragment from a path.
func cutTail(path string) (before, tail string) {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

func appendNew(all []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
