package web

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPageURI_OnlyHTTPSWithoutCredentials(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"https://app.example/terms?x=1": "https://app.example/terms?x=1", "HTTPS://app.example/": "https://app.example/",
		"http://app.example/": "", "javascript:alert(1)": "", "data:text/html,x": "", "//app.example/": "", "/terms": "", "https:///x": "", "https:app.example": "",
		"https://a@app.example/": "", "https://app.example/\x00": "", "": "", "\x20https://app.example/": "",
	} {
		if got := pageURI(uri); got != want {
			t.Errorf("%q: got %q, want %q", uri, got, want)
		}
	}
}

// Whatever a client calls itself, its name stays within its own element and
// shows what it contains.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"Claude", "\u202eevil\u2069", "a\x00\u0085b", "\xff\xfe", "\u2028line", "👩\u200d🔬", "\U000e0041tag", "\ufeff \u00ad"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) || got != strings.TrimSpace(got) || clean(got) != got {
			t.Errorf("%q became %q", s, got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r != ' ' && unicode.IsSpace(r) {
				t.Errorf("%q keeps %U", s, r)
			}
		}
	})
}
