package authserver

import (
	"regexp"
	"strings"
)

// mark is a word by which a User-Agent tells what it is. Browsers pose as each
// other, so the first that fits decides.
type mark struct{ word, name string }

// browserMarks returns the browsers that people use.
func browserMarks() []mark {
	return []mark{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"},
		{"OPR/", "Opera"}, {"OPT/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"},
		{"YaBrowser/", "Yandex Browser"}, {"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"},
		{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
}

// systemMarks returns the systems that they run on.
func systemMarks() []mark {
	return []mark{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "macOS"}, {"Mac OS X", "macOS"}, {"Darwin", "macOS"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"},
		{"Linux", "Linux"}, {"X11", "Linux"},
	}
}

func markIn(text string, marks []mark) string {
	for _, m := range marks {
		if strings.Contains(text, m.word) {
			return m.name
		}
	}
	return ""
}

// product is the first product of a User-Agent that is not a browser's (RFC 9110
// §10.1.5), as far as it looks like a name.
var product = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9._-]{0,31})(?:/[[:graph:]]{1,64})?(?: |$)`)

// programName is a User-Agent in words, such as "Firefox on Linux" or "curl";
// empty when it says nothing. Whoever sends it can claim to be anything, but gets
// in no more than one word.
func programName(userAgent string) string {
	text := userAgent[:min(len(userAgent), maxUserAgent)]
	name, system := markIn(text, browserMarks()), markIn(text, systemMarks())
	if m := product.FindStringSubmatch(text); name == "" && m != nil && m[1] != "Mozilla" {
		name = m[1]
	}
	switch {
	case name == "" && system == "":
		return ""
	case name == "":
		return "A program on " + system
	case system == "":
		return name
	}
	return name + " on " + system
}
