package scopes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a scope parameter. No honest client comes near them; they bound
// the work that a hostile one can cause.
const (
	MaxLength = 4096 // bytes of a scope parameter
	MaxTokens = 128  // scope tokens in it
)

// ErrSyntax says that a string is not a scope of RFC 6749 §3.3.
var ErrSyntax = errors.New("malformed scope")

// Set is a set of scope tokens: sorted, unique, never modified in place. The
// nil Set is empty and ready to use.
type Set []string

// Of returns the set of the given tokens without checking their syntax; it is
// for constants and for values that were checked when they were stored.
func Of(tokens ...string) Set {
	if len(tokens) == 0 {
		return nil
	}
	s := slices.Clone(tokens)
	slices.Sort(s)
	return slices.Compact(s)
}

// Parse reads a scope parameter: tokens of 0x21, 0x23–0x5B, 0x5D–0x7E
// separated by spaces. Surplus spaces are forgiven (real clients send them),
// an empty string is the empty set. The error wraps [ErrSyntax].
func Parse(scope string) (Set, error) {
	if len(scope) > MaxLength {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrSyntax, MaxLength)
	}
	var tokens []string
	for token := range strings.SplitSeq(scope, " ") {
		if token == "" {
			continue
		}
		if !ValidToken(token) {
			return nil, fmt.Errorf("%w: a character is not allowed", ErrSyntax)
		}
		if tokens = append(tokens, token); len(tokens) > MaxTokens {
			return nil, fmt.Errorf("%w: more than %d scopes", ErrSyntax, MaxTokens)
		}
	}
	return Of(tokens...), nil
}

// ValidToken reports whether token is one scope-token of RFC 6749 §3.3.
func ValidToken(token string) bool {
	for i := range len(token) {
		c := token[i]
		if c < 0x21 || c > 0x7E || c == '"' || c == '\\' {
			return false
		}
	}
	return token != ""
}

// String joins the set with single spaces, as in a scope parameter.
func (s Set) String() string { return strings.Join(s, " ") }

// Has reports whether token is in the set. Scopes are case sensitive.
func (s Set) Has(token string) bool {
	_, found := slices.BinarySearch(s, token)
	return found
}

// Contains reports whether every token of other is in the set.
func (s Set) Contains(other Set) bool { return len(other.Minus(s)) == 0 }

// Union returns the tokens of both sets.
func (s Set) Union(other Set) Set {
	switch {
	case len(other) == 0:
		return s
	case len(s) == 0:
		return other
	}
	return Of(slices.Concat(s, other)...)
}

// Minus returns the tokens of s that are not in other.
func (s Set) Minus(other Set) Set {
	var rest Set
	for _, token := range s {
		if !other.Has(token) {
			rest = append(rest, token)
		}
	}
	return rest
}

// Intersect returns the tokens that are in both sets.
func (s Set) Intersect(other Set) Set {
	var both Set
	for _, token := range s {
		if other.Has(token) {
			both = append(both, token)
		}
	}
	return both
}
