package settings

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is an amount of memory, written as in 512KiB, 64MiB or 1GiB.
type Bytes int64

// units are those of [Bytes], the largest first.
func units() []struct {
	suffix string
	size   Bytes
} {
	return []struct {
		suffix string
		size   Bytes
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// ParseBytes reads a whole number with one of the units B, KiB, MiB, GiB;
// without a unit it means bytes.
func ParseBytes(s string) (Bytes, error) {
	number, size := s, Bytes(1)
	for _, u := range units() {
		if head, ok := strings.CutSuffix(s, u.suffix); ok {
			number, size = head, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(size) {
		return 0, fmt.Errorf("%q is not a size such as 64MiB", s)
	}
	return Bytes(n) * size, nil
}

// UnmarshalText implements [encoding.TextUnmarshaler], for flags.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBytes(string(text))
	return err
}

// String writes the largest unit that divides the amount.
func (b Bytes) String() string {
	for _, u := range units() {
		if b%u.size == 0 && b >= u.size {
			return fmt.Sprintf("%d%s", b/u.size, u.suffix)
		}
	}
	return "0B"
}
