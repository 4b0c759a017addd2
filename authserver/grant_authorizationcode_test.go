package authserver_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Whatever is wrong with a request, it is refused and the code is as good as
// before: nobody can burn another's code, and a client may correct itself.
func TestCode_RFC6749_4_1_3_BadRequestsDoNotBurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", redirects(appURL, "https://app.example/other"), func(c *storage.Client) { c.Resources = []string{notesURL, rootURL} })
	w.app("other")
	secret := w.client("secret", redirects(appURL), func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} })
	b := w.as("ann")
	request := ask("app", "resource", notesURL)
	code := b.code(request, "")
	other := request.verifier[:len(request.verifier)-1] + "~"
	for _, test := range []struct {
		name  string
		pairs []string
		code  string
	}{
		{"wrong verifier", []string{"code_verifier", other}, "invalid_grant"},
		{"then none: no downgrade", []string{"code_verifier", ""}, "invalid_grant"},
		{"empty challenge as verifier", []string{"code_verifier", challenge(request.verifier)}, "invalid_grant"},
		{"short verifier", []string{"code_verifier", "short"}, "invalid_grant"},
		{"long verifier", []string{"code_verifier", strings.Repeat("a", 129)}, "invalid_grant"},
		{"verifier out of its alphabet", []string{"code_verifier", request.verifier + "+"}, "invalid_grant"},
		{"another client", []string{"client_id", "other"}, "invalid_grant"},
		{"unknown client", []string{"client_id", "nobody"}, "invalid_client"},
		{"no client", []string{"client_id", ""}, "invalid_client"},
		{"a secret for a public client", []string{"client_secret", "x"}, "invalid_client"},
		{"another of its redirect URIs", []string{"redirect_uri", "https://app.example/other"}, "invalid_grant"},
		{"redirect URI with a slash", []string{"redirect_uri", appURL + "/"}, "invalid_grant"},
		{"another of its resources", []string{"resource", rootURL}, "invalid_grant"},
		{"unknown resource", []string{"resource", "https://evil.example/"}, "invalid_target"},
		{"no code", []string{"code", ""}, "invalid_request"},
		{"unknown code", []string{"code", "ghc_" + strings.Repeat("A", 43)}, "invalid_grant"},
		{"garbage", []string{"code", code + "\n"}, "invalid_grant"},
		{"without its prefix", []string{"code", code[4:]}, "invalid_grant"},
	} {
		if a := w.exchange(request, code, test.pairs...); a.str("error") != test.code || a.json["access_token"] != nil {
			t.Errorf("%s: %d %s", test.name, a.Code, a.Body)
		}
	}
	if a := w.exchange(request, code, "resource", "HTTPS://mcp.example:443/notes", "scope", "mcp:admin"); a.Code != http.StatusOK || a.str("scope") != "mcp:read mcp:tools mcp:write" {
		t.Errorf("the code is burnt: %d %s", a.Code, a.Body)
	}
	request = ask("secret")
	code = b.code(request, "")
	if a := w.post("/oauth/token", "secret", "", "grant_type", "authorization_code", "code", code, "code_verifier", request.verifier); a.str("error") != "invalid_client" {
		t.Errorf("an empty secret: %d %s", a.Code, a.Body)
	}
	a := w.exchange(request, code, "client_secret", secret, "redirect_uri", "")
	if a.Code != http.StatusOK || a.json["refresh_token"] != nil {
		t.Errorf("CLIENTS §4: %d %s", a.Code, a.Body)
	}
}

// AS-05: a challenge that never was cannot be met, and without a verifier there
// is no code at all.
func TestCode_RFC7636_4_6_NoDowngrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b, request := w.as("ann"), ask("app")
	mine := ask("app")
	code := b.code(request, "")
	if a := w.exchange(mine, code); a.str("error") != "invalid_grant" {
		t.Errorf("another request's verifier: %d %s", a.Code, a.Body)
	}
	weak := request
	weak.verifier = strings.Repeat("w", 42) // and its challenge is right
	weak.Set("code_challenge", challenge(weak.verifier))
	if a := w.exchange(weak, b.code(weak, "")); a.str("error") != "invalid_grant" {
		t.Errorf("a verifier that can be guessed: %d %s", a.Code, a.Body)
	}
	for _, absent := range []string{"code_challenge", "code_challenge_method"} {
		if got := b.authorize(ask("app", absent, ""), "").arrived(t, appURL); got.Get("error") != "invalid_request" {
			t.Errorf("without %s: %v", absent, got)
		}
	}
}

