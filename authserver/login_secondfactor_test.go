package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/secondfactor"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// guarded creates a person with a second factor and returns the codes for it.
func (w *world) guarded(id string) (code func() string, recovery []string) {
	w.t.Helper()
	secret := secondfactor.NewSecret()
	sealed, err := w.server.SealTOTP(id, secret)
	if err != nil {
		w.t.Fatal(err)
	}
	recovery, hashes := secondfactor.NewRecoveryCodes()
	w.owner(id, func(u *storage.User) { u.TOTPSecret, u.RecoveryCodes = sealed, hashes })
	return func() string {
		code, err := totp.GenerateCode(strings.ReplaceAll(secondfactor.Key(secret), " ", ""), time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		return code
	}, recovery
}

const secondPage, recoveryPage = "/login/second-factor?return=account", "/login/second-factor?kind=recovery&return=account"

func TestSecondFactor_RFC6238_5_2_EachStepOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.guarded("ada")
		v := w.browser()
		wantAt(t, v.try("ada", goodPassword), secondPage)
		if v.cookies[sessionCookie] != "" {
			t.Fatal("a session after the first factor")
		}
		wantPage(t, v.get("/login"), http.StatusOK, `name="password"`) // the pending sign-in is no session
		wantPage(t, v.get(secondPage), http.StatusOK, `name="code"`, "ada")
		wantPage(t, v.submit(secondPage, "code", "000000"), http.StatusUnprocessableEntity, "wrong or was used")
		used := code()
		wantAt(t, v.submit(secondPage, "code", used), "/account")
		sessions, err := w.store.Sessions(t.Context(), "ada", time.Now())
		if err != nil || len(sessions) != 1 || strings.Join(sessions[0].Methods, " ") != "pwd otp mfa" {
			t.Errorf("sessions %+v %v", sessions, err)
		}
		again := w.browser()
		again.try("ada", goodPassword)
		wantPage(t, again.submit(secondPage, "code", used), http.StatusUnprocessableEntity, "wrong or was used")
		<-time.After(30 * time.Second)
		wantAt(t, again.submit(secondPage, "code", code()), "/account")
	})
}

func TestSecondFactor_RecoveryCodesWorkOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, codes := w.guarded("ada")
	v := w.browser()
	v.try("ada", goodPassword)
	wantPage(t, v.get(recoveryPage), http.StatusOK, "recovery code", `action="`+strings.ReplaceAll(recoveryPage, "&", "&amp;"))
	wantPage(t, v.submit(recoveryPage, "code", "0000-0000-0000-0000"), http.StatusUnprocessableEntity, "recovery code")
	wantPage(t, v.submit(secondPage, "code", codes[0]), http.StatusUnprocessableEntity) // on the other page
	wantAt(t, v.submit(recoveryPage, "code", strings.ToUpper(codes[0])), "/account")
	again := w.browser()
	again.try("ada", goodPassword)
	wantPage(t, again.submit(recoveryPage, "code", codes[0]), http.StatusUnprocessableEntity, "wrong or was used")
	wantAt(t, again.submit(recoveryPage, "code", codes[1]), "/account")
	if log := w.logs.String(); !strings.Contains(log, "recovery code used") || !strings.Contains(log, "second factor failed") || strings.Contains(log, codes[0]) {
		t.Error("the log is wrong")
	}
}

func TestSecondFactor_PendingBelongsToBrowserAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.guarded("ada")
		v, thief := w.browser(), w.browser()
		v.try("ada", goodPassword)
		wantAt(t, thief.submit(secondPage, "code", code()), "/login?return=account") // without the first
		thief.get("/login")
		thief.cookies["__Host-gatehouse-pending"] = v.cookies["__Host-gatehouse-pending"]
		wantAt(t, thief.submit(secondPage, "code", code()), "/login?return=account") // stolen
		<-time.After(5*time.Minute + time.Second)
		wantAt(t, v.submit(secondPage, "code", code()), "/login?return=account") // too late
		wantAt(t, v.get(secondPage), "/login?return=account")
		v.try("ada", goodPassword)
		user, err := w.store.User(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		user.Disabled = true
		if _, err := w.store.UpdateUser(t.Context(), user, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		wantAt(t, v.submit(secondPage, "code", code()), "/login?return=account") // disabled meanwhile
		if v.cookies[sessionCookie] != "" || thief.cookies[sessionCookie] != "" {
			t.Error("signed in")
		}
	})
}

func TestSecondFactor_GuessingGetsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.guarded("ada")
		owner, thief := w.browser(), w.browser()
		owner.try("ada", goodPassword)
		wantAt(t, owner.submit(secondPage, "code", code()), "/account")
		<-time.After(time.Minute)
		thief.try("ada", goodPassword)
		for range 5 {
			wantPage(t, thief.submit(secondPage, "code", "000000"), http.StatusUnprocessableEntity)
		}
		wantSlow(t, thief.submit(secondPage, "code", code()), 2*time.Second)
		owner.try("ada", goodPassword)
		wantAt(t, owner.submit(secondPage, "code", code()), "/account")
	})
}

func TestSecondFactor_GoesOnWithTheInteraction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, _ := w.guarded("ada")
	w.app("app")
	v := w.browser()
	handle := v.begin("app")
	wantAt(t, v.submit("/login", "interaction", handle, "username", "ada", "password", goodPassword), "/login/second-factor?interaction="+handle)
	wantAt(t, v.get("/consent?interaction="+handle), "/login?interaction="+handle) // not yet
	wantPage(t, v.get("/login/second-factor?interaction="+handle), http.StatusOK, "app.example", `value="`+handle+`"`)
	wantAt(t, v.submit("/login/second-factor", "interaction", handle, "code", code()), "/consent?interaction="+handle)
	wantPage(t, v.get("/consent?interaction="+handle), http.StatusOK, `value="allow"`)
}

func TestSecondFactor_PendingEndsWithAChangeOfTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, _ := w.guarded("ada")
	v := w.browser()
	v.try("ada", goodPassword)
	if _, err := w.store.UpdateUser(t.Context(), w.stored("ada"), nil, time.Now()); err != nil { // a new password, say
		t.Fatal(err)
	}
	wantAt(t, v.submit(secondPage, "code", code()), "/login?return=account")
}
