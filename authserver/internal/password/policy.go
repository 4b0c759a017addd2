package password

import (
	_ "embed"
	"errors"
	"strings"
	"unicode/utf8"
)

// The length of a new password, in bytes (NIST SP 800-63B §3.1.1.2 asks for at
// least 8 and for no rules about kinds of characters).
const (
	MinLength = 8
	MaxLength = 1024
)

// What is wrong with a new password, in words for its owner.
var (
	ErrShort    = errors.New("a password needs at least 8 characters")
	ErrLong     = errors.New("a password may have at most 1024 bytes")
	ErrText     = errors.New("a password must be valid text without control characters")
	ErrUsername = errors.New("a password must not be the username")
	ErrCommon   = errors.New("this password is one of the first that anybody would try")
)

// worst are passwords of 8 and more characters that lead every list of leaked
// ones, in lower case, one per line.
//
//go:embed worst.txt
var worst string

// Check returns what is wrong with a new password for the user of that name, or
// nil.
func Check(username, password string) error {
	folded := strings.ToLower(password)
	switch {
	case len(password) < MinLength:
		return ErrShort
	case len(password) > MaxLength:
		return ErrLong
	case !utf8.ValidString(password) || strings.ContainsFunc(password, control):
		return ErrText
	case username != "" && strings.EqualFold(password, username):
		return ErrUsername
	case strings.Contains("\n"+worst, "\n"+folded+"\n"), uniform(password):
		return ErrCommon
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// uniform reports whether a password is one character again and again.
func uniform(password string) bool {
	return strings.Trim(password, password[:1]) == ""
}
