package web_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/web"
)

func newPages(tb testing.TB) *web.Pages {
	tb.Helper()
	pages, err := web.New("/tenant", web.Brand{})
	if err != nil {
		tb.Fatal(err)
	}
	return pages
}

var (
	form   = web.Form{Action: "/there", Interaction: "handle"}
	claude = web.Client{
		Name: "Claude", Logo: "data:image/png;base64,iVBORw0KGgo=", Host: "claude.ai", URI: "https://claude.ai/", Verified: true,
		RedirectHost: "claude.ai", PolicyURI: "https://claude.ai/privacy", TOSURI: "https://claude.ai/terms",
	}
	local    = web.Client{Name: "Notes Tool", RedirectHost: "127.0.0.1", Loopback: true}
	passkey  = web.PasskeyRequest{Action: "/passkey", Options: `{"publicKey":{"challenge":"AAEC"}}`}
	now      = time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)
	wrong    = web.Problem{Text: "That was wrong.", Wait: 90}
	required = web.Permission{Scope: "mcp:read", Description: "Read resources", Required: true, Reason: "All else builds on it.", New: true}
	optional = web.Permission{Scope: "mcp:write", Description: "Change data", Granted: true, New: true}
	harmful  = web.Permission{Scope: "mcp:admin", Description: "Administer the server", Sensitive: true, Granted: true, New: true}
	allThree = []web.Permission{required, optional, harmful}
	actions  = web.AccountActions{
		Apps: "/account", Sessions: "/account/sessions", Security: "/account/security", Disconnect: "/a/disconnect", Restore: "/a/restore",
		Narrow: "/a/narrow", EndSession: "/a/end", AddPasskey: "/passkey", RemovePasskey: "/a/unpasskey", SetPassword: "/a/password",
		BeginSecondFactor: "/a/begin", RemoveSecondFactor: "/a/remove", RecoveryCodes: "/a/codes", SignOut: "/logout",
	}
)

func apps() []web.App {
	return []web.App{
		{Grant: "g1", Client: claude, Device: "Chrome", Resource: "Notes", ConnectedAt: now.AddDate(0, -2, 0), LastUsedAt: now.Add(-5 * time.Minute), Permissions: allThree},
		{Grant: "g2", Client: local, Resource: "Notes", ConnectedAt: now},
	}
}

func consent(change func(*web.Consent)) web.Consent {
	page := web.Consent{
		Form: form, Client: claude, Username: "ada", Resource: "Notes", ResourceURI: "https://notes.example/mcp", Permissions: allThree,
		Offline: true, SwitchAccount: "/switch", AccountURL: "/account",
	}
	if change != nil {
		change(&page)
	}
	return page
}

func account(section string) web.Account {
	return web.Account{
		Section: section, Username: "ada", Name: "Ada", Now: now, Actions: actions, Apps: apps(), HasPassword: true, AddPasskey: new(passkey), SecondFactor: true, RecoveryCodes: 2,
		Browsers: []web.Browser{
			{Session: "s1", Name: "Firefox on Linux", Address: "192.0.2.7", CreatedAt: now, LastSeen: now, Current: true},
			{Session: "s2", Name: "Safari on iPhone", Address: "2001:db8::7", CreatedAt: now, LastSeen: now.Add(-26 * time.Hour)},
		},
		Passkeys: []web.Passkey{{ID: "p1", Name: "Laptop", CreatedAt: now}},
	}
}

