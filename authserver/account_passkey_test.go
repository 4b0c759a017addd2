package authserver_test

import (
	"html"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey/passkeytest"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// authenticator is a device for the passkeys of the server.
func authenticator(t *testing.T) *passkeytest.Authenticator {
	t.Helper()
	device, err := passkeytest.New("as.example", issuer)
	if err != nil {
		t.Fatal(err)
	}
	return device
}

// made has the device make a passkey for the page.
func made(t *testing.T, device *passkeytest.Authenticator, page answer) string {
	t.Helper()
	m := passkeyOptions.FindStringSubmatch(page.Body.String())
	if m == nil {
		t.Fatalf("no ceremony: %d %s", page.Code, page.Body)
	}
	credential, err := device.Create(html.UnescapeString(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

// Web Authentication §7.1, from the page to signing in with the new passkey.
func TestAccount_Passkeys_EndToEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada")
	ada, device := w.session("ada", func(*storage.Session) {}), authenticator(t)
	credential := made(t, device, ada.get("/account/security"))
	name := "  My \"laptop\" " + strings.Repeat("é", 100)
	a := ada.did("/account/security/passkeys", "credential", credential, "name", name)
	if !a.has("The passkey is ready to use.", `My "laptop" éé`, "not used yet") || a.has(strings.Repeat("é", 60)) {
		t.Error(a.Body)
	}
	if a := ada.submit("/account/security/passkeys", "credential", credential); a.Code != http.StatusUnprocessableEntity || !a.has("was not accepted") {
		t.Errorf("the same challenge again: %d %s", a.Code, a.Body)
	}
	if a := ada.submit("/account/security/passkeys", "credential", made(t, device, ada.get("/account/security"))); a.Code != http.StatusConflict || !a.has("added already") {
		t.Errorf("the same passkey again: %d %s", a.Code, a.Body)
	}
	visitor := w.browser()
	m := passkeyOptions.FindStringSubmatch(visitor.get("/login").Body.String())
	assertion, err := device.Get(html.UnescapeString(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	if a := visitor.submit("/login/passkey", "credential", assertion); a.Code != http.StatusSeeOther || a.Header().Get("Location") != "/account" {
		t.Errorf("sign-in: %d %v", a.Code, a.Header())
	}
	if log := w.logs.String(); !strings.Contains(log, "passkey added") || !strings.Contains(log, "passkey refused") {
		t.Error("the security log")
	}
}

// A passkey that was not made here, by this user, in this browser and now, is
// not added.
func TestAccount_Passkeys_Refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("ada")
		w.user("eve")
		ada, eve := w.session("ada", func(*storage.Session) {}), w.session("eve", func(*storage.Session) {})
		elsewhere := w.session("ada", func(*storage.Session) {})
		page := ada.get("/account/security")
		elsewhere.get("/account/security")
		phished, unverified := authenticator(t), authenticator(t)
		phished.Origin, unverified.Unverified = "https://evil.example", true
		for what, credential := range map[string]string{
			"nothing": "", "no JSON": "{", "too long": strings.Repeat("x", 60_000),
			"eve's":           made(t, authenticator(t), eve.get("/account/security")),
			"another browser": made(t, authenticator(t), elsewhere.get("/account/security")),
			"phished":         made(t, phished, page),
			"not verified":    made(t, unverified, page),
		} {
			if a := ada.submit("/account/security/passkeys", "credential", credential, "name", "x"); a.Code != http.StatusUnprocessableEntity || !a.has("was not accepted", "<h1>Security</h1>") {
				t.Errorf("%s: %d %s", what, a.Code, a.Body)
			}
		}
		<-time.After(11 * time.Minute)
		if a := ada.submit("/account/security/passkeys", "credential", made(t, authenticator(t), page)); a.Code != http.StatusForbidden {
			t.Errorf("late: %d", a.Code)
		}
		if keys, err := w.store.Passkeys(t.Context(), "ada"); err != nil || len(keys) != 0 {
			t.Errorf("%v %v", keys, err)
		}
	})
}
