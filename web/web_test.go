package web_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/web"
)

// element is a start tag; form is the address of the form it stands in, text
// what it holds.
type element struct {
	name string
	attr map[string]string
	form string
	text string
}

// elements reads a page, which must be well nested.
func elements(t *testing.T, page []byte) []*element {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var all, open []*element
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if len(open) > 0 {
				t.Fatalf("<%s> is not closed:\n%s", open[len(open)-1].name, page)
			}
			return all
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := started(token, open)
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.text += string(token)
			}
		}
	}
}

// started is the element that begins with a tag within the open ones.
func started(tag xml.StartElement, open []*element) *element {
	e := &element{name: tag.Name.Local, attr: map[string]string{}}
	for _, a := range tag.Attr {
		e.attr[a.Name.Local] = a.Value
	}
	if len(open) > 0 {
		e.form = open[len(open)-1].form
	}
	if e.name == "form" {
		e.form = e.attr["action"]
	}
	return e
}

func named(all []*element, name string) []*element {
	return slices.DeleteFunc(slices.Clone(all), func(e *element) bool { return e.name != name })
}

func TestPages_EveryStateFitsItsPolicy(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	assets := map[string]bool{}
	for _, a := range pages.Assets() {
		assets["/tenant"+a.Path] = true
	}
	for name, page := range states(t, pages) {
		if !strings.Contains(page.Policy, "default-src 'none'") || !strings.Contains(page.Policy, "frame-ancestors 'none'") || strings.Contains(page.Policy, "unsafe") {
			t.Errorf("%s: policy %q", name, page.Policy)
		}
		for _, e := range elements(t, page.HTML) {
			if e.active() || e.loads(assets) {
				t.Errorf("%s: <%s %v>%s", name, e.name, e.attr, e.text)
			}
		}
	}
}

// active reports whether an element has a style or a script of its own.
func (e *element) active() bool {
	for attr, value := range e.attr {
		if attr == "style" || strings.HasPrefix(attr, "on") || strings.HasPrefix(strings.ToLower(value), "javascript:") {
			return true
		}
	}
	return e.name == "style" || e.name == "script" && e.text != ""
}

// loads reports whether an element loads something that is not an asset.
func (e *element) loads(assets map[string]bool) bool {
	switch source := e.attr["src"]; e.name {
	case "script":
		return !assets[source]
	case "link":
		return !assets[e.attr["href"]]
	case "img":
		return !strings.HasPrefix(source, "data:image/") && !assets[source]
	}
	return false
}

// The redirect that follows an answer may lead to the client, and browsers hold
// it to form-action.
func TestPages_FormActionIsOpenWhereAFormEndsAtTheClient(t *testing.T) {
	t.Parallel()
	all := states(t, newPages(t))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		ends := strings.HasPrefix(name, "sign in") || strings.HasPrefix(name, "consent") || name == "second factor" || name == "recovery"
		if got := !strings.Contains(all[name].Policy, "form-action 'self'"); got != ends {
			t.Errorf("%s: %q", name, all[name].Policy)
		}
	}
}

func TestPages_EveryStateIsNamedAndSmall(t *testing.T) {
	t.Parallel()
	pages := newPages(t)
	weight := 0
	for _, a := range pages.Assets() {
		weight += len(a.Content)
	}
	for name, page := range states(t, pages) {
		if total := weight + len(page.HTML); total > 40<<10 {
			t.Errorf("%s weighs %d bytes with its assets", name, total)
		}
		all := elements(t, page.HTML)
		if len(named(all, "h1")) != 1 || len(named(all, "main")) != 1 || named(all, "html")[0].attr["lang"] != "en" {
			t.Errorf("%s: a page has a language, one main part and one first heading", name)
		}
		title, heading := named(all, "title")[0].text, strings.Join(strings.Fields(named(all, "h1")[0].text), " ")
		if name != "home" && title != heading+" · Gatehouse" {
			t.Errorf("%s: title %q, heading %q", name, title, heading)
		}
		primary := slices.DeleteFunc(all, func(e *element) bool { return !strings.Contains(e.attr["class"], "primary") })
		if len(primary) > 1 {
			t.Errorf("%s: %d primary actions", name, len(primary))
		}
	}
}

