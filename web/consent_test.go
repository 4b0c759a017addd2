package web_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/web"
)

func TestConsent_PermissionsAreTickedOnlyWhereThatIsHarmless(t *testing.T) {
	t.Parallel()
	needed := web.Permission{Scope: "files:admin", Description: "Delete files", Sensitive: true, Required: true, Granted: true, Reason: "It cleans up."}
	page, err := newPages(t).Consent(consent(func(c *web.Consent) { c.Permissions = append(slices.Clone(allThree), needed) }))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*element{}
	for _, e := range named(elements(t, page.HTML), "input") {
		if e.attr["name"] == "scope" {
			found[e.attr["value"]] = e
		}
	}
	for scope, want := range map[string]struct{ kind, attr string }{
		"mcp:read": {"hidden", ""}, "mcp:write": {"checkbox", "checked"}, "mcp:admin": {"checkbox", ""}, "files:admin": {"checkbox", "required"},
	} {
		e := found[scope]
		if e == nil || e.attr["type"] != want.kind {
			t.Fatalf("%s: %+v", scope, e)
		}
		for _, attr := range []string{"checked", "required"} {
			if _, has := e.attr[attr]; has != (attr == want.attr) {
				t.Errorf("%s: %s is %v", scope, attr, has)
			}
		}
	}
	for _, reason := range []string{"All else builds on it.", "It cleans up."} {
		if !bytes.Contains(page.HTML, []byte("<small>"+reason+"</small>")) {
			t.Errorf("the page lacks the reason %q", reason)
		}
	}
}

func TestConsent_StatesSayWhatIsSpecial(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	for name, c := range map[string]struct {
		change      func(*web.Consent)
		want, never []string
	}{
		"first":      {nil, []string{"Claude</bdi> wants to use", "claude.ai", "Name confirmed", "Only if you really need it", "until you disconnect it", `href="/tenant/account"`, `href="/tenant/switch"`}, []string{"New</span>", "runs on this device", "has changed", "already may"}},
		"additional": {func(c *web.Consent) { c.Additional = true; c.Permissions[1].New = false }, []string{"wants more access to", "New</span>", "It would also be able to", "It already may"}, nil},
		"changed":    {func(c *web.Consent) { c.Changed = true }, []string{"This app has changed"}, nil},
		"nothing":    {func(c *web.Consent) { c.Permissions = nil }, []string{"asks for no permission in particular"}, []string{"<fieldset"}},
		"local":      {func(c *web.Consent) { c.Client = local }, []string{"This app runs on this device.", "127.0.0.1", "Nobody vouches for this name"}, []string{"Name confirmed"}},
		"unverified": {func(c *web.Consent) { c.Client.Verified = false }, []string{"Name not confirmed"}, []string{"Name confirmed"}},
		"operator's": {func(c *web.Consent) { c.Client.Host = "" }, []string{"Set up by your administrator"}, []string{"Name not"}},
		"device":     {func(c *web.Consent) { c.UserCode = "WDJB-MJHT" }, []string{"WDJB-MJHT", "Allow only if you hold the device"}, []string{"Takes you to"}},
		"online":     {func(c *web.Consent) { c.Offline = false }, nil, []string{"until you disconnect it"}},
	} {
		page, err := pages.Consent(consent(func(page *web.Consent) {
			page.Permissions = slices.Clone(page.Permissions)
			if c.change != nil {
				c.change(page)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(page.HTML), want) {
				t.Errorf("%s: the page lacks %q:\n%s", name, want, page.HTML)
			}
		}
		for _, never := range c.never {
			if strings.Contains(string(page.HTML), never) {
				t.Errorf("%s: the page has %q", name, never)
			}
		}
	}
}

// Return in a switch presses the first button of the form.
func TestConsent_CancelIsTheDefaultButton(t *testing.T) {
	t.Parallel()
	page, err := newPages(t).Consent(consent(nil))
	if err != nil {
		t.Fatal(err)
	}
	buttons := named(elements(t, page.HTML), "button")
	if buttons[0].attr["value"] != "deny" || buttons[1].attr["value"] != "allow" {
		t.Errorf("buttons %v, %v", buttons[0].attr, buttons[1].attr)
	}
}

func TestAccount_SecurityChangesNeedAFreshSignIn(t *testing.T) {
	t.Parallel()
	page := account("security")
	page.Confirm = "/again"
	got, err := newPages(t).Account(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range named(elements(t, got.HTML), "form") {
		if e.form != "/tenant/logout" {
			t.Errorf("there is a form for %s", e.form)
		}
	}
	if !bytes.Contains(got.HTML, []byte(`href="/tenant/again"`)) {
		t.Error("there is no way to confirm")
	}
}

func TestAccount_EmptySectionsExplain(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	for section, want := range map[string]string{"": "No app is connected", "sessions": "You are signed in nowhere else.", "security": "You have none yet."} {
		got, err := pages.Account(web.Account{Section: section, Actions: actions, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(got.HTML, []byte(want)) {
			t.Errorf("%q lacks %q", section, want)
		}
	}
}
