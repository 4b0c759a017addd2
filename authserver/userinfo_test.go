package authserver_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// userinfo asks with a bearer token.
func (w *world) userinfo(method, token string) answer {
	w.t.Helper()
	r := httptest.NewRequest(method, issuer+"/oauth/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.do(r)
}

// Each scope tells what it is for and no more, as it is now.
func TestUserinfo_OIDC_5_4_ClaimsByScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	ada := w.as("ada")
	for scope, want := range map[string][]string{
		"openid":                        {"sub"},
		"openid profile":                {"name", "preferred_username", "sub"},
		"openid email":                  {"email", "email_verified", "sub"},
		"openid profile email mcp:read": {"email", "email_verified", "name", "preferred_username", "sub"},
	} {
		token := ada.connect(ask("app", "scope", scope), "").str("access_token")
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := w.userinfo(method, token)
			if got := slices.Sorted(maps.Keys(a.json)); a.Code != http.StatusOK || !slices.Equal(got, want) || a.str("sub") != "ada" {
				t.Errorf("%s: %d %s", scope, a.Code, a.Body)
			}
		}
	}
	if a := w.userinfo(http.MethodGet, ada.connect(ask("app", "scope", "openid email"), "").str("access_token")); a.json["email_verified"] != false || a.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v %s", a.Header(), a.Body)
	}
}

// Every refusal has the challenge of RFC 6750 §3, and none that of Basic.
func TestUserinfo_RFC6750_3_Refusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		secret := w.client("machine", func(c *storage.Client) { c.Scopes, c.Resources = []string{"openid"}, []string{rootURL} })
		ada := w.as("ada")
		plain := ada.connect(ask("app", "scope", "mcp:read"), "").str("access_token")
		good := ada.connect(ask("app", "scope", "openid"), "")
		token := good.str("access_token")
		request := func(headers ...string) *http.Request {
			r := httptest.NewRequest(http.MethodGet, issuer+"/oauth/userinfo?access_token="+token, nil)
			for _, h := range headers {
				r.Header.Add("Authorization", h)
			}
			return r
		}
		inBody := form("/oauth/userinfo", values("access_token", token))
		for name, test := range map[string]struct {
			r         *http.Request
			status    int
			challenge string
		}{
			"nothing":           {request(), 401, ""},
			"in the body":       {inBody, 401, ""},
			"another scheme":    {request("Basic " + token), 401, ""},
			"no token":          {request("Bearer "), 401, ""},
			"two headers":       {request("Bearer "+token, "Bearer "+token), 400, `error="invalid_request"`},
			"garbage":           {request("Bearer x"), 401, `error="invalid_token"`},
			"refresh token":     {request("Bearer " + good.str("refresh_token")), 401, `error="invalid_token"`},
			"without openid":    {request("Bearer " + plain), 403, `error="insufficient_scope", scope="openid"`},
			"client for itself": {request("Bearer " + w.token("machine", secret, "scope", "openid")), 403, `error="insufficient_scope", scope="openid"`},
		} {
			a := w.do(test.r)
			challenge := a.Header().Get("WWW-Authenticate")
			if a.Code != test.status || !strings.HasPrefix(challenge, `Bearer realm="`+issuer+`"`) || !strings.Contains(challenge, test.challenge) ||
				(test.challenge == "") != !strings.Contains(challenge, "error") || a.json["sub"] != nil {
				t.Errorf("%s: %d %q %s", name, a.Code, challenge, a.Body)
			}
		}
		if a := w.do(request("bearer " + token)); a.Code != http.StatusOK { // schemes have no case
			t.Errorf("good: %d %s", a.Code, a.Body)
		}
		<-time.After(time.Hour)
		if a := w.userinfo(http.MethodGet, token); a.Code != http.StatusUnauthorized {
			t.Errorf("expired: %d %s", a.Code, a.Body)
		}
	})
}

// A token ends with its person, its client, and its grant.
func TestUserinfo_OIDC_5_3_TokenInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("gone")
	ada := w.as("ada")
	openid := func(client string) answer { return ada.connect(ask(client, "scope", "openid"), "") }
	revoked, orphan, disabled := openid("app"), openid("gone"), openid("app")
	w.do(form("/oauth/revoke", values("client_id", "app", "token", revoked.str("refresh_token"))))
	w.changeClient("gone", func(c *storage.Client) { c.Disabled = true })
	for name, a := range map[string]answer{"revoked": revoked, "disabled client": orphan} {
		eventually(t, name, func() bool { return w.userinfo(http.MethodGet, a.str("access_token")).Code == http.StatusUnauthorized })
	}
	if a := w.userinfo(http.MethodGet, disabled.str("access_token")); a.Code != http.StatusOK {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	user, err := w.store.User(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	user.Disabled = true
	if _, err := w.store.UpdateUser(t.Context(), user, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	if a := w.userinfo(http.MethodGet, disabled.str("access_token")); a.Code != http.StatusUnauthorized || !strings.Contains(a.Header().Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("disabled person: %d %s", a.Code, a.Body)
	}
}
