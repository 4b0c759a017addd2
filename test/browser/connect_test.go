package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestConnect goes the whole way of a person who connects an app: sign-in,
// consent with a permission less, and the app works with what it was given.
func TestConnect(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*tab){
		"with JavaScript":    func(*tab) {},
		"without JavaScript": (*tab).withoutScript,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newSite(t).newApp(), newTab(t)
			prepare(b)
			b.open(a.ask("mcp:read mcp:write mcp:tools"))
			b.titled("Sign in")
			b.reads("to continue to Paperclip", "on this device")
			b.signIn()
			b.reads("Paperclip wants to use", "Signed in as "+username, "This app runs on this device.")
			b.click(`input[value="mcp:write"]`)
			b.follow(`button[value="allow"]`)
			b.reads("Back in Paperclip")
			a.works(a.redeem(a.answer().Get("code")))
		})
	}
}

// works checks that a token without mcp:write reads and does not write.
func (a *app) works(got token) {
	a.t.Helper()
	if got.Scope != "mcp:read mcp:tools" {
		a.t.Errorf("scope %q", got.Scope)
	}
	status, body, err := a.Call(a.t.Context(), got.Access, "tools/call", "list_notes", `"name":"list_notes","arguments":{}`)
	if err != nil || status != http.StatusOK || !strings.Contains(string(body), `"result"`) {
		a.t.Errorf("list_notes: %d %s %v", status, body, err)
	}
	status, body, err = a.Call(a.t.Context(), got.Access, "tools/call", "write_note", `"name":"write_note","arguments":{"title":"a","text":"b"}`)
	if err != nil || status != http.StatusForbidden || !strings.Contains(string(body), "insufficient_scope") {
		a.t.Errorf("write_note: %d %s %v", status, body, err)
	}
}

// TestDeny has the person cancel: the app learns it and gets nothing.
func TestDeny(t *testing.T) {
	t.Parallel()
	a, b := newSite(t).newApp(), newTab(t)
	b.open(a.ask("mcp:read"))
	b.signIn()
	b.follow(`button[value="deny"]`)
	if got := a.answer(); got.Get("error") != "access_denied" || got.Has("code") {
		t.Errorf("answer %v", got)
	}
}

// TestKeyboard goes the same way without a mouse. What has the focus shows it.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	a, b := newSite(t).newApp(), newTab(t)
	b.open(a.ask("mcp:read mcp:write"))
	b.until("the username has the focus", `document.activeElement?.id === "username"`)
	b.press(username + kb.Tab)
	b.focused("#password")
	b.press(password)
	b.leave(func() { b.press(kb.Enter) })

	b.reads("Paperclip wants to use")
	order := []string{`a[href*="switch"]`, `input[value="mcp:read"]`, `input[value="mcp:write"]`, `a[href="/account"]`, `button[value="deny"]`, `button[value="allow"]`}
	for _, selector := range order {
		b.press(kb.Tab)
		b.focused(selector)
		if selector == `input[value="mcp:write"]` {
			b.press(" ")
		}
	}
	b.leave(func() { b.press(kb.Enter) })
	if got := a.redeem(a.answer().Get("code")); got.Scope != "mcp:read" {
		t.Errorf("scope %q", got.Scope)
	}
}

// focused fails unless an element has the focus and a person sees that.
func (b *tab) focused(selector string) {
	b.t.Helper()
	got := eval[struct {
		Is, Seen bool
		What     string
	}](b, `(() => {
		const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
		const over = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
		return {
			Is: e === `+element(selector)+`, What: e.outerHTML,
			Seen: s.outlineStyle === "solid" && parseFloat(s.outlineWidth) >= 2 && (e === over || e.contains(over)),
		};
	})()`)
	if !got.Is || !got.Seen {
		b.t.Fatalf("%s should have the focus and show it, and %s has; seen: %t", selector, got.What, got.Seen)
	}
}
