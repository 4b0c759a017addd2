package authserver

import (
	"strings"
	"testing"
)

// Every letter turns up about as often as any other (RFC 8628 §6.1).
func TestUserCode_RFC8628_6_1_LettersAreEven(t *testing.T) {
	t.Parallel()
	const codes = 5000
	seen := map[rune]int{}
	for range codes {
		for _, letter := range newUserCode() {
			seen[letter]++
		}
	}
	mean := codes * userCodeLength / len(userCodeLetters)
	for _, letter := range userCodeLetters {
		if n := seen[letter]; n < mean*3/4 || n > mean*5/4 { // eleven standard deviations
			t.Errorf("%c: %d of about %d", letter, n, mean)
		}
	}
	if len(seen) != len(userCodeLetters)+1 || seen['-'] != codes {
		t.Errorf("letters: %v", seen)
	}
}

// Whatever is read as a user code is one, and is read as itself however it is
// written.
func FuzzReadUserCode(f *testing.F) {
	for _, seed := range []string{"BCDF-GHJK", "bcdf ghjk", "BCDFGHJKL", "AAAA-AAAA", "ſcdf-ghjk", "\x00", "- - . _"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := readUserCode(typed)
		if !ok {
			if code != "" {
				t.Fatalf("%q: %q without being one", typed, code)
			}
			return
		}
		if len(code) != userCodeLength+1 || strings.Trim(code, userCodeLetters) != "-" && strings.Count(code, "-") != 1 {
			t.Fatalf("%q: %q", typed, code)
		}
		for _, form := range []string{code, strings.ToLower(code), strings.ReplaceAll(code, "-", ""), strings.ReplaceAll(code, "-", " ")} {
			if again, ok := readUserCode(form); !ok || again != code {
				t.Fatalf("%q: %q", form, again)
			}
		}
	})
}
