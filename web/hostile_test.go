package web_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gatehouse-mcp/gatehouse/web"
)

// hostile is a client that lies wherever it can.
var hostile = web.Client{
	Name: "\u202egnp.\u2066evil\x00\x1b[31m\u200b\"><script>alert(1)</script>\r\nSet-Cookie: a=b", Host: "xn--pple-43d.com", URI: "javascript:alert(1)",
	Logo: "data:image/svg+xml;base64,PHN2Zy8+", RedirectHost: "xn--pple-43d.com", PolicyURI: "http://plain.example/", TOSURI: "https://user@host.example/",
}

func TestPages_HostileClientsAreHarmless(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	app := apps()[0]
	app.Client, app.Device = hostile, "\u202eD\x07"
	listed := account("apps")
	listed.Apps, listed.Disconnected = []web.App{app}, &app
	for name, render := range map[string]func() (web.Document, error){
		"sign in": func() (web.Document, error) { return pages.SignIn(web.SignIn{Form: form, Client: new(hostile)}) },
		"second factor": func() (web.Document, error) {
			return pages.SecondFactor(web.SecondFactor{Form: form, Client: new(hostile)})
		},
		"consent": func() (web.Document, error) {
			return pages.Consent(consent(func(c *web.Consent) { c.Client = hostile }))
		},
		"apps": func() (web.Document, error) { return pages.Account(listed) },
	} {
		page, err := render()
		if err != nil {
			t.Fatal(err)
		}
		elements(t, page.HTML)
		text := string(page.HTML)
		if !strings.Contains(text, "gnp.evil[31m&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;  Set-Cookie: a=b") {
			t.Errorf("%s: the name is not shown as text:\n%s", name, text)
		}
		for _, never := range []string{"<script>", "javascript:", "svg+xml", "plain.example", "host.example", "#ZgotmplZ"} {
			if strings.Contains(text, never) {
				t.Errorf("%s has %q", name, never)
			}
		}
		for _, r := range text {
			if unicode.Is(unicode.Bidi_Control, r) || unicode.IsControl(r) && r != '\n' {
				t.Errorf("%s has the character %U", name, r)
			}
		}
		if name != "second factor" && name != "apps" && !strings.Contains(text, "xn--pple-43d.com") {
			t.Errorf("%s does not show the host as it is", name)
		}
	}
}

func TestPages_PicturesAreDataOrOurs(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	for logo, want := range map[string]string{
		"data:image/png;base64,iVBORw0KGgo=":                  `src="data:image/png;base64,iVBORw0KGgo="`,
		"data:image/webp;base64,AAAA":                         `src="data:image/webp;base64,AAAA"`,
		"/logos/7":                                            `src="/tenant/logos/7"`,
		"":                                                    "",
		"data:image/svg+xml;base64,AAAA":                      "",
		"data:text/html;base64,AAAA":                          "",
		"data:image/png;base64,AA\"onerror=":                  "",
		"https://elsewhere.example/pixel.png":                 "",
		"//elsewhere.example/pixel.png":                       "",
		`/\elsewhere.example/pixel.png`:                       "",
		"data:image/png;base64," + strings.Repeat("A", 32000): "",
	} {
		page, err := pages.Consent(consent(func(c *web.Consent) { c.Client.Logo = logo }))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(page.HTML, []byte("<img")); got != (want != "") || !bytes.Contains(page.HTML, []byte(want)) {
			t.Errorf("logo %.60q: want %q:\n%.2000s", logo, want, page.HTML)
		}
	}
}

func TestPages_LinksOfClientsLeadAwayWithoutTrace(t *testing.T) {
	t.Parallel()
	page, err := newPages(t).Consent(consent(nil))
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, e := range named(elements(t, page.HTML), "a") {
		if !strings.HasPrefix(e.attr["href"], "https://claude.ai/") {
			continue
		}
		links++
		if e.attr["rel"] != "noopener noreferrer nofollow" || e.attr["target"] != "" {
			t.Errorf("link %v", e.attr)
		}
	}
	if links != 3 {
		t.Errorf("%d links of the client", links)
	}
}

func TestConsent_NamelessClientsHaveAName(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	for want, client := range map[string]web.Client{"app.example": {Name: "\u202e\u200b\u3164\u200d\u2800 ", Host: "app.example"}, "An app without a name": {}} {
		page, err := pages.Consent(consent(func(c *web.Consent) { c.Client = client }))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page.HTML, []byte("<title>"+want+" wants to use Notes")) {
			t.Errorf("want %q:\n%s", want, page.HTML)
		}
	}
}

// Joiners belong to the words of Persian and Hindi and to emoji.
func TestConsent_NamesInOtherScriptsStayWhole(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"می\u200cخواهم", "क्\u200dष", "👩\u200d🔬 Lab", "日本語メモ", "كاتب"} {
		page, err := newPages(t).Consent(consent(func(c *web.Consent) { c.Client.Name = name }))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page.HTML, []byte(`">`+name+"</bdi>")) {
			t.Errorf("%q is not shown", name)
		}
	}
}

func TestAccount_TimesAreRelativeAndExact(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	for want, used := range map[string]time.Time{
		"just now": now.Add(20 * time.Second), "a minute ago": now.Add(-61 * time.Second), "59 minutes ago": now.Add(-59 * time.Minute), "an hour ago": now.Add(-time.Hour),
		"23 hours ago": now.Add(-23 * time.Hour), "yesterday": now.Add(-24 * time.Hour), "29 days ago": now.AddDate(0, 0, -29), "12 February 2026": now.AddDate(0, 0, -30),
	} {
		page := account("apps")
		page.Apps = []web.App{{Grant: "g", Client: claude, ConnectedAt: now, LastUsedAt: used}}
		got, err := pages.Account(page)
		if err != nil {
			t.Fatal(err)
		}
		exact := fmt.Sprintf(`<time datetime=%q title=%q>%s</time>`, used.Format(time.RFC3339), used.Format("2 January 2006, 15:04 UTC"), want)
		if !bytes.Contains(got.HTML, []byte(exact)) {
			t.Errorf("the page lacks %s:\n%s", exact, got.HTML)
		}
	}
}

func TestProblem_SaysHowLongToWait(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	for seconds, want := range map[int]string{0: "", 1: "a second", 59: "59 seconds", 60: "a minute", 90: "2 minutes", 3600: "an hour", 3601: "2 hours", 7200: "2 hours"} {
		page, err := pages.SignIn(web.SignIn{Form: form, Passwords: true, Problem: web.Problem{Text: "Too many attempts.", Wait: seconds}})
		if err != nil {
			t.Fatal(err)
		}
		if want != "" {
			want = "Try again in " + want + "."
		}
		if got := strings.Contains(string(page.HTML), "Try again"); got != (want != "") || !bytes.Contains(page.HTML, []byte(want)) {
			t.Errorf("%d seconds: want %q", seconds, want)
		}
	}
}
