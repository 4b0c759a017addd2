package authserver_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// has reports whether the page says all of texts.
func (a answer) has(texts ...string) bool {
	body := html.UnescapeString(a.Body.String())
	for _, text := range texts {
		if !strings.Contains(body, text) {
			return false
		}
	}
	return true
}

// hidden are the values of the page's inputs of that name.
func (a answer) hidden(name string) (found []string) {
	for _, m := range regexp.MustCompile(`name="`+name+`" value="([^"]*)"`).FindAllStringSubmatch(a.Body.String(), -1) {
		found = append(found, html.UnescapeString(m[1]))
	}
	return found
}

// did submits a form of the account and returns the page that it leads to.
func (b *browser) did(path string, pairs ...string) answer {
	b.t.Helper()
	a := b.submit(path, pairs...)
	if a.Code != http.StatusSeeOther || !strings.HasPrefix(a.Header().Get("Location"), "/account") {
		b.t.Fatalf("%s: %d %v %s", path, a.Code, a.Header(), a.Body)
	}
	return b.get(a.Header().Get("Location"))
}

// grants are the ids of the grants on the page of apps.
func (b *browser) grants() []string {
	b.t.Helper()
	seen := map[string]bool{}
	var ids []string
	for _, id := range b.get("/account").hidden("grant") {
		if !seen[id] {
			ids = append(ids, id)
		}
		seen[id] = true
	}
	return ids
}

func accountPosts() []string {
	return []string{
		"/account/disconnect", "/account/restore", "/account/narrow", "/account/sessions/end", "/account/security/passkeys",
		"/account/security/passkeys/remove", "/account/security/password", "/account/security/second-factor",
		"/account/security/second-factor/begin", "/account/security/second-factor/remove", "/account/security/recovery-codes",
	}
}

func TestAccount_NotSignedIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := w.browser()
	for _, path := range []string{"/account", "/account/sessions", "/account/security", "/account/security/second-factor"} {
		if a := stranger.get(path); a.Code != http.StatusSeeOther || a.Header().Get("Location") != "/login?return=account" {
			t.Errorf("GET %s: %d %v", path, a.Code, a.Header())
		}
	}
	for _, path := range accountPosts() {
		if a := stranger.submit(path, "grant", "x"); a.Code != http.StatusSeeOther || a.Header().Get("Location") != "/login?return=account" {
			t.Errorf("POST %s: %d %v", path, a.Code, a.Header())
		}
	}
}

// A form that another page sent does nothing at all.
func TestAccount_FormsFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	ada := w.as("ada")
	tokens := ada.connect(ask("app"), "")
	fields := values("grant", ada.grants()[0], "session", "others", "password", "long enough for us", "password_again", "long enough for us")
	before, _ := w.store.User(t.Context(), "ada")
	for _, path := range accountPosts() {
		for header, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "same-site"} {
			r := form(path, fields)
			r.Header.Set(header, value)
			if a := ada.send(r); a.Code != http.StatusForbidden || !a.has("did not come from here") {
				t.Errorf("POST %s %s: %d %s", path, header, a.Code, a.Body)
			}
		}
	}
	after, err := w.store.User(t.Context(), "ada")
	if err != nil || after.Revision != before.Revision || w.refresh("app", tokens.str("refresh_token")).Code != http.StatusOK {
		t.Error("something was changed")
	}
}

func TestAccount_Apps_Empty(t *testing.T) {
	t.Parallel()
	a := newWorld(t).as("ada").get("/account")
	if a.Code != http.StatusOK || !a.has("<h1>Connected apps</h1>", "No app is connected", "Name of ada") || len(a.Body.String()) > 40<<10 {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if policy := a.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self'") || a.Header().Get("Cache-Control") != "no-store" {
		t.Error(a.Header())
	}
}

// Each installation has its card, also when its client is gone.
func TestAccount_Apps_Cards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", func(c *storage.Client) { c.Name = "Scribe"; c.Scopes = append(c.Scopes, "mcp:admin") })
	w.app("gone", func(c *storage.Client) { c.Name = "Vanished" })
	ada := w.as("ada")
	for range 2 {
		ada.connect(ask("app", "scope", "openid mcp:read offline_access", "prompt", "consent"), "")
	}
	ada.connect(ask("gone"), "")
	if err := w.store.DeleteClient(t.Context(), "gone", storage.Event{Kind: storage.EventClientChanged, Target: "gone", CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	a := ada.get("/account")
	if n := strings.Count(a.Body.String(), "<article"); n < 2 || strings.Count(a.Body.String(), ">Scribe<") != 2 {
		t.Errorf("%d cards: %s", n, a.Body)
	}
	if !a.has("app.example", "mcp.example", "Read", "Disconnect", "It ends when you disconnect the app.", "The app signs you in with it.") || a.has("Vanished") {
		t.Error(a.Body)
	}
	if other := w.as("bob").get("/account"); other.has("Scribe") {
		t.Error("somebody else's apps")
	}
}

// Disconnecting ends every token of the installation at once, and Undo brings
// back the refresh token, but no access token.
func TestAccount_Disconnect_AndUndo(t *testing.T) {
	t.Parallel()
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.app("app", func(c *storage.Client) { c.TokenFormat = format })
			rs := w.client("rs", introspecting)
			ada := w.as("ada")
			sibling := ada.connect(ask("app"), "")
			<-time.After(time.Second)
			tokens := ada.connect(ask("app", "prompt", "consent"), "")
			a := ada.did("/account/disconnect", "grant", ada.grants()[0])
			if !a.has("is disconnected", "Undo", "/account/restore") {
				t.Error(a.Body)
			}
			left := fmt.Sprintf("%t %s %t %d", w.active("rs", rs, tokens.str("access_token")), w.refresh("app", tokens.str("refresh_token")).str("error"),
				w.active("rs", rs, sibling.str("access_token")), len(ada.grants()))
			if left != "false invalid_grant true 1" {
				t.Errorf("the tokens, the other installation's, and the grants: %s", left)
			}
			<-time.After(2 * time.Second)
			if a = ada.did("/account/restore", "grant", a.hidden("grant")[0]); !a.has("connected again") || a.has("Undo") {
				t.Error(a.Body)
			}
			again := w.refresh("app", tokens.str("refresh_token"))
			if again.Code != http.StatusOK || !w.active("rs", rs, again.str("access_token")) || w.active("rs", rs, tokens.str("access_token")) {
				t.Errorf("after undo: %d %s", again.Code, again.Body)
			}
			if log := w.logs.String(); !strings.Contains(log, "grant revoked") || !strings.Contains(log, "grant restored") {
				t.Error("the security log")
			}
		})
	}
}

