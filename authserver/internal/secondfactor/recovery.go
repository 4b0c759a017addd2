package secondfactor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

const (
	// Recoveries is how many recovery codes a user gets.
	Recoveries = 10

	recoveryBytes = 10 // 80 bits, so that a plain hash keeps them
	recoveryChars = 16
)

// alphabet has no letters that look like digits or like each other.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// NewRecoveryCodes returns new recovery codes, to be shown once, and the
// SHA-256 by which a store knows them.
func NewRecoveryCodes() (codes []string, hashes [][]byte) {
	text := base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)
	for range Recoveries {
		var raw [recoveryBytes]byte
		rand.Read(raw[:])
		code := text.EncodeToString(raw[:])
		hash := sha256.Sum256([]byte(code))
		codes, hashes = append(codes, grouped(code, "-")), append(hashes, hash[:])
	}
	return codes, hashes
}

// RecoveryHash returns the SHA-256 of a recovery code as somebody typed it;
// ok is false when it cannot be one.
func RecoveryHash(typed string) (hash [32]byte, ok bool) {
	if len(typed) > 4*recoveryChars {
		return hash, false
	}
	code := strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(strings.ToLower(digitsOf(typed)))
	if len(code) != recoveryChars || strings.Trim(code, alphabet) != "" {
		return hash, false
	}
	return sha256.Sum256([]byte(code)), true
}
