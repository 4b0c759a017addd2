package clientmetadata

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

const ellipsis = "…"

// displayable returns text as a person may safely see it: without control,
// format and bidirectional characters, which could make it read as something
// else, with single spaces, and at most limit characters long.
func displayable(text string, limit int) string {
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || unicode.In(r, unicode.C, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, text)
	visible = strings.Join(strings.Fields(visible), " ")
	if runes := []rune(visible); len(runes) > limit {
		return strings.TrimSpace(string(runes[:limit-1])) + ellipsis
	}
	return visible
}

// printable reports whether s has only the characters of a URI (RFC 3986 §2),
// among which is none that a parser, a log or a page could misread.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r)
	})
}

const maxURI = 2048 // bytes

// ParseURL parses an absolute http or https URL without user information and
// fragment, or returns nil.
func ParseURL(raw string) *url.URL {
	if len(raw) > maxURI || !printable(raw) || strings.Contains(raw, "#") {
		return nil
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.User != nil || u.Opaque != "" || u.Hostname() == "":
		return nil
	case u.Scheme != "https" && u.Scheme != "http":
		return nil
	case !strings.HasPrefix(raw, u.Scheme+"://"): // in lower case
		return nil
	case strings.HasSuffix(u.Host, ":") || strings.Contains(u.Host, "%") || !printable(u.Host): // it may come decoded
		return nil
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil
		}
	}
	return u
}

// Loopback reports whether host is this very machine: localhost, 127.0.0.0/8
// or ::1.
func Loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
