package authserver_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey/passkeytest"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// passkeyOf gives a person a passkey.
func (w *world) passkeyOf(id string) *passkeytest.Authenticator {
	w.t.Helper()
	a, err := passkeytest.New("as.example", issuer)
	if err != nil {
		w.t.Fatal(err)
	}
	a.Counter = 1
	party, err := passkey.New("as.example", "x", issuer)
	if err != nil {
		w.t.Fatal(err)
	}
	user := storage.User{ID: id, Username: id}
	options, err := party.CreationOptions(user, nil, make([]byte, 32))
	if err != nil {
		w.t.Fatal(err)
	}
	credential, err := a.Create(options)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := party.Register(credential, user, time.Now(), func([]byte) error { return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.CreatePasskey(w.t.Context(), key); err != nil {
		w.t.Fatal(err)
	}
	return a
}

var passkeyOptions = regexp.MustCompile(`data-options="([^"]*)"`)

// touch opens the sign-in page and returns what the authenticator answers.
func (b *browser) touch(a *passkeytest.Authenticator, page string) string {
	b.t.Helper()
	found := passkeyOptions.FindStringSubmatch(b.get(page).Body.String())
	if found == nil {
		b.t.Fatal("no passkey on the page")
	}
	credential, err := a.Get(html.UnescapeString(found[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	return credential
}

func TestPasskey_SignsInWithoutASecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.guarded("ada")
	w.app("app")
	a, v := w.passkeyOf("ada"), w.browser()
	handle := v.begin("app")
	credential := v.touch(a, "/login?interaction="+handle)
	wantAt(t, v.submit("/login/passkey", "interaction", handle, "credential", credential), "/consent?interaction="+handle)
	sessions, err := w.store.Sessions(t.Context(), "ada", time.Now())
	if err != nil || len(sessions) != 1 || strings.Join(sessions[0].Methods, " ") != "hwk user mfa" {
		t.Errorf("sessions %+v %v", sessions, err)
	}
	keys, err := w.store.Passkeys(t.Context(), "ada")
	if err != nil || len(keys) != 1 || keys[0].SignCount != 2 || keys[0].LastUsedAt.IsZero() {
		t.Errorf("passkeys %+v %v", keys, err)
	}
	// Web Authentication §13.4.3: a challenge is good once.
	wantPage(t, v.submit("/login/passkey", "credential", credential), http.StatusUnprocessableEntity, "was not accepted")
}

func TestPasskey_WrongOnesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	w.owner("gone", func(u *storage.User) { u.Disabled = true })
	for name, test := range map[string]struct {
		change func(*passkeytest.Authenticator)
		status int
	}{
		"origin":          {func(a *passkeytest.Authenticator) { a.Origin = "https://evil.example" }, 422},
		"host":            {func(a *passkeytest.Authenticator) { a.Host = "evil.example" }, 422},
		"unverified":      {func(a *passkeytest.Authenticator) { a.Unverified = true }, 422},
		"nobody":          {func(a *passkeytest.Authenticator) { a.UserHandle = []byte("nobody") }, 422},
		"hostile handle":  {func(a *passkeytest.Authenticator) { a.UserHandle = []byte("a\x00\xff") }, 422},
		"somebody else's": {func(a *passkeytest.Authenticator) { a.UserHandle = []byte("gone") }, 422},
		"copied":          {func(a *passkeytest.Authenticator) { a.Counter = 0 }, 422},
	} {
		a, v := w.passkeyOf("ada"), w.browser()
		test.change(a)
		if got := v.submit("/login/passkey", "credential", v.touch(a, "/login")); got.Code != test.status || v.cookies[sessionCookie] != "" {
			t.Errorf("%s: %d", name, got.Code)
		}
	}
	a, v, other := w.passkeyOf("ada"), w.browser(), w.browser()
	other.get("/login")
	wantPage(t, other.submit("/login/passkey", "credential", v.touch(a, "/login")), http.StatusUnprocessableEntity) // another browser's challenge
	wantPage(t, v.submit("/login/passkey", "credential", "{}"), http.StatusUnprocessableEntity)
	wantPage(t, v.submit("/login/passkey?return=https://evil.example", "credential", v.touch(a, "/login")), http.StatusBadRequest)
	wantPage(t, v.submit("/login/passkey", "credential", v.touch(w.passkeyOf("gone"), "/login")), http.StatusForbidden, "disabled")
	if !strings.Contains(w.logs.String(), "may have been copied") {
		t.Error("no word of the copy in the log")
	}
}

func TestPasskey_PagesEndAndSeveralMayBeOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner("ada")
		a, v := w.passkeyOf("ada"), w.browser()
		late := v.touch(a, "/login")
		<-time.After(31 * time.Minute)
		wantPage(t, v.submit("/login/passkey", "credential", late), http.StatusUnprocessableEntity)
		first := v.touch(a, "/login")
		v.get("/login") // another tab
		wantAt(t, v.submit("/login/passkey", "credential", first), "/account")
	})
}

func TestPasskey_WebAuthn_5_1_2_NoneAtAnAddress(t *testing.T) {
	t.Parallel()
	const origin = "http://127.0.0.1:9000"
	w := newWorld(t, func(c *authserver.Config) { c.Issuer = origin })
	v := w.browser()
	v.origin = origin
	if page := v.get("/login"); page.Code != http.StatusOK || strings.Contains(page.Body.String(), "passkey") {
		t.Errorf("page: %d %s", page.Code, page.Body)
	}
	if a := v.submit("/login/passkey", "credential", "{}"); a.Code != http.StatusBadRequest {
		t.Errorf("passkey: %d", a.Code)
	}
}
