package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/password"
)

// maxUsername bounds a username, in bytes.
const maxUsername = 128

// ErrUsername says that a text cannot be a username.
var ErrUsername = errors.New("a username has 1 to 128 bytes of printable characters without spaces")

// CanonicalUsername returns a username in the form in which it is stored and
// looked up: without space around it, in lower case. [ErrUsername].
func CanonicalUsername(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if name == "" || len(name) > maxUsername || !utf8.ValidString(s) || strings.ContainsFunc(name, unprintable) {
		return "", ErrUsername
	}
	return name, nil
}

// unprintable reports what a username must not have: what cannot be seen could
// make it look like another's.
func unprintable(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }

// NewUserID returns a new subject identifier: random, never reused.
func NewUserID() string { return strings.ToLower(rand.Text()) }

// CheckPassword returns what is wrong with a new password for the user of that
// name, in words for people, or nil.
func CheckPassword(username, text string) error { return password.Check(username, text) }

// HashPassword returns the PHC string (argon2id) of a password that
// [CheckPassword] has let pass, or the error of ctx. It takes some 20 ms and
// 19 MiB.
func HashPassword(ctx context.Context, text string) (string, error) {
	return password.NewHasher().Hash(ctx, text)
}
