package authserver_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Whether the person is asked (again), and what they see.
func TestConsent_AS28_Skip(t *testing.T) {
	t.Parallel()
	const local = "http://localhost/cb"
	for _, test := range []struct {
		name   string
		first  []string // what was allowed before; nil: nothing
		then   []string
		change func(*storage.Client)
		asked  bool
	}{
		{name: "first time", then: []string{"scope", "mcp:read"}, asked: true},
		{name: "the same", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read"}},
		{name: "less", first: []string{"scope", "mcp:read mcp:write"}, then: []string{"scope", "mcp:write"}},
		{name: "more", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read mcp:write"}, asked: true},
		{name: "to stay connected", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read offline_access"}, asked: true},
		{name: "more about the person", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read email"}, asked: true},
		{name: "asked for", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read", "prompt", "consent"}, asked: true},
		{name: "another resource", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read", "resource", rootURL}, asked: true},
		{name: "loopback", first: []string{"scope", "mcp:read", "redirect_uri", local}, then: []string{"scope", "mcp:read", "redirect_uri", local}, asked: true},
		{name: "an app's scheme", first: []string{"scope", "mcp:read", "redirect_uri", "cursor://cb"}, then: []string{"scope", "mcp:read", "redirect_uri", "cursor://cb"}, asked: true},
		{
			name: "the client has changed", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read"}, asked: true,
			change: func(c *storage.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://elsewhere.example/") },
		},
		{
			name: "the client's name has changed", first: []string{"scope", "mcp:read"}, then: []string{"scope", "mcp:read"},
			change: func(c *storage.Client) { c.Name = "Other" },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.app("app", redirects(appURL, local, "cursor://cb"), func(c *storage.Client) {
				c.Resources, c.DefaultResource = []string{notesURL, rootURL}, notesURL
			})
			b := w.as("ann")
			if test.first != nil {
				b.connect(ask("app", test.first...), "")
			}
			if test.change != nil {
				w.changeClient("app", test.change)
				eventually(t, "the change is seen", func() bool {
					c, err := w.store.Client(t.Context(), "app")
					return err == nil && c.Revision == 2 && b.showsChange(ask("app", test.first...))
				})
			}
			if a := b.authorize(ask("app", test.then...), ""); (a.Code == http.StatusOK) != test.asked {
				t.Errorf("asked: %v, %d %v", !test.asked, a.Code, a.Header())
			}
		})
	}
}

// showsChange reports whether the server has seen the client's second revision.
func (b *browser) showsChange(request request) bool {
	request.Set("prompt", "consent")
	body := b.authorize(request, "").Body.String()
	return strings.Contains(body, "has changed") || strings.Contains(body, "Other")
}

// Consent is one person's: what ann allowed, bob is asked.
func TestConsent_AS28_PerUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.as("ann").connect(ask("app"), "")
	if a := w.as("bob").authorize(ask("app"), ""); a.Code != http.StatusOK {
		t.Errorf("bob is not asked: %d", a.Code)
	}
}

// The client in the middle: what was allowed to one client is worth nothing to
// another, neither the consent nor the code.
func TestConsent_CLIENTS3_NotForAnotherClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("evil", redirects("https://evil.example/cb", appURL))
	b := w.as("ann")
	b.connect(ask("app"), "")
	evil := ask("evil", "redirect_uri", "https://evil.example/cb")
	page := b.authorize(evil, "")
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "evil.example") {
		t.Fatalf("consent was skipped for another client: %d", page.Code)
	}
	// The form cannot be turned into one about another request.
	fields := page.fields()
	fields.Set("decision", "allow")
	fields.Set("client_id", "app")
	fields.Set("redirect_uri", appURL)
	got := b.fill("/consent", fields).arrived(t, "https://evil.example/cb")
	asApp := ask("app", "redirect_uri", "https://evil.example/cb")
	asApp.verifier = evil.verifier
	if a := w.exchange(asApp, got.Get("code")); a.str("error") != "invalid_grant" {
		t.Errorf("another client redeems the code: %d %s", a.Code, a.Body)
	}
	if a := w.exchange(evil, got.Get("code")); a.Code != http.StatusOK {
		t.Errorf("and has burnt it: %d %s", a.Code, a.Body)
	}
}

// AS-27: the person grants what they tick. Sensitive scopes are not ticked
// beforehand, openid cannot be taken away, and nothing else can be added.
func TestConsent_AS27_PerScope(t *testing.T) {
	t.Parallel()
	admin := func(c *storage.Client) { c.Scopes = []string{"mcp:admin"} }
	for _, test := range []struct{ name, scope, ticks, want string }{
		{"as suggested", "mcp:read mcp:write mcp:admin", "", "mcp:read mcp:write"},
		{"one taken away", "mcp:read mcp:write", "mcp:write off", "mcp:read"},
		{"the sensitive one ticked", "mcp:read mcp:admin", "mcp:admin on", "mcp:admin mcp:read"},
		{"openid stays", "openid email mcp:read", "openid off email off", "mcp:read openid"},
		{"one that was not asked for", "mcp:read", "mcp:write on gatehouse:admin on", "mcp:read"},
		{"only who one is", "openid email", "email off", "openid"},
		{"nothing", "mcp:read", "mcp:read off", ""},
		{"nothing but who one is", "mcp:read openid", "mcp:read off", ""},
		{"only sensitive, not ticked", "mcp:admin", "", ""},
		{"nothing but to stay", "mcp:read offline_access", "mcp:read off", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.app("app", admin)
			b, request := w.as("ann"), ask("app", "scope", test.scope)
			a := b.decide(b.authorize(request, ""), "allow", strings.Fields(test.ticks)...)
			if test.want == "" {
				if a.Code != http.StatusUnprocessableEntity || !strings.Contains(a.Body.String(), "at least one") || a.fields().Get("interaction") == "" {
					t.Errorf("%d %s", a.Code, a.Body)
				}
				return
			}
			if tokens := w.exchange(request, a.arrived(t, appURL).Get("code")); tokens.str("scope") != test.want {
				t.Errorf("got %d %s", tokens.Code, tokens.Body)
			}
		})
	}
}

// Allowed twice gives one code; what comes later is told to start again.
func TestConsent_AS28_DoubleSubmit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	page := b.authorize(ask("app"), "")
	fields := page.fields()
	fields.Set("decision", "allow")
	answers := make([]answer, 6)
	var racers sync.WaitGroup
	for i := range answers {
		each := w.browser()
		each.cookies = maps.Clone(b.cookies)
		racers.Go(func() { answers[i] = each.fill("/consent", fields) })
	}
	racers.Wait()
	codes := slices.DeleteFunc(slices.Clone(answers), func(a answer) bool { return a.Code != http.StatusSeeOther })
	if len(codes) != 1 {
		t.Fatalf("%d of %d submissions got a code", len(codes), len(answers))
	}
	expectPage(t, "once more", b.decide(page, "allow"))
	expectPage(t, "and denied", b.decide(page, "deny"))
}

// Denied is denied: the client learns it and the request is over.
func TestConsent_RFC6749_4_1_2_1_Denied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	page := b.authorize(ask("app"), "")
	got := b.decide(page, "deny").arrived(t, appURL)
	if got.Get("error") != "access_denied" || got.Get("state") != "st-app" || got.Get("iss") != issuer || got.Has("code") {
		t.Errorf("%v", got)
	}
	expectPage(t, "allowed after all", b.decide(page, "allow"))
	if a := b.authorize(ask("app"), ""); a.Code != http.StatusOK {
		t.Errorf("a refusal counts as consent: %d", a.Code)
	}
}

// AS-22: the page names where the answer goes and warns of programs of this
// device; a name cannot look like another host.
func TestConsent_AS22_ShowsWhoAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("local", redirects("http://localhost/cb"), func(c *storage.Client) { c.Name = "<script>alert(1)</script>" })
	w.app("twin", redirects("https://аpp.example/cb"), func(c *storage.Client) { c.Registration = storage.RegisteredDynamically })
	b := w.as("ann")
	local := b.authorize(ask("local", "redirect_uri", "http://localhost:3118/cb"), "").Body.String()
	if !strings.Contains(local, "localhost:3118") || !strings.Contains(local, "runs on this device") || strings.Contains(local, "<script>alert") {
		t.Errorf("a program of this device: %s", local)
	}
	twin := b.authorize(ask("twin", "redirect_uri", "https://аpp.example/cb"), "").Body.String()
	if strings.Contains(twin, "аpp.example") || !strings.Contains(twin, "Nobody vouches") {
		t.Errorf("a look-alike: %s", twin)
	}
}
