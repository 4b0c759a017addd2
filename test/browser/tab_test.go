package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is a window of a browser that nobody has used before.
type tab struct {
	t   *testing.T
	ctx context.Context
	*watcher
}

// newTab opens a tab. When the test ends, it must have had nothing to complain
// of and must have talked to this machine only.
func newTab(t *testing.T) *tab {
	t.Helper()
	p := chromium()
	if p.err != nil {
		t.Fatal(p.err)
	}
	w := &watcher{}
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(w.see))
	t.Cleanup(cancel)
	b := &tab{t, ctx, w}
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as this context
		t.Fatal(err)
	}
	do(b, audits.Enable, cdp.Empty{})
	// A test behaves as a person who looks at this one tab.
	do(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.size(1080, 800)
	t.Cleanup(func() { w.check(t) })
	return b
}

// do sends a command to the tab.
func do[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// step takes a step in the tab.
func (b *tab) step(what string, action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.describe())
	}
}

// size sets the size of the tab's window.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	do(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// scheme sets the colours that the person prefers: light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	do(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// withoutScript turns JavaScript off, in the pages that follow.
func (b *tab) withoutScript() {
	b.t.Helper()
	do(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// eval returns the value of a JavaScript expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := try[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", expression, err, b.describe())
	}
	return value
}

func try[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits for a condition, which may be that of another page than this one.
func (b *tab) until(what, condition string) {
	b.t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for {
		if met, err := try[bool](b, "Boolean("+condition+")"); err == nil && met {
			return
		}
		if <-tick.C; time.Now().After(deadline) {
			b.t.Fatalf("never happened: %s\n%s", what, b.describe())
		}
	}
}

// describe is where the tab is, for who reads of a failure.
func (b *tab) describe() string {
	text, err := try[string](b, `location.href + "\n" + document.body.innerText`)
	if err != nil {
		return err.Error()
	}
	return text
}

const complete = `document.readyState === "complete"`

// open goes to an address.
func (b *tab) open(address string) {
	b.t.Helper()
	b.step("open "+address, chromedp.Navigate(address))
	b.until("the page is complete", complete)
}

// leave does what leads to another page, and waits for that.
func (b *tab) leave(act func()) {
	b.t.Helper()
	eval[bool](b, "window.before = true")
	act()
	b.until("another page", "!window.before && "+complete)
}

// element is the first one of a selector, as an expression.
func element(selector string) string { return "document.querySelector(" + quoted(selector) + ")" }

// quoted is a text as an expression.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil { // strings always encode
		panic(err)
	}
	return string(encoded)
}

// see waits until an element can be seen.
func (b *tab) see(selector string) {
	b.t.Helper()
	b.until(selector+" is seen", element(selector)+"?.checkVisibility({visibilityProperty: true, opacityProperty: true})")
}

// sees reports whether an element can be seen now.
func (b *tab) sees(selector string) bool {
	b.t.Helper()
	return eval[bool](b, "Boolean("+element(selector)+"?.checkVisibility({visibilityProperty: true, opacityProperty: true}))")
}

// click clicks in the middle of an element, which nothing may cover.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.see(selector)
	at := eval[struct {
		X, Y float64
		Over string
	}](b, `(() => {
		const e = `+element(selector)+`;
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
		const top = document.elementFromPoint(x, y);
		return {X: x, Y: y, Over: e === top || e.contains(top) || top?.contains(e) || top?.closest("label")?.control === e ? "" : top?.outerHTML ?? "nothing"};
	})()`)
	if at.Over != "" {
		b.t.Fatalf("%s is covered by %s", selector, at.Over)
	}
	b.step("click "+selector, chromedp.MouseClickXY(at.X, at.Y))
}

// follow clicks what leads to another page.
func (b *tab) follow(selector string) {
	b.t.Helper()
	b.leave(func() { b.click(selector) })
}

// fill types a text into an input, instead of what it has.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.see(selector)
	eval[bool](b, `(() => { const e = `+element(selector)+`; e.focus(); e.select(); return true })()`)
	if text == "" {
		text = kb.Delete
	}
	b.press(text)
}

// press presses keys, each as a person does.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.step("press keys", chromedp.KeyEvent(keys))
}

// path is where the tab is, without its query.
func (b *tab) path() string { b.t.Helper(); return eval[string](b, "location.pathname") }

// text is what can be read on the page.
func (b *tab) text() string { b.t.Helper(); return eval[string](b, "document.body.innerText") }

// reads fails unless all of these can be read on the page.
func (b *tab) reads(wanted ...string) {
	b.t.Helper()
	text := strings.Join(strings.Fields(b.text()), " ")
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			b.t.Errorf("%q is not on the page:\n%s", w, b.describe())
		}
	}
}

// titled fails unless the title and the first heading of the page are these.
func (b *tab) titled(title string) {
	b.t.Helper()
	got := eval[[]string](b, `[document.title, document.querySelector("h1")?.innerText ?? ""]`)
	if want := []string{title + " · Gatehouse", title}; fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Fatalf("title and heading are %q, not %q\n%s", got, want, b.describe())
	}
}
