package browser

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// TestGolden_Consent visits the consent page in each of its states.
func TestGolden_Consent(t *testing.T) {
	t.Parallel()
	for name, visit := range map[string]func(*site, *tab){
		"first time": func(s *site, b *tab) {
			s.newApp().asks(b, "mcp:read mcp:write mcp:tools offline_access")
			b.reads("Paperclip wants to use", "Set up by your administrator", "This app runs on this device.", "Undo it at any time")
			b.looks("consent")
			b.follow(`a[href*="switch"]`)
			b.titled("Sign in")
			b.until("nobody is filled in", `document.querySelector("#username").value === ""`)
		},
		"additional permissions": func(s *site, b *tab) {
			a := s.newApp()
			a.connect(b, "mcp:read")
			a.asks(b, "mcp:read mcp:write")
			b.reads("Paperclip wants more access to")
			b.badged("mcp:write")
			b.looks("consent-additional")
		},
		"nothing chosen": func(s *site, b *tab) {
			s.newApp().asks(b, "mcp:read")
			b.click(`input[value="mcp:read"]`)
			b.follow(`button[value="allow"]`)
			b.reads("Choose at least one permission, or cancel.")
			b.looks("consent-nothing-chosen")
		},
		"sensitive": func(s *site, b *tab) {
			s.newApp(func(c *storage.Client) { c.Scopes = append(c.Scopes, "files:admin") }).asks(b, "mcp:read mcp:admin files:admin")
			for _, scope := range []string{"mcp:admin", "files:admin"} {
				if eval[bool](b, element(`input[value="`+scope+`"]`)+".checked") {
					s.t.Errorf("%s is ticked beforehand", scope)
				}
			}
			b.looks("consent-sensitive")
		},
		"only who you are": func(s *site, b *tab) {
			s.newApp().asks(b, "openid profile")
			b.reads("The app signs you in with it.", "Always")
			b.looks("consent-identity")
		},
		"very long name": func(s *site, b *tab) {
			long := strings.Repeat("Paperclip and everything that belongs to it ", 5) + strings.Repeat("x", 80)
			s.newApp(func(c *storage.Client) { c.Name = long }).asks(b, "mcp:read")
			b.looks("consent-long-name")
		},
		"right-to-left name": func(s *site, b *tab) {
			s.newApp(func(c *storage.Client) { c.Name = "\u202eتطبيق الملاحظات\u202e (Claude)" }).asks(b, "mcp:read")
			b.until("the text around the name keeps its direction", `getComputedStyle(document.querySelector("h1")).direction === "ltr"`)
			b.looks("consent-right-to-left")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visit(newSite(t), newTab(t))
		})
	}
}

// asks opens the app's request at the consent page.
func (a *app) asks(b *tab, scope string, pairs ...string) {
	a.t.Helper()
	b.open(a.ask(scope, pairs...))
	if b.path() == "/login" {
		b.signIn()
	}
	b.see(`button[value="allow"]`)
}

// badged fails unless one permission is marked as new, and no other.
func (b *tab) badged(scope string) {
	b.t.Helper()
	got := eval[[]string](b, `[...document.querySelectorAll("li:has(.badge) input")].map((e) => e.value)`)
	if len(got) != 1 || got[0] != scope {
		b.t.Errorf("new are %v, not %s", got, scope)
	}
}

// register has a client register itself (RFC 7591).
func (s *site) register(name, redirectURI string) (id string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"client_name": name, "redirect_uris": []string{redirectURI}, "token_endpoint_auth_method": "none"})
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.HTTP.Post(s.Issuer+"/oauth/register", "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != http.StatusCreated {
		s.t.Fatalf("register: %s %v", response.Status, err)
	}
	return got.ID
}

// document is a client that describes itself at an address, as it was fetched
// a moment ago.
func (s *site) document(address string, change ...func(*storage.Client)) *app {
	s.t.Helper()
	a, now := s.listen(), time.Now()
	a.id = address
	c := storage.Client{
		ID: address, Name: "Paperclip", AuthMethod: "none", GrantTypes: []string{"authorization_code", "refresh_token"},
		RedirectURIs: []string{"http://127.0.0.1/callback"}, Registration: storage.RegisteredByDocument,
		FetchedAt: now, FreshUntil: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now,
	}
	for _, f := range change {
		f(&c)
	}
	if _, err := s.Store.SaveDocument(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// TestGolden_ConsentStranger visits the consent page of clients that introduce
// themselves: by registering, or by the address of a document.
func TestGolden_ConsentStranger(t *testing.T) {
	t.Parallel()
	elsewhere := func(host string) func(*storage.Client) {
		return func(c *storage.Client) { c.RedirectURIs = []string{"https://" + host + "/callback"} }
	}
	for name, visit := range map[string]func(*site, *tab){
		"registered itself": func(s *site, b *tab) {
			a := s.listen()
			a.id = s.register("Definitely Claude", a.callback)
			a.asks(b, "mcp:read")
			b.reads("Nobody vouches for this name")
			b.looks("consent-registered-itself")
		},
		"confirmed": func(s *site, b *tab) {
			a := s.document("https://paperclip.example/oauth/client.json", elsewhere("paperclip.example"), func(c *storage.Client) {
				c.ClientURI, c.PolicyURI, c.TOSURI = "https://paperclip.example", "https://paperclip.example/privacy", "https://paperclip.example/terms"
			})
			a.asks(b, "mcp:read mcp:write", "redirect_uri", "https://paperclip.example/callback")
			b.reads("Name confirmed", "paperclip.example", "About this app, in its own words")
			if strings.Contains(b.text(), "on this device") {
				s.t.Error("the page warns of an app on this device, and there is none")
			}
			b.looks("consent-document")
		},
		"look-alike host": func(s *site, b *tab) {
			a := s.document("https://xn--pperclip-4ya.example/client.json", elsewhere("xn--pperclip-4ya.example"))
			a.asks(b, "mcp:read", "redirect_uri", "https://xn--pperclip-4ya.example/callback")
			b.reads("xn--pperclip-4ya.example")
			b.looks("consent-look-alike")
		},
		"changed": func(s *site, b *tab) {
			a := s.document("https://paperclip.example/client.json")
			a.connect(b, "mcp:read")
			s.document(a.id, func(c *storage.Client) {
				c.RedirectURIs = append(c.RedirectURIs, "https://paperclip.example/elsewhere")
			})
			s.Eventually("the server has the changed document", func() bool {
				a.asks(b, "mcp:read")
				return strings.Contains(b.text(), "This app has changed")
			})
			b.looks("consent-changed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visit(newSite(t), newTab(t))
		})
	}
}
