package cimd

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of how long what was fetched stays fresh, whatever its host says; and
// what it is without a word.
const (
	minFresh     = time.Minute
	maxFresh     = 24 * time.Hour
	defaultFresh = time.Hour
)

// freshness returns for how long an answer may be used without asking again
// (RFC 9111 §4.2), within our bounds.
func freshness(h http.Header, now time.Time) time.Duration {
	return min(max(stated(h, now), minFresh), maxFresh)
}

// stated is what the headers say; not to keep it at all outdoes all else.
func stated(h http.Header, now time.Time) time.Duration {
	lifetime, found := defaultFresh, false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			lifetime, found = seconds(strings.Trim(value, `"`))-seconds(h.Get("Age")), true
		}
	}
	if expires := h.Get("Expires"); expires != "" && !found {
		at, err := http.ParseTime(expires)
		if err != nil { // such as "0": in the past (RFC 9111 §5.3)
			return 0
		}
		return at.Sub(now)
	}
	return lifetime
}

// seconds reads delta-seconds; what is none is 0, what is too much is a lot.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	if err != nil && n == 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}