// states are all pages in all the states people may meet.
func states(tb testing.TB, p *web.Pages) map[string]web.Document {
	tb.Helper()
	all := map[string]web.Document{}
	add := func(name string) func(web.Document, error) {
		return func(page web.Document, err error) {
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			all[name] = page
		}
	}
	add("home")(p.Home(web.Home{Host: "as.example", Resources: []string{"https://mcp.example/"}, Documents: []web.Link{{Name: "Metadata", URL: "/x"}}}))
	add("sign in")(p.SignIn(web.SignIn{Form: form, Client: new(claude), Passwords: true, Passkey: new(passkey), Upstreams: []web.Upstream{{ID: "okta", Name: "Okta"}}, Problem: wrong}))
	add("sign in by password")(p.SignIn(web.SignIn{Form: form, Passwords: true}))
	add("sign in by passkey")(p.SignIn(web.SignIn{Form: form, Client: new(local), Passkey: new(passkey)}))
	add("sign in by upstream")(p.SignIn(web.SignIn{Form: form, Upstreams: []web.Upstream{{ID: "okta", Name: "Okta"}}}))
	add("sign in again")(p.SignIn(web.SignIn{Form: form, Username: "ada", Passwords: true, Reauthenticate: true}))
	add("sign in nowhere")(p.SignIn(web.SignIn{Form: form}))
	add("second factor")(p.SecondFactor(web.SecondFactor{Form: form, Client: new(claude), Username: "ada", Other: "/recovery"}))
	add("recovery")(p.SecondFactor(web.SecondFactor{Form: form, Username: "ada", Recovery: true, Other: "/code", Problem: wrong}))
	add("consent")(p.Consent(consent(nil)))
	add("consent additional")(p.Consent(consent(func(c *web.Consent) { c.Additional = true })))
	add("consent changed")(p.Consent(consent(func(c *web.Consent) { c.Changed = true; c.Problem = wrong })))
	add("consent nothing")(p.Consent(consent(func(c *web.Consent) { c.Permissions = nil })))
	add("consent local")(p.Consent(consent(func(c *web.Consent) { c.Client = local })))
	add("consent device")(p.Consent(consent(func(c *web.Consent) { c.Client = web.Client{Name: "TV"}; c.UserCode = "WDJB-MJHT" })))
	add("consent forty")(p.Consent(consent(func(c *web.Consent) {
		for i := range 40 {
			c.Permissions = append(c.Permissions, web.Permission{Scope: fmt.Sprintf("files:%d", i), Description: "Read and change the files of that part of the archive"})
		}
	})))
	add("failure")(p.Failure(web.Failure{Title: "Unknown app", Text: "Nothing was shared.", Advice: "Go back.", LinkText: "Home", LinkURL: "/", Reference: "REF123"}))
	add("notice")(p.Notice(web.Notice{Title: "Done", Text: "You may close this page.", LinkText: "Apps", LinkURL: "/account"}))
	add("device")(p.Device(web.Device{Form: form}))
	add("device wrong")(p.Device(web.Device{Form: form, UserCode: "WDJB-MJHX", Problem: wrong}))
	add("sign out")(p.SignOut(web.SignOut{Form: form, Username: "ada", Back: "/account"}))
	add("enroll")(p.EnrollSecondFactor(web.EnrollSecondFactor{Form: form, Username: "ada", QR: "data:image/png;base64,iVBORw0KGgo=", Key: "JBSW Y3DP", Sealed: "sealed", Back: "/account", Problem: wrong}))
	add("recovery codes")(p.RecoveryCodes(web.RecoveryCodes{Codes: []string{"aaaa-bbbb", "cccc-dddd"}, Back: "/account"}))
	add("apps")(p.Account(account("")))
	add("sessions")(p.Account(account("sessions")))
	add("security")(p.Account(account("security")))
	undo := account("apps")
	undo.Disconnected, undo.Apps = &apps()[0], nil
	add("apps undo")(p.Account(undo))
	confirm := account("security")
	confirm.Confirm, confirm.AddPasskey, confirm.Done = "/again", nil, "Changed."
	add("security confirm")(p.Account(confirm))
	empty := web.Account{Section: "security", Username: "ada", Now: now, Actions: actions, AddPasskey: new(passkey), Problem: wrong}
	add("security empty")(p.Account(empty))
	empty.Section = "sessions"
	add("sessions empty")(p.Account(empty))
	return all
}
