package browser

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/page"
)

// looks judges the page that the tab is at: what axe-core finds, whether it
// fits a phone, and how it looks beside its pictures under golden. The page is
// then as before.
func (b *tab) looks(name string) {
	b.t.Helper()
	b.until("the page is complete", complete+` && document.fonts.status === "loaded"`)
	b.scheme("light")
	b.accessible(name + " in light")
	steady(b)
	b.pictured(name+"-light", 720)
	structure := "wide\n" + b.structure()
	b.scheme("dark")
	b.accessible(name + " in dark")
	b.pictured(name+"-dark", 720)
	b.scheme("light")
	b.size(390, 844)
	b.accessible(name + " on a phone")
	if over := eval[string](b, overflowing); over != "" {
		b.t.Errorf("%s: wider than a phone: %s", name, over)
	}
	b.pictured(name+"-phone", 390)
	b.structured(name, structure+"phone\n"+b.structure())
	b.size(1080, 800)
	b.check(b.t)
}

// overflowing names what is wider than the window.
const overflowing = `(() => {
	const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= width) return "";
	const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + .5);
	return document.documentElement.scrollWidth + " px: " + wide.map((e) => e.outerHTML.slice(0, 80)).join("\n");
})()`

// axe is the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	source, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		return "", fmt.Errorf("axe-core is not installed: run npm ci --ignore-scripts in test/browser: %w", err)
	}
	return string(source) + "; true", nil
})

// judgement has axe-core look at the page. Beyond levels A and AA it holds text
// to the contrast of level AAA, as the pages promise.
const judgement = `axe.run(document, {
	runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
	rules: {"color-contrast-enhanced": {enabled: true}, "target-size": {enabled: true}},
	resultTypes: ["violations"],
}).then((r) => r.violations.map((v) => v.id + ": " + v.help + "\n" + v.nodes.map((n) => n.html + "\n\t" + n.failureSummary).join("\n")))`

// accessible fails for each rule that the page breaks.
func (b *tab) accessible(name string) {
	b.t.Helper()
	source, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	if !eval[bool](b, `"axe" in window`) {
		eval[bool](b, source)
	}
	for _, violation := range eval[[]string](b, judgement) {
		b.t.Errorf("%s: %s", name, violation)
	}
}

// steady replaces what differs from run to run: ports, references, codes, times
// to wait. It hides the caret, which blinks.
func steady(b *tab) {
	b.t.Helper()
	eval[bool](b, `(() => {
		const letters = "[BCDFGHJKLMNPQRSTVWXZ]{4}";
		const same = (text) => text.replace(/:\d{5}\b/g, ":51234").replace(/\b[A-Z2-7]{26}\b/g, "4XQ2K7MZPD5TLHWYVB3RNCJGSE")
			.replace(new RegExp("\\b" + letters + "-" + letters + "\\b", "g"), "WDJB-MJHT")
			.replace(/in (a second|\d+ seconds)\./g, "in 2 seconds.").replace(/(a minute|\d+ minutes) ago/g, "just now");
		const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		while (walker.nextNode()) walker.currentNode.data = same(walker.currentNode.data);
		const fixed = (e, text) => { if (e.dataset.real === undefined) { e.dataset.real = e.innerText; e.innerText = text; } };
		for (const e of document.querySelectorAll(".key")) fixed(e, "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP");
		for (const e of document.querySelectorAll(".codes li")) fixed(e, "abcd-efgh-ijkl");
		const quiet = new CSSStyleSheet();
		quiet.replaceSync("* { caret-color: transparent !important } .qr { filter: contrast(0) }");
		document.adoptedStyleSheets = [quiet];
		return true;
	})()`)
}

// capture takes a picture of the whole page at a width.
func (b *tab) capture(width int64) []byte {
	b.t.Helper()
	b.size(width, 480)
	height := eval[int64](b, "document.documentElement.scrollHeight")
	b.size(width, max(height, 480))
	eval[bool](b, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
	return do(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng}).Data
}

// safe is a name that can be a file's.
func safe(name string) string { return strings.NewReplacer(" ", "-", "/", "-").Replace(name) }