// A code is single use. Its replay ends everything that came of it, at once and
// at this very server: access tokens of both formats and refresh tokens.
func TestCode_RFC6749_4_1_2_ReplayKillsTheFamily(t *testing.T) {
	t.Parallel()
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		w := newWorld(t)
		w.app("app", func(c *storage.Client) { c.TokenFormat = format })
		rs := w.client("rs", introspecting)
		b, request := w.as("ann"), ask("app")
		code := b.code(request, "")
		tokens, sibling := w.exchange(request, code), b.connect(ask("app"), "")
		newer := w.refresh("app", tokens.str("refresh_token"))
		if !w.active("rs", rs, tokens.str("access_token")) || !w.active("rs", rs, newer.str("access_token")) {
			t.Fatal("tokens are not active")
		}
		// A thief without the verifier is found out, too.
		if a := w.exchange(request, code, "code_verifier", strings.Repeat("a", 43)); a.str("error") != "invalid_grant" {
			t.Errorf("replay: %d %s", a.Code, a.Body)
		}
		for _, a := range []answer{tokens, newer} {
			if w.active("rs", rs, a.str("access_token")) {
				t.Errorf("%s: an access token outlives the replay", format)
			}
			if again := w.refresh("app", a.str("refresh_token")); again.str("error") != "invalid_grant" {
				t.Errorf("%s: a refresh token outlives the replay: %d %s", format, again.Code, again.Body)
			}
		}
		if !w.active("rs", rs, sibling.str("access_token")) || w.refresh("app", sibling.str("refresh_token")).Code != http.StatusOK {
			t.Errorf("%s: the grant beside it has died, too", format)
		}
		if !strings.Contains(w.logs.String(), "authorization code replayed") {
			t.Errorf("%s: nobody is told", format)
		}
	}
}

// Of concurrent redemptions exactly one gets tokens, and then none of them are
// worth anything.
func TestCode_RFC6749_4_1_2_ConcurrentRedemption(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	rs := w.client("rs", introspecting)
	b, request := w.as("ann"), ask("app")
	code := b.code(request, "")
	answers := make([]answer, 6)
	var racers sync.WaitGroup
	for i := range answers {
		racers.Go(func() { answers[i] = w.exchange(request, code) })
	}
	racers.Wait()
	got := 0
	for _, a := range answers {
		if a.Code == http.StatusOK {
			got++
			if w.active("rs", rs, a.str("access_token")) {
				t.Error("the winner's token survives the replay")
			}
		} else if a.str("error") != "invalid_grant" {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	}
	if got != 1 {
		t.Errorf("%d of %d redemptions succeeded", got, len(answers))
	}
}

// A code is good for its minute, not longer (RFC 6749 §4.1.2).
func TestCode_RFC6749_4_1_2_Expires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *authserver.Config) { c.Tokens.CodeLifetime = 30 * time.Second })
		w.app("app")
		b, request := w.as("ann"), ask("app")
		early, late := b.code(request, ""), b.code(request, "")
		<-time.After(29 * time.Second)
		if a := w.exchange(request, early); a.Code != http.StatusOK {
			t.Errorf("in time: %d %s", a.Code, a.Body)
		}
		<-time.After(time.Second)
		if a := w.exchange(request, late); a.str("error") != "invalid_grant" {
			t.Errorf("too late: %d %s", a.Code, a.Body)
		}
	})
}

// Between consent and redemption the client or the person may have been
// disabled, or the client may have lost the grant type.
func TestCode_DisabledMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		b := w.as("ann")
		request := ask("app")
		code := b.code(request, "")
		w.changeClient("app", func(c *storage.Client) { c.GrantTypes = []string{"refresh_token"} })
		<-time.After(time.Second)
		if a := w.exchange(request, code); a.str("error") != "unauthorized_client" {
			t.Errorf("no such grant type any more: %d %s", a.Code, a.Body)
		}
		w.changeClient("app", func(c *storage.Client) { c.Disabled = true })
		<-time.After(time.Second)
		if a := w.exchange(request, code); a.str("error") != "invalid_client" {
			t.Errorf("disabled client: %d %s", a.Code, a.Body)
		}
		w.changeClient("app", func(c *storage.Client) {
			c.Disabled, c.GrantTypes = false, []string{"authorization_code"}
		})
		<-time.After(time.Second)
		w.disable("ann")
		if a := w.exchange(request, code); a.str("error") != "invalid_grant" {
			t.Errorf("disabled person: %d %s", a.Code, a.Body)
		}
	})
}

// An ID token goes with openid, and only with it; its nonce is that of the
// request (OpenID Connect Core §3.1.3.3) and is not repeated on refresh (§12.2).
func TestCode_OIDC_3_1_3_3_IDToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	if a := b.connect(ask("app", "scope", "mcp:read"), ""); a.json["id_token"] != nil {
		t.Errorf("without openid: %s", a.Body)
	}
	a := b.connect(ask("app", "scope", "openid mcp:read", "nonce", "n-1"), "")
	claims := decodeSegment(t, strings.Split(a.str("id_token"), ".")[1])
	if claims["nonce"] != "n-1" || claims["aud"] != "app" || claims["sub"] != "ann" || claims["iss"] != issuer {
		t.Errorf("claims %v", claims)
	}
	again := w.refresh("app", a.str("refresh_token"))
	claims = decodeSegment(t, strings.Split(again.str("id_token"), ".")[1])
	if claims["nonce"] != nil || claims["sub"] != "ann" {
		t.Errorf("claims after a refresh %v", claims)
	}
	rs := w.client("rs", introspecting)
	if w.active("rs", rs, a.str("id_token")) {
		t.Error("an ID token is an access token")
	}
	for name, bound := range map[string]string{"code": b.code(ask("app"), ""), "refresh token": a.str("refresh_token")} {
		if w.active("rs", rs, bound) {
			t.Errorf("a %s is an access token", name)
		}
	}
}