func TestAccount_Disconnect_UndoTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		ada := w.as("ada")
		tokens := ada.connect(ask("app"), "")
		id := ada.grants()[0]
		ada.did("/account/disconnect", "grant", id)
		<-time.After(31 * time.Second)
		if a := ada.get("/account?disconnected=" + id); a.has("Undo") || !a.has("No app is connected") {
			t.Error(a.Body)
		}
		if a := ada.submit("/account/restore", "grant", id); a.Code != http.StatusNotFound || !a.has("cannot be undone any more") {
			t.Errorf("%d %s", a.Code, a.Body)
		}
		if w.refresh("app", tokens.str("refresh_token")).Code == http.StatusOK {
			t.Error("it came back")
		}
	})
}

// Without refresh tokens nothing would come back, so nothing is offered.
func TestAccount_Disconnect_NothingToUndo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} })
	rs := w.client("rs", introspecting)
	ada := w.as("ada")
	tokens := ada.connect(ask("app"), "")
	if a := ada.did("/account/disconnect", "grant", ada.grants()[0]); !a.has("The app is disconnected.") || a.has("Undo") {
		t.Error(a.Body)
	}
	if w.active("rs", rs, tokens.str("access_token")) {
		t.Error("the token is still good")
	}
}

// late lets something happen between the beginning of a revocation and its
// statement.
type late struct {
	storage.Store
	meanwhile func()
}

func (l *late) RevokeGrant(ctx context.Context, id, userID, reason string, revoked storage.Event, now time.Time) error {
	l.meanwhile()
	return l.Store.RevokeGrant(ctx, id, userID, reason, revoked, now)
}

// A token that the app got while the revocation was on its way ends with it.
func TestAccount_Disconnect_FasterRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &late{Store: migratedStore(t)}
		w := newWorld(t, func(c *authserver.Config) { c.Store = slow })
		w.app("app")
		rs := w.client("rs", introspecting)
		ada := w.as("ada")
		first := ada.connect(ask("app"), "")
		var second answer
		slow.meanwhile = func() {
			<-time.After(2 * time.Second)
			second = w.refresh("app", first.str("refresh_token"))
		}
		ada.did("/account/disconnect", "grant", ada.grants()[0])
		if second.Code != http.StatusOK || w.active("rs", rs, first.str("access_token")) || w.active("rs", rs, second.str("access_token")) {
			t.Errorf("a token outlives it: %d %s", second.Code, second.Body)
		}
	})
}

// A card tells the device in our words, not in its own.
func TestAccount_Apps_Device(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	ada := w.as("ada")
	request := ask("app")
	fields := ada.authorize(request, "").fields()
	fields.Set("decision", "allow")
	r := form("/consent", fields)
	r.Header.Set("User-Agent", firefox)
	if a := w.exchange(request, ada.send(r).arrived(t, appURL).Get("code")); a.Code != http.StatusOK {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	if a := ada.get("/account"); !a.has("<bdi>Firefox on Linux</bdi>") || a.has("Gecko") {
		t.Error(a.Body)
	}
}

// Another replica refuses the tokens, too.
func TestAccount_Disconnect_Everywhere(t *testing.T) {
	t.Parallel()
	store := migratedStore(t)
	shared := func(c *authserver.Config) { c.Store = store }
	w, other := newWorld(t, shared), newWorld(t, shared)
	w.app("app")
	rs := w.client("rs", introspecting)
	ada := w.as("ada")
	tokens := ada.connect(ask("app"), "")
	if !other.active("rs", rs, tokens.str("access_token")) {
		t.Fatal("it was never good there")
	}
	ada.did("/account/disconnect", "grant", ada.grants()[0])
	eventually(t, "the other replica refuses", func() bool { return !other.active("rs", rs, tokens.str("access_token")) })
}

// A link from elsewhere cannot claim that something was done.
func TestAccount_Notice_OnlyFromOurPages(t *testing.T) {
	t.Parallel()
	ada := newWorld(t).as("ada")
	for site, told := range map[string]bool{"same-origin": true, "cross-site": false, "none": false} {
		r := httptest.NewRequest(http.MethodGet, issuer+"/account/security?done=password", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		if a := ada.send(r); a.has("Your new password is set") != told {
			t.Errorf("%s: %s", site, a.Body)
		}
	}
	if a := ada.get("/account?done=" + url.QueryEscape("You won. Call 555.")); a.has("You won") {
		t.Error("free text")
	}
}
