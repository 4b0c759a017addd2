package authserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	oldPassword = "correct horse battery"
	newPassword = "staple of a new kind"
)

// withPassword gives a person a password.
func withPassword(t testing.TB, text string) func(*storage.User) {
	t.Helper()
	hash, err := authserver.HashPassword(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return func(u *storage.User) { u.PasswordHash = hash }
}

func (w *world) stored(user string) storage.User {
	w.t.Helper()
	u, err := w.store.User(w.t.Context(), user)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// opens reports whether a sign-in with that password succeeds in a new browser.
func (w *world) opens(user, secret string) bool {
	w.t.Helper()
	a := w.browser().submit("/login", "username", user, "password", secret)
	return a.Code == http.StatusSeeOther
}

func TestAccount_Security_Shown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada")
	w.user("bob", withPassword(t, oldPassword))
	ada, bob := w.session("ada", func(*storage.Session) {}), w.session("bob", func(*storage.Session) {})
	if a := ada.get("/account/security"); a.Code != http.StatusOK || !a.has("<h1>Security</h1>", "You have none yet.", "Set password", "Set up") || a.has("current_password", "confirm first") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if a := bob.get("/account/security"); !a.has("current_password", "Change password") {
		t.Error(a.Body)
	}
}

// A browser that was left open is not proof enough for changes of security.
func TestAccount_Security_StepUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada", withPassword(t, oldPassword), func(u *storage.User) { u.TOTPSecret = []byte("x") })
	before := w.stored("ada")
	ada := w.session("ada", func(s *storage.Session) { s.AuthTime = s.AuthTime.Add(-10 * time.Minute) })
	a := ada.get("/account/security")
	if !a.has("confirm first", `href="/login?again=1&return=security"`, "You have a password.") || a.has("<form method=\"post\" action=\"/account/security", `name="current_password"`) {
		t.Error(a.Body)
	}
	for _, path := range accountPosts() {
		if !strings.HasPrefix(path, "/account/security") {
			continue
		}
		a := ada.submit(path, "current_password", oldPassword, "password", newPassword, "password_again", newPassword)
		if a.Code != http.StatusForbidden || !a.has("too long ago", "confirm first") {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	if a := ada.get("/account/security/second-factor"); a.Code != http.StatusForbidden {
		t.Errorf("the page of the second factor: %d", a.Code)
	}
	if w.stored("ada").Revision != before.Revision {
		t.Error("something was changed")
	}
	if a := ada.get("/login?again=1&return=security"); a.Code != http.StatusOK || !a.has("ada") {
		t.Errorf("nobody asks again: %d %v", a.Code, a.Header())
	}
	again := ada.submit("/login?return=security", "username", "ada", "password", oldPassword)
	if to := again.Header().Get("Location"); !strings.HasPrefix(to, "/login/second-factor?return=security") {
		t.Errorf("%d %q", again.Code, to)
	}
}

// A new password ends every other session, and the old password with them.
func TestAccount_Password_Changed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada", withPassword(t, oldPassword))
	here, thief := w.session("ada", func(*storage.Session) {}), w.session("ada", func(*storage.Session) {})
	for what, v := range map[string]struct {
		pairs []string
		says  string
	}{
		"wrong":    {[]string{"current_password", "wrong", "password", newPassword, "password_again", newPassword}, "Your current password is wrong."},
		"missing":  {[]string{"password", newPassword, "password_again", newPassword}, "Your current password is wrong."},
		"differ":   {[]string{"current_password", oldPassword, "password", newPassword, "password_again", newPassword + "x"}, "are not the same"},
		"short":    {[]string{"current_password", oldPassword, "password", "short", "password_again", "short"}, "A password needs at least 8 characters."},
		"common":   {[]string{"current_password", oldPassword, "password", "password", "password_again", "password"}, "first that anybody would try"},
		"empty":    {[]string{"current_password", oldPassword}, "at least 8 characters"},
		"too long": {[]string{"current_password", oldPassword, "password", strings.Repeat("q1", 600), "password_again", strings.Repeat("q1", 600)}, "at most 1024 bytes"},
	} {
		a := here.submit("/account/security/password", v.pairs...)
		if a.Code != http.StatusUnprocessableEntity || !a.has(v.says, "<h1>Security</h1>") || a.has(newPassword, oldPassword) {
			t.Errorf("%s: %d %s", what, a.Code, a.Body)
		}
	}
	if !thief.signedIn() || !w.opens("ada", oldPassword) {
		t.Fatal("something was changed")
	}
	a := here.did("/account/security/password", "current_password", oldPassword, "password", newPassword, "password_again", newPassword)
	if !a.has("Your new password is set") || thief.signedIn() || !here.signedIn() {
		t.Error("sessions")
	}
	if w.opens("ada", oldPassword) || !w.opens("ada", newPassword) {
		t.Error("passwords")
	}
	if log := w.logs.String(); !strings.Contains(log, "password changed") || strings.Contains(log, newPassword) || strings.Contains(log, oldPassword) {
		t.Error("the security log")
	}
}

func TestAccount_Password_First(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada")
	ada := w.session("ada", func(*storage.Session) {})
	if a := ada.did("/account/security/password", "password", newPassword, "password_again", newPassword); !a.has("Your new password is set", "Change password") || !w.opens("ada", newPassword) {
		t.Error(a.Body)
	}
}

func TestAccount_Password_NobodyHasOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Login.NoPasswords = true })
	w.user("ada")
	ada := w.session("ada", func(*storage.Session) {})
	if a := ada.submit("/account/security/password", "password", newPassword, "password_again", newPassword); a.Code != http.StatusForbidden || w.stored("ada").PasswordHash != "" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

