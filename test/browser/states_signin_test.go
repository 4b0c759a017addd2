package browser

import (
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
)

// TestGolden_SignIn visits the sign-in page in each of its states.
func TestGolden_SignIn(t *testing.T) {
	t.Parallel()
	for name, visit := range map[string]func(*app, *tab){
		"first": func(a *app, b *tab) {
			b.open(a.ask("mcp:read"))
			b.titled("Sign in")
			b.reads("to continue to Paperclip")
			b.looks("signin")
		},
		"wrong": func(a *app, b *tab) {
			b.open(a.ask("mcp:read"))
			b.wrongly(username)
			b.reads("The username or the password is wrong.")
			b.looks("signin-wrong")
			b.wrongly("nobody@example.com")
			b.reads("The username or the password is wrong.")
		},
		"slowed down": func(a *app, b *tab) {
			a.guess(username, 6)
			b.open(a.ask("mcp:read"))
			b.signIn()
			b.reads("There were too many attempts.", "Try again in")
			b.looks("signin-slowed-down")
		},
		"disabled": func(a *app, b *tab) {
			a.disable(username)
			b.open(a.ask("mcp:read"))
			b.signIn()
			b.reads("This account is disabled.")
			b.looks("signin-disabled")
		},
		"expired": func(a *app, b *tab) {
			b.open(a.ask("mcp:read"))
			if err := a.Store.Maintain(a.t.Context(), time.Now().Add(time.Hour), time.Hour); err != nil {
				a.t.Fatal(err)
			}
			b.signIn()
			b.titled("Please start again")
			b.looks("signin-expired")
		},
		"already signed in": func(a *app, b *tab) {
			a.account(b, "/account")
			b.open(a.ask("mcp:read"))
			b.reads("Paperclip wants to use")
			b.open(a.Issuer + "/login")
			b.titled("Connected apps")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visit(newSite(t).newApp(), newTab(t))
		})
	}
}

// TestGolden_SignInForAccount visits the sign-in page without an app, and again
// before something important.
func TestGolden_SignInForAccount(t *testing.T) {
	t.Parallel()
	s, b := newSite(t), newTab(t)
	b.open(s.Issuer + "/account")
	b.titled("Sign in")
	b.reads("To see your account")
	b.looks("signin-account")
	b.signIn()
	b.titled("Connected apps")
	b.open(s.Issuer + "/login?again=1&return=security")
	b.titled("Confirm that it is you")
	b.looks("signin-once-more")
	b.fill("#password", password)
	b.follow("form:has(#password) button.primary")
	b.titled("Security")
}

// wrongly signs in with a wrong password.
func (b *tab) wrongly(name string) {
	b.t.Helper()
	b.fill("#username", name)
	b.fill("#password", "no key at all")
	b.follow("form:has(#password) button.primary")
}

// guess tries wrong passwords for an account, as somebody elsewhere.
func (s *site) guess(name string, times int) {
	s.t.Helper()
	for range times {
		response, err := s.HTTP.PostForm(s.Issuer+"/login", url.Values{"username": {name}, "password": {"no key at all"}})
		if err != nil {
			s.t.Fatal(err)
		}
		_ = response.Body.Close()
	}
}

// disable disables an account, as an operator does.
func (s *site) disable(name string) {
	s.t.Helper()
	user, err := s.Store.UserByUsername(s.t.Context(), name)
	if err == nil {
		user.Disabled = true
		_, err = s.Store.UpdateUser(s.t.Context(), user, nil, time.Now())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestGolden_Upstreams visits the sign-in page with other places to sign in at.
func TestGolden_Upstreams(t *testing.T) {
	t.Parallel()
	somewhere := func(cfg *authserver.Config) {
		cfg.Login.Upstreams = []authserver.Upstream{
			{ID: "google", Name: "Google", Issuer: "https://127.0.0.1:1", ClientID: "gatehouse"},
			{ID: "okta", Name: "Example Corp", Issuer: "https://127.0.0.1:2", ClientID: "gatehouse"},
		}
	}
	t.Run("beside passwords", func(t *testing.T) {
		t.Parallel()
		a, b := newSite(t, somewhere).newApp(), newTab(t)
		b.open(a.ask("mcp:read"))
		b.looks("signin-upstreams")
		b.follow(`button[value="google"]`)
		b.titled("Google cannot be reached")
		b.looks("signin-upstream-unreachable")
		b.follow("a.button")
		b.titled("Sign in")
	})
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		s, b := newSite(t, somewhere, func(cfg *authserver.Config) { cfg.Login.NoPasswords = true }), newTab(t)
		b.open(s.Issuer + "/login")
		if b.sees("#password") {
			t.Error("there is a password to type")
		}
		b.looks("signin-upstreams-alone")
	})
}

// TestGolden_SecondFactor sets up a second step, and signs in with it.
func TestGolden_SecondFactor(t *testing.T) {
	t.Parallel()
	a, b := newSite(t).newApp(), newTab(t)
	a.account(b, "/account/security")
	b.titled("Security")
	b.follow(`form[action$="/second-factor/begin"] button`)
	b.titled("Set up a second step")
	key := eval[string](b, `document.querySelector(".key").innerText`)
	b.looks("account-enroll")
	b.fill("#code", "000000")
	b.follow("button.primary")
	b.reads("This is not the code")
	b.looks("account-enroll-wrong")
	b.fill("#code", code(t, key, time.Now()))
	b.follow("button.primary")
	b.titled("Save your recovery codes")
	recovery := eval[string](b, `document.querySelector(".codes li").innerText`)
	b.looks("account-recovery-codes")
	b.follow("a.button")
	b.reads("On. Signing in by password also takes a code", "You have 10 recovery codes left")
	b.looks("account-security-second-factor")
	a.signOut(b)

	b.open(a.ask("mcp:read"))
	b.signIn()
	b.titled("One more step")
	b.looks("second-factor")
	b.fill("#code", "000000")
	b.follow("button.primary")
	b.reads("This code is wrong or was used already.")
	b.looks("second-factor-wrong")
	b.follow("a.quiet")
	b.titled("Use a recovery code")
	b.looks("second-factor-recovery")
	b.fill("#code", recovery)
	b.follow("button.primary")
	b.reads("Paperclip wants to use")
}

// signOut signs out of the account page.
func (s *site) signOut(b *tab) {
	s.t.Helper()
	b.follow("header button.quiet")
	b.open(s.Issuer + "/logout")
	if b.sees(`button[value="sign_out"]`) {
		b.follow(`button[value="sign_out"]`)
	}
	b.titled("You are signed out")
}

// TestGolden_SignOut asks before it signs out, where it can be undone.
func TestGolden_SignOut(t *testing.T) {
	t.Parallel()
	s, b := newSite(t), newTab(t)
	s.account(b, "/account")
	b.open(s.Issuer + "/logout")
	b.titled("Sign out?")
	b.looks("signout")
	b.follow("a.button")
	b.titled("Connected apps")
	b.open(s.Issuer + "/logout")
	b.follow(`button[value="sign_out"]`)
	b.titled("You are signed out")
	b.looks("signout-done")
	b.follow("a.button")
	b.titled("Sign in")
}
