package browser

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// TestGolden_Error visits the pages of what cannot go on.
func TestGolden_Error(t *testing.T) {
	t.Parallel()
	for name, visit := range map[string]func(*app, *tab){
		"unknown client": func(a *app, b *tab) {
			b.open(a.ask("mcp:read", "client_id", "nobody"))
			b.titled("This app is not known here")
			b.looks("error-unknown-client")
		},
		"bad redirect URI": func(a *app, b *tab) {
			b.open(a.ask("mcp:read", "redirect_uri", "https://evil.example/callback"))
			b.titled("The app gave a wrong return address")
			if eval[int](b, `document.querySelectorAll("a").length`) != 0 {
				t.Error("the page links somewhere")
			}
			b.looks("error-redirect-uri")
		},
		"form of another site": func(a *app, b *tab) {
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><form method="post" action="%s/login"><button>Win a prize</button></form>`, a.Issuer)
			}))
			t.Cleanup(elsewhere.Close)
			b.open(elsewhere.URL)
			b.follow("button")
			b.titled("This did not come from here")
			b.looks("error-elsewhere")
		},
		"home": func(a *app, b *tab) {
			b.open(a.Issuer + "/")
			b.looks("home")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visit(newSite(t).newApp(), newTab(t))
		})
	}
}

// TestGolden_StoreDown asks a server that has lost its store.
func TestGolden_StoreDown(t *testing.T) {
	t.Parallel()
	store := world.SQLite(t)
	a, b := siteOn(t, store).newApp(), newTab(t)
	b.open(a.ask("mcp:read"))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	b.signIn()
	b.titled("Busy right now")
	b.looks("error-busy")
}

// TestGolden_NothingToGrant shows a consent page without permissions, which no
// request leads to as long as the server asks for one at least.
func TestGolden_NothingToGrant(t *testing.T) {
	t.Parallel()
	pages, err := web.New("", web.Brand{})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]web.Asset{}
	for _, file := range pages.Assets() {
		files[file.Path] = file
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if file, found := files[r.URL.Path]; found {
			w.Header().Set("Content-Type", file.ContentType)
			_, _ = w.Write(file.Content)
			return
		}
		page, err := pages.Consent(web.Consent{
			Form: web.Form{Action: "/consent", Interaction: "handle"}, Username: username, Resource: "notes.example", ResourceURI: "https://notes.example/mcp",
			Client: web.Client{Name: "Paperclip", Host: "paperclip.example", Verified: true, RedirectHost: "paperclip.example"}, SwitchAccount: "/login", AccountURL: "/account",
		})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Security-Policy", page.Policy)
		_, _ = w.Write(page.HTML)
	}))
	t.Cleanup(server.Close)
	b := newTab(t)
	b.open(server.URL)
	b.reads("It asks for no permission in particular")
	b.looks("consent-nothing-to-grant")
}

// TestGolden_Device connects a device that has no browser (RFC 8628).
func TestGolden_Device(t *testing.T) {
	t.Parallel()
	s, b := newSite(t), newTab(t)
	s.PublicClient("television", func(c *storage.Client) {
		c.Name, c.GrantTypes, c.RedirectURIs = "Television", []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}, nil
	})
	b.open(s.Issuer + "/oauth/device")
	b.titled("Connect a device")
	b.until("the code has the focus", `document.activeElement?.id === "user_code"`)
	b.looks("device")
	enter := func(code string) {
		b.open(s.Issuer + "/oauth/device")
		b.fill("#user_code", code)
		b.follow("button.primary")
	}

	enter("BBBB-BBBB")
	b.reads("No device waits with this code.")
	b.looks("device-wrong")

	code := s.waitingDevice()
	enter(code)
	b.signIn()
	b.reads("Does your device show this code?", code)
	b.looks("device-consent")
	b.follow(`button[value="allow"]`)
	b.titled("You can go back to your device")
	b.looks("device-done")

	enter(code)
	b.reads("This code was used already.")
	b.looks("device-used")

	enter(s.waitingDevice())
	b.follow(`button[value="deny"]`)
	b.reads("It was not connected. Nothing was shared.")
	b.looks("device-denied")

	enter(s.lateDevice())
	b.reads("codes expire after ten minutes")
	b.looks("device-expired")
}

// waitingDevice has a device ask, and returns the code that it shows.
func (s *site) waitingDevice() (userCode string) {
	s.t.Helper()
	var got struct {
		UserCode string `json:"user_code"`
	}
	s.post("/oauth/device_authorization", map[string]string{"client_id": "television", "scope": "mcp:read", "resource": s.Resource}, &got)
	return got.UserCode
}

// lateDevice returns the code of a device that has waited for too long.
func (s *site) lateDevice() (userCode string) {
	s.t.Helper()
	now := time.Now()
	userCode = "BCDF-GHJK"
	err := s.Store.CreateDeviceAuthorization(s.t.Context(), storage.DeviceAuthorization{
		DeviceCode: sha256.Sum256([]byte(userCode)), UserCode: sha256.Sum256([]byte(userCode)), ClientID: "television", Scopes: []string{"mcp:read"},
		Resource: s.Resource, Audience: s.Resource, TokenFormat: storage.FormatJWT, CreatedAt: now.Add(-11 * time.Minute), ExpiresAt: now.Add(-time.Minute),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return userCode
}
