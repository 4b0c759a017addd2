package web_test

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/web"
)

func asset(t *testing.T, p *web.Pages, suffix string) web.Asset {
	t.Helper()
	for _, a := range p.Assets() {
		if strings.HasSuffix(a.Path, suffix) {
			return a
		}
	}
	t.Fatalf("there is no %s", suffix)
	return web.Asset{}
}

func TestAssets_AreSmallAndLoadNothing(t *testing.T) {
	t.Parallel()
	style := asset(t, newPages(t), ".css").Content
	if len(style) > 15<<10 {
		t.Errorf("the stylesheet has %d bytes", len(style))
	}
	for _, never := range []string{"url(", "@import", "http"} {
		if bytes.Contains(style, []byte(never)) {
			t.Errorf("the stylesheet has %q", never)
		}
	}
	for _, must := range []string{"prefers-color-scheme: dark", "prefers-reduced-motion", "prefers-contrast", ":focus-visible"} {
		if !bytes.Contains(style, []byte(must)) {
			t.Errorf("the stylesheet lacks %q", must)
		}
	}
	script := asset(t, newPages(t), ".js").Content
	for _, never := range []string{"innerHTML", "eval(", "fetch(", "XMLHttpRequest", "http", "localStorage"} {
		if bytes.Contains(script, []byte(never)) {
			t.Errorf("the script has %q", never)
		}
	}
}

func TestAssets_PathsChangeWithTheContent(t *testing.T) {
	t.Parallel()
	branded, err := web.New("", web.Brand{Accent: "#1d4ed8"})
	if err != nil {
		t.Fatal(err)
	}
	plain := newPages(t)
	if asset(t, plain, ".css").Path == asset(t, branded, ".css").Path {
		t.Error("two stylesheets have one path")
	}
	if asset(t, plain, ".js").Path != asset(t, branded, ".js").Path {
		t.Error("one script has two paths")
	}
}

func TestBrand_IsShown(t *testing.T) {
	t.Parallel()
	for kind, logo := range map[string]string{".svg": `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`, ".png": "\x89PNG\r\n\x1a\nrest"} {
		pages, err := web.New("/tenant", web.Brand{Name: "Acme & Sons", Logo: []byte(logo), Accent: "#1D4ED8"})
		if err != nil {
			t.Fatal(err)
		}
		file := asset(t, pages, kind)
		page, err := pages.Device(web.Device{})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Connect a device · Acme &amp; Sons</title>", `<img src="/tenant` + file.Path + `"`} {
			if !bytes.Contains(page.HTML, []byte(want)) {
				t.Errorf("the page lacks %s:\n%s", want, page.HTML)
			}
		}
		if string(file.Content) != logo || !strings.HasPrefix(file.ContentType, "image/"+kind[1:]) {
			t.Errorf("logo %q %q", file.ContentType, file.Content)
		}
		if style := asset(t, pages, ".css").Content; !bytes.Contains(style, []byte("--accent:#1d4ed8;--on-accent:#ffffff")) {
			t.Errorf("the stylesheet lacks the accent: %s", style[len(style)-200:])
		}
	}
}

func TestBrand_WhatCannotBeShownIsAnError(t *testing.T) {
	t.Parallel()
	for want, brand := range map[string]web.Brand{
		"contrast of 1.3:1 on the light ground":     {Accent: "#ffd500"},
		`"teal" is not a colour like`:               {Accent: "teal"},
		`"#12345" is not`:                           {Accent: "#12345"},
		`"#1d4ed8;}*{display:none" is not`:          {Accent: "#1d4ed8;}*{display:none"},
		"the logo is neither an SVG nor a PNG file": {Logo: []byte("GIF89a")},
		"the logo has 24577 bytes":                  {Logo: make([]byte, 24<<10+1)},
	} {
		if _, err := web.New("", brand); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// The colour that the error names is one that works, and every accent that is
// accepted can be read in the dark.
func TestBrand_AccentCanBeReadInLightAndDark(t *testing.T) {
	t.Parallel()
	_, err := web.New("", web.Brand{Accent: "#ffd500"})
	if err == nil {
		t.Fatal("yellow was accepted")
	}
	better := regexp.MustCompile(`(#\w{6}) would do`).FindStringSubmatch(err.Error())
	for _, accent := range []string{better[1], "#000000", "#0000ff", "#9b1c1c", "#1d4ed8"} {
		pages, err := web.New("", web.Brand{Accent: accent})
		if err != nil {
			t.Fatal(err)
		}
		rules := regexp.MustCompile(`--accent:(#\w{6});--on-accent:(#\w{6})`).FindAllSubmatch(asset(t, pages, ".css").Content, -1)
		if len(rules) != 2 || contrast(t, string(rules[0][1]), "#f6f6f4") < 4.5 || contrast(t, string(rules[1][1]), "#131312") < 7 {
			t.Errorf("%s: %q", accent, rules)
		}
		for _, r := range rules {
			if got := contrast(t, string(r[1]), string(r[2])); got < 4.5 {
				t.Errorf("%s: text on the accent %s has a contrast of %.1f", accent, r[1], got)
			}
		}
	}
}

// WCAG 2.2 SC 1.4.6: text has 7:1; SC 1.4.11, held to 4.5:1: edges of controls.
func TestStylesheet_WCAG_1_4_6_Contrast(t *testing.T) {
	t.Parallel()
	style := string(asset(t, newPages(t), ".css").Content)
	light, rest, _ := strings.Cut(style, "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "@media")
	if !strings.Contains(light, "--ground: #f6f6f4") || !strings.Contains(dark, "--ground: #131312") {
		t.Error("the grounds are not those that accents are checked on")
	}
	for scheme, rules := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([\w-]+): (#\w{6});`).FindAllStringSubmatch(rules, -1) {
			colours[m[1]] = m[2]
		}
		for _, pair := range []struct {
			front, back string
			ratio       float64
		}{
			{"text", "ground", 7}, {"text", "card", 7}, {"secondary", "ground", 7}, {"secondary", "card", 7}, {"text", "warn-tint", 7}, {"secondary", "warn-tint", 7},
			{"warn", "card", 7}, {"warn", "warn-tint", 7}, {"danger", "card", 7}, {"danger", "danger-tint", 7}, {"on-accent", "accent", 7}, {"accent", "ground", 7},
			{"edge", "card", 4.5}, {"edge", "warn-tint", 4.5},
		} {
			if got := contrast(t, colours[pair.front], colours[pair.back]); got < pair.ratio {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", scheme, pair.front, pair.back, got, pair.ratio)
			}
		}
	}
}

// contrast follows WCAG 2.2, written apart from the code under test.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(colour string) (sum float64) {
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(v) / 255
			if c <= 0.04045 {
				sum += weight * c / 12.92
			} else {
				sum += weight * math.Pow((c+0.055)/1.055, 2.4)
			}
		}
		return sum
	}
	x, y := luminance(a)+0.05, luminance(b)+0.05
	return max(x, y) / min(x, y)
}
