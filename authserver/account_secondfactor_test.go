package authserver_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

var (
	typedKey     = regexp.MustCompile(`<code class="key">([A-Z2-7 ]+)</code>`)
	recoveryCode = regexp.MustCompile(`<li>([0-9a-z-]{16,24})</li>`)
)

// codeFor is what an authenticator app shows for a key typed from the page.
func codeFor(t *testing.T, page answer) string {
	t.Helper()
	m := typedKey.FindStringSubmatch(page.Body.String())
	if m == nil {
		t.Fatalf("no key: %d %s", page.Code, page.Body)
	}
	code, err := totp.GenerateCode(strings.ReplaceAll(m[1], " ", ""), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrolled turns the second factor on and returns the recovery codes, the key's
// page and the code used.
func (b *browser) enrolled(t *testing.T) (codes []string, page answer, used string) {
	t.Helper()
	page = b.did("/account/security/second-factor/begin")
	used = codeFor(t, page)
	a := b.submit("/account/security/second-factor", "secret", page.hidden("secret")[0], "code", used)
	if a.Code != http.StatusOK || !a.has("Save your recovery codes") {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	for _, m := range recoveryCode.FindAllStringSubmatch(a.Body.String(), -1) {
		codes = append(codes, m[1])
	}
	return codes, page, used
}

// secondStep signs in by password in a new browser and tries a code.
func (w *world) secondStep(query, code string) bool {
	w.t.Helper()
	b := w.browser()
	if a := b.submit("/login?return=account", "username", "ada", "password", oldPassword); !strings.HasPrefix(a.Header().Get("Location"), "/login/second-factor") {
		w.t.Fatalf("no second step: %d %v", a.Code, a.Header())
	}
	return b.submit("/login/second-factor?return=account"+query, "code", code).Code == http.StatusSeeOther
}

// From the secret on the page to signing in with it, RFC 6238 all the way.
func TestAccount_SecondFactor_EndToEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("ada", withPassword(t, oldPassword))
		ada := w.session("ada", func(*storage.Session) {})
		codes, page, used := ada.enrolled(t)
		if !page.has("data:image/png;base64,", "Set up a second step") || len(codes) != 10 {
			t.Errorf("%d codes, %s", len(codes), page.Body)
		}
		if w.secondStep("", used) {
			t.Error("RFC 6238 §5.2: the code of the enrolment works again")
		}
		<-time.After(30 * time.Second)
		if !w.secondStep("", codeFor(t, page)) {
			t.Error("the next code does not work")
		}
		if !w.secondStep("&kind=recovery", codes[0]) || w.secondStep("&kind=recovery", codes[0]) {
			t.Error("a recovery code works once")
		}
		if a := ada.get("/account/security"); !a.has("You have 9 recovery codes left", "Turn off") || a.has(codes[1]) {
			t.Error(a.Body)
		}
		for _, secret := range append(codes, page.hidden("secret")[0], typedKey.FindStringSubmatch(page.Body.String())[1]) {
			if strings.Contains(w.logs.String(), secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
		if !strings.Contains(w.logs.String(), "second factor turned on") {
			t.Error("the security log")
		}
	})
}

func TestAccount_SecondFactor_NewRecoveryCodesAndOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada", withPassword(t, oldPassword))
	ada := w.session("ada", func(*storage.Session) {})
	for _, path := range []string{"/account/security/recovery-codes", "/account/security/second-factor/remove"} {
		if a := ada.submit(path); a.Code != http.StatusNotFound || w.stored("ada").RecoveryCodes != nil {
			t.Errorf("%s without a second factor: %d", path, a.Code)
		}
	}
	before, _, _ := ada.enrolled(t)
	a := ada.submit("/account/security/recovery-codes")
	after := recoveryCode.FindAllStringSubmatch(a.Body.String(), -1)
	if a.Code != http.StatusOK || len(after) != 10 || a.has(before[0]) {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	if w.secondStep("&kind=recovery", before[0]) || !w.secondStep("&kind=recovery", after[0][1]) {
		t.Error("the old codes work, or the new ones do not")
	}
	if a := ada.get("/account/security/second-factor"); a.Code != http.StatusSeeOther {
		t.Errorf("it is on, and a new secret is shown: %d", a.Code)
	}
	if a := ada.did("/account/security/second-factor/remove"); !a.has("The second step is off.", "Set up") || w.stored("ada").TOTPSecret != nil || w.stored("ada").RecoveryCodes != nil {
		t.Error(a.Body)
	}
	if !w.opens("ada", oldPassword) || !strings.Contains(w.logs.String(), "second factor turned off") {
		t.Error("it is still asked for")
	}
}

// What is not proven by a code of the secret that this session was shown turns
// nothing on.
func TestAccount_SecondFactor_Refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("ada")
		w.user("eve")
		ada, eve := w.session("ada", func(*storage.Session) {}), w.session("eve", func(*storage.Session) {})
		page := ada.did("/account/security/second-factor/begin")
		sealed := page.hidden("secret")[0]
		wrong := strings.Map(func(digit rune) rune { return '0' + ('9' - digit) }, codeFor(t, page))
		for _, code := range []string{wrong, "", "12345678901234567890"} {
			a := ada.submit("/account/security/second-factor", "secret", sealed, "code", code)
			if a.Code != http.StatusUnprocessableEntity || typedKey.FindString(a.Body.String()) != typedKey.FindString(page.Body.String()) || !a.has("not the code that your app shows") {
				t.Errorf("%q: %d %s", code, a.Code, a.Body)
			}
		}
		mine := eve.did("/account/security/second-factor/begin")
		for what, v := range map[string]url.Values{
			"of another session": values("secret", mine.hidden("secret")[0], "code", codeFor(t, mine)),
			"made up":            values("secret", strings.Repeat("A", 200), "code", wrong),
			"none":               values("code", wrong),
		} {
			if a := ada.fill("/account/security/second-factor", v); a.Code != http.StatusUnprocessableEntity || !a.has("Set up the second step again") {
				t.Errorf("%s: %d %s", what, a.Code, a.Body)
			}
		}
		<-time.After(9 * time.Minute)
		if a := ada.submit("/account/security/second-factor", "secret", sealed, "code", codeFor(t, page)); a.Code != http.StatusOK {
			t.Errorf("in time: %d", a.Code)
		}
		if a := ada.submit("/account/security/second-factor", "secret", sealed, "code", codeFor(t, page)); a.Code != http.StatusConflict || !a.has("on already") {
			t.Errorf("twice: %d", a.Code)
		}
		if w.stored("eve").TOTPSecret != nil {
			t.Error("eve has a second factor")
		}
	})
}