// Whoever found an open browser guesses the password as slowly as anybody.
func TestAccount_Password_GuessingIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("ada", withPassword(t, oldPassword))
		ada := w.session("ada", func(*storage.Session) {})
		change := func(current string) answer {
			return ada.submit("/account/security/password", "current_password", current, "password", newPassword, "password_again", newPassword)
		}
		for range 5 {
			if a := change("guess"); a.Code != http.StatusUnprocessableEntity {
				t.Fatalf("%d %s", a.Code, a.Body)
			}
		}
		if a := change(oldPassword); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") == "" || !a.has("too many attempts", "Try again in") {
			t.Errorf("%d %s", a.Code, a.Body)
		}
		<-time.After(2 * time.Second)
		if a := change(oldPassword); a.Code != http.StatusSeeOther {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	})
}

// conflicting has somebody else change a user just before each change of theirs.
type conflicting struct {
	storage.Store
	once sync.Once
}

func (c *conflicting) UpdateUser(ctx context.Context, u storage.User, revoked *storage.Event, now time.Time) (storage.User, error) {
	c.once.Do(func() {
		other := u.Clone()
		other.PasswordHash, other.Name = "", "Changed by an operator"
		_, _ = c.Store.UpdateUser(ctx, other, nil, now)
	})
	return c.Store.UpdateUser(ctx, u, revoked, now)
}

func TestAccount_Security_ChangedSomewhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Store = &conflicting{Store: migratedStore(t)} })
	w.user("ada")
	ada := w.session("ada", func(*storage.Session) {})
	a := ada.submit("/account/security/password", "password", newPassword, "password_again", newPassword)
	if a.Code != http.StatusConflict || !a.has("changed somewhere else") || w.stored("ada").PasswordHash != "" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if a := ada.did("/account/security/password", "password", newPassword, "password_again", newPassword); !a.has("Changed by an operator") {
		t.Error(a.Body)
	}
}

func storedPasskey(user, id string) storage.Passkey {
	return storage.Passkey{ID: []byte(id), UserID: user, Name: "Key " + id, PublicKey: []byte("cose"), AAGUID: make([]byte, 16), CreatedAt: time.Now()}
}

// The last way to sign in stays, and nobody removes what is another's.
func TestAccount_Passkeys_Removed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada")
	w.user("bob")
	for _, p := range []storage.Passkey{storedPasskey("ada", "one"), storedPasskey("ada", "two"), storedPasskey("bob", "three")} {
		if err := w.store.CreatePasskey(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	ada := w.session("ada", func(*storage.Session) {})
	bob := w.session("bob", func(s *storage.Session) { s.Methods = []string{"fed"} })
	ids, theirs := ada.get("/account/security").hidden("passkey"), bob.get("/account/security").hidden("passkey")
	if len(ids) != 2 || len(theirs) != 1 {
		t.Fatal(ids, theirs)
	}
	for _, id := range []string{theirs[0], "", "!!", strings.Repeat("A", 9000)} {
		if a := ada.submit("/account/security/passkeys/remove", "passkey", id); a.Code != http.StatusNotFound || !a.has("gone already") {
			t.Errorf("%.10q: %d", id, a.Code)
		}
	}
	if a := ada.did("/account/security/passkeys/remove", "passkey", ids[0]); !a.has("The passkey is removed.", "Key two") || a.has("Key one") {
		t.Error(a.Body)
	}
	if a := ada.submit("/account/security/passkeys/remove", "passkey", ids[1]); a.Code != http.StatusConflict || !a.has("only way to sign in", "Key two") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if a := bob.did("/account/security/passkeys/remove", "passkey", theirs[0]); !a.has("You have none yet.") {
		t.Error("bob signs in at a provider")
	}
	ada.did("/account/security/password", "password", newPassword, "password_again", newPassword)
	ada.did("/account/security/passkeys/remove", "passkey", ids[1])
	if !strings.Contains(w.logs.String(), "passkey removed") {
		t.Error("the security log")
	}
}