func TestPages_EveryIDIsUniqueEveryInputLabelledEveryFormAPost(t *testing.T) {
	t.Parallel()
	for name, page := range states(t, newPages(t)) {
		labels, ids := map[string]bool{}, map[string]bool{}
		for _, e := range elements(t, page.HTML) {
			id := e.attr["id"]
			if id != "" && ids[id] {
				t.Errorf("%s: two elements have the id %q", name, id)
			}
			ids[id] = true
			if e.name == "label" {
				labels[e.attr["for"]] = true
			}
			if e.name == "form" && e.attr["method"] != "post" {
				t.Errorf("%s: a form is not a POST", name)
			}
			if e.typed() && !labels[id] {
				t.Errorf("%s: input %q has no label", name, e.attr["name"])
			}
		}
	}
}

// typed reports whether an element is an input that a person types into.
func (e *element) typed() bool {
	_, hidden := e.attr["hidden"]
	return e.name == "input" && e.attr["type"] != "hidden" && e.attr["type"] != "checkbox" && !hidden
}

// What the server reads is what the pages send.
func TestPages_FormsSendTheNamesOfTheContract(t *testing.T) {
	t.Parallel()
	all := states(t, newPages(t))
	for _, c := range []struct{ page, action, names string }{
		{"sign in", "/there", "interaction interaction password upstream=okta username"}, //nolint:dupword // two forms
		{"sign in", "/passkey", "credential interaction"},
		{"sign in again", "/there", "interaction password username"},
		{"second factor", "/there", "code interaction"},
		{"recovery", "/there", "code interaction"},
		{"consent", "/there", "decision=allow decision=deny interaction scope=mcp:admin scope=mcp:read scope=mcp:write"},
		{"consent nothing", "/there", "decision=allow decision=deny interaction"},
		{"device", "/there", "interaction user_code"},
		{"sign out", "/there", "decision=sign_out interaction"},
		{"enroll", "/there", "code interaction secret"},
		{"apps", "/a/disconnect", "grant grant"}, //nolint:dupword // two apps
		{"apps", "/a/narrow", "grant scope=mcp:admin scope=mcp:read scope=mcp:write"},
		{"apps undo", "/a/restore", "grant"},
		{"sessions", "/a/end", "session session=others"},
		{"security", "/passkey", "credential name"},
		{"security", "/a/unpasskey", "passkey"},
		{"security", "/a/password", "current_password password password_again"},
		{"security empty", "/a/password", "password password_again"},
		{"security", "/a/remove", ""}, {"security", "/a/codes", ""}, {"security empty", "/a/begin", ""}, {"security", "/logout", ""},
	} {
		forms, names := 0, []string{}
		for _, e := range elements(t, all[c.page].HTML) {
			if e.form != "/tenant"+c.action {
				continue
			}
			if e.name == "form" {
				forms++
			}
			switch name := e.attr["name"]; {
			case name == "" || e.name != "input" && e.name != "button":
			case e.name == "button" || name == "scope":
				names = append(names, name+"="+e.attr["value"])
			default:
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); forms == 0 || got != c.names {
			t.Errorf("%s %s: %d forms send %q, want %q", c.page, c.action, forms, got, c.names)
		}
	}
}

// Password managers and keyboards are told what is asked for.
func TestPages_InputsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	all := states(t, newPages(t))
	for _, c := range []struct{ page, input, want string }{
		{"sign in", "username", `autocomplete="username webauthn"`},
		{"sign in by password", "username", `autocomplete="username"`},
		{"sign in", "password", `autocomplete="current-password"`},
		{"sign in again", "username", `readonly`},
		{"second factor", "code", `inputmode="numeric" autocomplete="one-time-code"`},
		{"recovery", "code", `autocomplete="off"`},
		{"recovery", "code", `aria-invalid="true" aria-describedby="problem"`},
		{"device", "user_code", `autocapitalize="characters"`},
		{"security", "current_password", `autocomplete="current-password"`},
		{"security", "password", `autocomplete="new-password"`},
		{"enroll", "code", `inputmode="numeric"`},
	} {
		tag := regexp.MustCompile(`<input[^>]* name="` + c.input + `"[^>]*>`).Find(all[c.page].HTML)
		if !bytes.Contains(tag, []byte(c.want)) {
			t.Errorf("%s: %s lacks %s", c.page, tag, c.want)
		}
	}
}

// BenchmarkConsent renders the heaviest page.
func BenchmarkConsent(b *testing.B) {
	pages := newPages(b)
	page := consent(func(c *web.Consent) {
		for range 40 {
			c.Permissions = append(c.Permissions, optional)
		}
	})
	for b.Loop() {
		if _, err := pages.Consent(page); err != nil {
			b.Fatal(err)
		}
	}
}
