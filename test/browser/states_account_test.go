package browser

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// post sends a form without a browser and reads the answer.
func (s *site) post(path string, fields map[string]string, into any) {
	s.t.Helper()
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	response, err := s.HTTP.PostForm(s.Issuer+path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %v", path, response.Status, err)
	}
}

// TestGolden_AccountApps lists connected apps, disconnects one, takes that back
// and takes a permission away.
func TestGolden_AccountApps(t *testing.T) {
	t.Parallel()
	a, b := newSite(t).newApp(), newTab(t)
	a.account(b, "/account")
	b.titled("Connected apps")
	b.reads("No app is connected")
	b.looks("account-empty")

	got := a.connect(b, "mcp:read mcp:write mcp:tools mcp:admin offline_access")
	other := a.document("https://notebook.example/client.json", func(c *storage.Client) { c.Name = "Notebook" })
	other.connect(b, "mcp:read")
	b.open(a.Issuer + "/account")
	b.reads("Paperclip", "Notebook", "notebook.example")
	b.looks("account-apps")

	b.follow(`article:has([title="Paperclip"]) button.danger`)
	b.reads("Paperclip is disconnected.", "Undo")
	b.looks("account-disconnected")
	a.refused(got.Access)
	b.follow(".note.good button")
	b.reads("The app is connected again.")

	b.click(`article:has([title="Paperclip"]) summary`)
	b.click(`article:has([title="Paperclip"]) input[value="mcp:write"]`)
	b.looks("account-permissions")
	b.follow(`article:has([title="Paperclip"]) details button`)
	b.reads("The app may do less now.")
	b.looks("account-narrowed")

	b.click(`article:has([title="Notebook"]) summary`)
	b.click(`article:has([title="Notebook"]) input[value="mcp:read"]`)
	b.follow(`article:has([title="Notebook"]) details button`)
	b.reads("At least one permission must stay.")
	b.looks("account-narrow-refused")
}

// refused waits until the MCP endpoint refuses a token.
func (s *site) refused(token string) {
	s.t.Helper()
	s.Eventually("the token is refused", func() bool {
		status, _, err := s.Call(s.t.Context(), token, "tools/list", "", "")
		return err == nil && status == http.StatusUnauthorized
	})
}

// TestGolden_AccountSessions lists browsers and signs one out.
func TestGolden_AccountSessions(t *testing.T) {
	t.Parallel()
	s, b, other := newSite(t), newTab(t), newTab(t)
	s.account(other, "/account")
	s.account(b, "/account/sessions")
	b.titled("Signed-in browsers")
	b.reads("This browser")
	b.looks("account-sessions")
	b.follow(`li form button`)
	b.reads("That browser is signed out.")
	other.open(s.Issuer + "/account")
	other.titled("Sign in")
}

// TestGolden_AccountSecurity sets another password, and asks for a fresh
// sign-in where the last one was too long ago.
func TestGolden_AccountSecurity(t *testing.T) {
	t.Parallel()
	s, b := newSite(t), newTab(t)
	s.account(b, "/account/security")
	b.titled("Security")
	b.looks("account-security")
	change := func(current, fresh string) {
		b.fill("#current_password", current)
		b.fill("#password", fresh)
		b.fill("#password_again", fresh)
		b.follow(`form[action$="/password"] .actions button`)
	}
	change("not my password", "another gate without a key")
	b.reads("Your current password is wrong.")
	b.looks("account-security-wrong")
	change(password, "another gate without a key")
	b.reads("Your new password is set")
	b.looks("account-security-done")

	stale := newTab(t)
	s.signedInBefore(stale, time.Hour)
	stale.open(s.Issuer + "/account/security")
	stale.reads("confirm first that it is you")
	if stale.sees("#password") {
		t.Error("there is something to change")
	}
	stale.looks("account-security-confirm")
	stale.follow(".note.strong a")
	stale.titled("Confirm that it is you")
}

// signedInBefore gives the tab the session of somebody who signed in so long
// ago.
func (s *site) signedInBefore(b *tab, ago time.Duration) {
	s.t.Helper()
	user, err := s.Store.UserByUsername(s.t.Context(), username)
	if err != nil {
		s.t.Fatal(err)
	}
	cookie, now := rand.Text(), time.Now()
	_, err = s.Store.SignIn(s.t.Context(), storage.Session{
		Hash: sha256.Sum256([]byte(cookie)), UserID: user.ID, Methods: []string{"pwd"}, AuthTime: now.Add(-ago),
		CreatedAt: now.Add(-ago), LastSeenAt: now.Add(-ago), ExpiresAt: now.Add(time.Hour),
	}, [32]byte{}, [32]byte{})
	if err != nil {
		s.t.Fatal(err)
	}
	do(b, network.SetCookie, network.SetCookieParams{Name: "gatehouse-session", Value: cookie, URL: s.Issuer})
}
