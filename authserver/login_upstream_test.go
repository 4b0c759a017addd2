package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/upstream/upstreamtest"
)

// withUpstreams starts a server with two providers.
func withUpstreams(t *testing.T, change ...func(*authserver.Upstream)) (*world, *upstreamtest.Provider) {
	t.Helper()
	theirs, err := upstreamtest.New()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(theirs)
	t.Cleanup(server.Close)
	theirs.Issuer = server.URL
	w := newWorld(t, func(c *authserver.Config) {
		for _, id := range []string{"corp", "other"} {
			u := authserver.Upstream{ID: id, Name: "Corp", Issuer: server.URL, ClientID: upstreamtest.ClientID, ClientSecret: upstreamtest.ClientSecret}
			for _, f := range change {
				f(&u)
			}
			c.Login.Upstreams = append(c.Login.Upstreams, u)
		}
	})
	return w, theirs
}

// away chooses the provider and returns the callback that the browser comes
// back to, below the issuer.
func (b *browser) away(pairs ...string) string {
	b.t.Helper()
	a := b.submit("/login", append([]string{"upstream", "corp"}, pairs...)...)
	if a.Code != http.StatusSeeOther {
		b.t.Fatalf("to the provider: %d %s", a.Code, a.Body)
	}
	if to := a.Header().Get("Location"); len(to) > 1000 {
		b.t.Errorf("the address has %d bytes", len(to))
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	back, err := browser.Get(a.Header().Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	back.Body.Close()
	callback, ours := strings.CutPrefix(back.Header.Get("Location"), issuer)
	if !ours {
		b.t.Fatalf("back at %v", back.Header)
	}
	return callback
}

func TestUpstream_FirstAndNextSignIn(t *testing.T) {
	t.Parallel()
	w, _ := withUpstreams(t)
	w.owner("ada@example.org") // the same address is nobody's proof
	w.app("app")
	v := w.browser()
	handle := v.begin("app")
	wantPage(t, v.get("/login?interaction="+handle), http.StatusOK, `name="upstream" value="corp"`, "Continue with Corp")
	wantAt(t, v.get(v.away("interaction", handle)), "/consent?interaction="+handle)
	users, err := w.store.ListUsers(t.Context(), "", 10)
	if err != nil || len(users) != 2 {
		t.Fatalf("users %+v %v", users, err)
	}
	made := users[1]
	if made.ID == "ada@example.org" || !strings.HasPrefix(made.Username, "ada@example.org-") || made.Email != "ada@example.org" || !made.EmailVerified || made.PasswordHash != "" {
		t.Errorf("made %+v", made)
	}
	again := w.browser()
	wantAt(t, again.get(again.away()), "/account")
	if users, _ := w.store.ListUsers(t.Context(), "", 10); len(users) != 2 {
		t.Errorf("the second sign-in made an account: %+v", users)
	}
	made.Disabled = true
	if _, err := w.store.UpdateUser(t.Context(), made, nil, made.CreatedAt); err != nil {
		t.Fatal(err)
	}
	wantPage(t, again.get(again.away()), http.StatusForbidden, "disabled")
}

func TestUpstream_MixUpsAreRefused(t *testing.T) {
	t.Parallel()
	w, _ := withUpstreams(t)
	v, other := w.browser(), w.browser()
	other.get("/login")
	other.away()
	for name, a := range map[string]answer{
		"another provider's address": v.get(strings.Replace(v.away(), "/corp?", "/other?", 1)),
		"unknown provider":           v.get(strings.Replace(v.away(), "/corp?", "/none?", 1)),
		"another browser":            other.get(v.away()),
		"no state":                   v.get("/login/upstream/corp?code=x"),
		"made-up state":              v.get("/login/upstream/corp?code=x&state=" + strings.Repeat("A", 200)),
		"repeated":                   v.get(v.away() + "&code=x"),
		"changed code":               v.get(strings.Replace(v.away(), "code=", "code=x", 1)),
		"another issuer":             v.get(strings.Replace(v.away(), "iss=http", "iss=https", 1)),
		"unknown to go to":           v.submit("/login", "upstream", "none"),
	} {
		if a.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %v", name, a.Code, a.Header())
		}
	}
	if v.cookies[sessionCookie] != "" || other.cookies[sessionCookie] != "" {
		t.Error("signed in")
	}
	callback := v.away()
	wantAt(t, v.get(callback), "/account")
	wantPage(t, v.get(callback), http.StatusBadRequest, "/login?return=account") // a code works once
	if users, err := w.store.ListUsers(t.Context(), "", 10); err != nil || len(users) != 1 {
		t.Errorf("users %+v %v", users, err)
	}
}

func TestUpstream_OnlyVerifiedAddressesOfAllowedDomains(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claims map[string]any
		in     bool
	}{
		"allowed":    {nil, true},
		"unverified": {map[string]any{"email_verified": false}, false},
		"elsewhere":  {map[string]any{"email": "ada@evil.example"}, false},
		"below":      {map[string]any{"email": "ada@x.example.org"}, false},
		"two signs":  {map[string]any{"email": "ada@evil.example@example.org"}, false},
		"no address": {map[string]any{"email": nil}, false},
	} {
		w, theirs := withUpstreams(t, func(u *authserver.Upstream) { u.AllowedDomains = []string{"Example.org"} })
		theirs.Claims = test.claims
		v := w.browser()
		a := v.get(v.away())
		if in := a.Code == http.StatusSeeOther && v.cookies[sessionCookie] != ""; in != test.in {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
		if !test.in {
			wantPage(t, a, http.StatusForbidden, "cannot sign in here", "/login?return=account")
		}
	}
}

func TestUpstream_DeadProviderAndRefusal(t *testing.T) {
	t.Parallel()
	w, theirs := withUpstreams(t)
	theirs.Down = true
	v := w.browser()
	wantPage(t, v.submit("/login", "upstream", "corp"), http.StatusServiceUnavailable, "cannot be reached", "/login?return=account")
	theirs.Down, theirs.Refuse = false, "access_denied"
	wantPage(t, v.get(v.away()), http.StatusBadRequest, "did not sign you in")
	if log := w.logs.String(); !strings.Contains(log, "upstream sign-in refused") {
		t.Error("nothing in the log")
	}
}

func TestUpstream_SecondFactorIsAskedAllTheSame(t *testing.T) {
	t.Parallel()
	w, _ := withUpstreams(t)
	v := w.browser()
	v.get(v.away())
	users, err := w.store.ListUsers(t.Context(), "", 1)
	if err != nil || len(users) != 1 || users[0].Username != "ada@example.org" {
		t.Fatal(users, err)
	}
	if users[0].TOTPSecret, err = w.server.SealTOTP(users[0].ID, []byte("12345678901234567890")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.UpdateUser(t.Context(), users[0], nil, users[0].CreatedAt); err != nil {
		t.Fatal(err)
	}
	again := w.browser()
	wantAt(t, again.get(again.away()), secondPage)
}

func TestUpstream_ConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	good := authserver.Upstream{ID: "a", Issuer: "https://idp.example", ClientID: "c"}
	for name, change := range map[string]func(*authserver.Upstream){
		"id": func(u *authserver.Upstream) { u.ID = "A/b" }, "no id": func(u *authserver.Upstream) { u.ID = "" },
		"issuer": func(u *authserver.Upstream) { u.Issuer = "http://idp.example" }, "client": func(u *authserver.Upstream) { u.ClientID = "" },
		"twice": func(*authserver.Upstream) {},
	} {
		bad := good
		change(&bad)
		_, err := authserver.New(t.Context(), authserver.Config{
			Issuer: issuer, Store: migratedStore(t), SealKeys: [][]byte{make([]byte, 32)}, Resources: []authserver.Resource{{Identifier: notesURL}},
			Login: authserver.Login{Upstreams: []authserver.Upstream{good, bad}},
		})
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
