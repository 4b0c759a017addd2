package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrEncoded says that a stored hash is not one that this package verifies.
var ErrEncoded = errors.New("password: not an argon2id PHC string within bounds")

// cost is what a hash takes to compute (RFC 9106 §3.1).
type cost struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

// current is the cost of new hashes.
var current = cost{memory: 19 << 10, passes: 2, lanes: 1}

// What a stored hash may demand. It may come from elsewhere, but not make the
// server fall over.
const (
	maxMemory  = 128 << 10 // KiB
	maxPasses  = 16
	maxLanes   = 16
	saltSize   = 16
	keySize    = 32
	minSalt    = 8
	minKey     = 16
	maxPart    = 64 // bytes of salt or key
	maxEncoded = 256
)

// hashed is a parsed PHC string.
type hashed struct {
	cost
	salt, key []byte
}

// old reports whether the hash is not what a new one would be.
func (h hashed) old() bool {
	return h.cost != current || len(h.salt) < saltSize || len(h.key) != keySize
}

// String returns the PHC string.
func (h hashed) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, b64(h.salt), b64(h.key))
}

// parse reads a PHC string, in exactly the form that String writes, or returns
// [ErrEncoded]. The error never quotes it.
func parse(encoded string) (h hashed, err error) {
	parts := strings.Split(encoded, "$")
	if len(encoded) > maxEncoded || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, ErrEncoded
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return h, ErrEncoded
	}
	memory, okM := number(costs[0], "m=", maxMemory)
	passes, okT := number(costs[1], "t=", maxPasses)
	lanes, okP := number(costs[2], "p=", maxLanes)
	if !okM || !okT || !okP || memory < 8*lanes { // RFC 9106 §3.1
		return h, ErrEncoded
	}
	h.cost = cost{memory, passes, uint8(lanes)} //nolint:gosec // number bounds it
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, errKey := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	h.salt, h.key = salt, key
	if errSalt != nil || errKey != nil || h.String() != encoded ||
		len(salt) < minSalt || len(salt) > maxPart || len(key) < minKey || len(key) > maxPart {
		return hashed{}, ErrEncoded
	}
	return h, nil
}

// number reads a positive decimal number with its prefix.
func number(s, prefix string, limit uint32) (uint32, bool) {
	digits, found := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), found && err == nil && n > 0 && n <= uint64(limit)
}
