package browser

import (
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// authenticator plugs a security key into the tab's browser, or what its device
// has built in: it keeps passkeys and knows its owner.
func (b *tab) authenticator() webauthn.AuthenticatorID {
	b.t.Helper()
	do(b, webauthn.Enable, webauthn.EnableParams{})
	return do(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}}).AuthenticatorID
}

const passkeyButton = `form[data-passkey="get"] button`

// withoutSuggestions makes the tab one of a browser that does not offer passkeys
// while somebody types a username. The authenticator takes every offer at once.
func (b *tab) withoutSuggestions() {
	b.t.Helper()
	do(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: "PublicKeyCredential.isConditionalMediationAvailable = async () => false",
	})
}

// TestGolden_Passkey makes a passkey on the account page, signs in with it,
// removes it, and is refused with it.
func TestGolden_Passkey(t *testing.T) {
	t.Parallel()
	a, b := newSite(t).newApp(), newTab(t)
	id := b.authenticator()
	a.account(b, "/account/security")
	add := func(name string) { b.fill("#passkey-name", name); b.click(`form[data-passkey="create"] button`) }

	do(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: false})
	add("Laptop")
	b.until("the page says that it did not work", `document.querySelector(".failed").textContent.includes("That did not work.")`)
	b.looks("account-passkey-failed")

	do(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: true})
	b.leave(func() { add("Laptop") })
	b.reads("The passkey is ready to use.", "Laptop", "not used yet")
	b.looks("account-passkey")
	add("Laptop again")
	b.until("the page says that there is one already", `document.querySelector(".failed").textContent.includes("already has a passkey")`)

	a.signOut(b)
	b.expect("NavigationEntryMarkedSkippable") // nobody has touched that page
	b.step("open", chromedp.Navigate(a.ask("mcp:read")))
	b.see(`button[value="allow"]`) // the browser has suggested the passkey
	b.reads("Signed in as " + username)

	b.withoutSuggestions()
	b.open(a.Issuer + "/account/security")
	b.reads("used just now")
	a.signOut(b)
	b.open(a.ask("mcp:read"))
	b.follow(passkeyButton)
	b.reads("Paperclip wants to use", "Signed in as "+username)
	b.follow(`button[value="allow"]`)
	if got := a.redeem(a.answer().Get("code")); got.Scope != "mcp:read" {
		t.Errorf("scope %q", got.Scope)
	}

	b.open(a.Issuer + "/account/security")
	b.follow(`form[action$="/passkeys/remove"] button`)
	b.reads("The passkey is removed.", "You have none yet.")
	a.signOut(b)
	b.open(a.ask("mcp:read"))
	b.follow(passkeyButton)
	b.reads("This passkey was not accepted.")
	b.looks("signin-passkey-refused")
}
