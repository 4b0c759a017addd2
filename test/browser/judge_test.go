package browser

import (
	"bytes"
	"image"
	"image/png"
	"strings"
	"testing"
)

// TestJudges proves that what looks at the pages can see: each defect that is
// put into a page is found, and letters of another kind are none.
func TestJudges(t *testing.T) {
	t.Parallel()
	a, b := newSite(t).newApp(), newTab(t)
	a.asks(b, "mcp:read mcp:write")
	b.scheme("light")
	b.accessible("the page itself")
	right := b.picture()

	for font, changes := range map[string]string{
		"another font":    `* { font-family: "DejaVu Serif", serif !important }`,
		"a narrow font":   `* { font-family: "Liberation Sans Narrow", "Liberation Sans", Arial, sans-serif !important }`,
		"wider letters":   `* { letter-spacing: .03em !important }`,
		"smaller letters": `* { font-size-adjust: .5 !important }`,
	} {
		b.styled(changes)
		if d := compare(right, b.picture()); d.differs() {
			t.Errorf("%s is a defect: %+v", font, d)
		}
	}
	for defect, changes := range map[string]string{
		"no stylesheet": "* { all: revert !important }",
		"no card":       ".card { background: none; border: 0; box-shadow: none } body { background: #fff }",
		"wrong scheme":  ":root { filter: invert(1) }",
	} {
		b.styled(changes)
		if d := compare(right, b.picture()); !d.differs() {
			t.Errorf("%s is no defect: %+v", defect, d)
		}
	}
	b.styled("")
	seen := b.structure()
	for defect, changes := range map[string]string{
		"no warning":  ".note { display: none }",
		"no switches": "input[type=checkbox] { display: none !important }",
	} {
		b.styled(changes)
		if b.structure() == seen {
			t.Errorf("%s is no defect", defect)
		}
	}
	b.styled("")

	b.size(390, 844)
	b.styled(".card { min-width: 500px }")
	if eval[string](b, overflowing) == "" {
		t.Error("a page that is too wide for a phone fits")
	}
	b.styled(".lead { color: #999 !important }")
	found := eval[[]string](b, judgement)
	if len(found) == 0 || !strings.Contains(found[0], "color-contrast") {
		t.Errorf("pale text is fine: %v", found)
	}
	b.styled("")
	b.check(t)
	b.expect("") // from here on, complaints are what is asked for
	eval[bool](b, `(document.body.insertAdjacentHTML("beforeend", "<p onclick='alert()'>Win a prize</p>"), true)`)
	b.complains(t, "content security policy")
	eval[bool](b, `(fetch("https://evil.example/").catch(() => {}), true)`)
	b.complains(t, "content security policy")
}

// styled adds rules to the page, in place of those added before.
func (b *tab) styled(rules string) {
	b.t.Helper()
	eval[bool](b, `(() => { const s = new CSSStyleSheet(); s.replaceSync(`+quoted(rules)+`); document.adoptedStyleSheets = [s]; return true })()`)
}

// picture is what the page looks like now.
func (b *tab) picture() image.Image {
	b.t.Helper()
	p, err := png.Decode(bytes.NewReader(b.capture(720)))
	if err != nil {
		b.t.Fatal(err)
	}
	return quantised(p)
}
