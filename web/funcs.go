package web

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// functions are what templates may call.
func (p *Pages) functions() template.FuncMap {
	return template.FuncMap{
		"at": p.at, "clean": clean, "called": called, "initial": initial, "pageURI": pageURI, "image": p.image,
		"wait": wait, "moment": newMoment, "groups": groups, "more": more, "logo": func() string { return p.paths.Logo }, "hue": hue,
	}
}

// at is the address of a path below the issuer. What has a scheme is left alone
// (html/template lets through only harmless ones).
func (p *Pages) at(path string) string {
	if strings.HasPrefix(path, "/") {
		return p.base + path
	}
	return path
}

// clean makes a foreign text safe to stand among ours: without what would
// reorder, hide or break the text around it. It shortens nothing.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r): // line and paragraph separators too
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), invisible(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// invisible reports whether r is a character that shows nothing. Joiners do: the
// scripts of Persian and Hindi, and many emoji, are wrong without them.
func invisible(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200C', '\u200D'
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) && r != zeroWidthNonJoiner && r != zeroWidthJoiner
}

// called is what to call a client: never nothing.
func called(c Client) string {
	for _, name := range []string{clean(c.Name), clean(c.Host)} {
		if strings.ContainsFunc(name, shows) {
			return name
		}
	}
	return "An app without a name"
}

// shows reports whether r leaves ink by itself.
func shows(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && r != brailleBlank
}

// initial stands for a name where there is no picture.
func initial(name string) string {
	for _, r := range clean(name) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "?"
}

// hue picks one of the stylesheet's colours for a client without a logo, always
// the same for the same host or name.
func hue(c Client) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, cmp.Or(c.Host, c.Name)) // a hash takes everything
	return h.Sum32() % 6
}

// pageURI is the address of a client's page if it is one to link to, and empty
// otherwise.
func pageURI(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

var dataImage = regexp.MustCompile(`^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}$`)

// maxDataImage bounds an image inside a page, in bytes.
const maxDataImage = 24 << 10

// image is the address of a picture if it is one that pages show: in the page
// itself or at a path below the issuer. It is empty otherwise.
func (p *Pages) image(s string) template.URL {
	switch {
	case len(s) <= maxDataImage && dataImage.MatchString(s):
		return template.URL(s) //nolint:gosec // only the letters of base64
	case strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, `\`):
		return template.URL(p.base + s) //nolint:gosec // a path of ours, and an attribute's value is escaped
	}
	return ""
}

// wait says how long that many seconds are.
func wait(seconds int) string {
	switch minutes := (seconds + 59) / 60; {
	case seconds == 1:
		return "a second"
	case seconds < 60:
		return fmt.Sprintf("%d seconds", seconds)
	case minutes == 1:
		return "a minute"
	case minutes < 60:
		return fmt.Sprintf("%d minutes", minutes)
	case minutes <= 60:
		return "an hour"
	default:
		return fmt.Sprintf("%d hours", (minutes+59)/60)
	}
}

// moment is a time as people read it.
type moment struct {
	ISO   string
	Exact string
	Words string
}

func newMoment(now, t time.Time) moment {
	t = t.UTC()
	return moment{ISO: t.Format(time.RFC3339), Exact: t.Format("2 January 2006, 15:04 UTC"), Words: ago(now, t)}
}

func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	switch d := now.Sub(t); {
	case d < time.Minute: // the clocks of two machines differ
		return "just now"
	case d < 2*time.Minute:
		return "a minute ago"
	case d < time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 2*time.Hour:
		return "an hour ago"
	case d < 24*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	case d < 48*time.Hour:
		return "yesterday"
	case d < 30*24*time.Hour:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	default:
		return t.Format("2 January 2006")
	}
}
