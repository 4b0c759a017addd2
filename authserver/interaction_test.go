package authserver_test

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// expectPage fails unless a is an error page with a way on and without a way out.
func expectPage(t *testing.T, what string, a answer) {
	t.Helper()
	if a.Code != http.StatusBadRequest || a.Header().Get("Location") != "" || !strings.Contains(a.Body.String(), "start again") {
		t.Errorf("%s: %d %v %s", what, a.Code, a.Header(), a.Body)
	}
}

// OpenID Connect Core §3.1.2.1: prompt=none never shows anything.
func TestInteraction_OIDC_3_1_2_1_PromptNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("local", redirects("http://127.0.0.1/cb"))
	stranger, ann := w.browser(), w.as("ann")
	local := []string{"redirect_uri", "http://127.0.0.1/cb"}
	silent := func(b *browser, client string, pairs ...string) string {
		t.Helper()
		request := ask(client, append(pairs, "prompt", "none")...)
		got := b.authorize(request, "").arrived(t, request.Get("redirect_uri"))
		if got.Get("state") != "st-"+client || got.Get("iss") != issuer {
			t.Errorf("%v", got)
		}
		return got.Get("error")
	}
	if err := silent(stranger, "app"); err != "login_required" || len(stranger.cookies) != 0 {
		t.Errorf("nobody is signed in: %q %v", err, stranger.cookies)
	}
	stranger.cookies[sessionCookie] = "stale"
	if err := silent(stranger, "app"); err != "login_required" {
		t.Errorf("the session is no more: %q", err)
	}
	if err := silent(ann, "app"); err != "consent_required" {
		t.Errorf("nothing was allowed: %q", err)
	}
	ann.connect(ask("app", "scope", "mcp:read"), "")
	if err := silent(ann, "app", "scope", "mcp:read mcp:write"); err != "consent_required" {
		t.Errorf("less was allowed: %q", err)
	}
	if err := silent(ann, "app", "scope", "mcp:read offline_access"); err != "consent_required" {
		t.Errorf("to stay connected was not allowed: %q", err)
	}
	if err := silent(ann, "app", "scope", "mcp:read"); err != "" {
		t.Errorf("it was allowed: %q", err)
	}
	if err := silent(ann, "app", "scope", "mcp:read", "max_age", "0"); err != "login_required" {
		t.Errorf("the sign-in is old: %q", err)
	}
	ann.connect(ask("local", append(local, "scope", "mcp:read")...), "")
	if err := silent(ann, "local", append(local, "scope", "mcp:read")...); err != "consent_required" {
		t.Errorf("anybody can pose as the client: %q", err)
	}
}

// max_age and prompt=login ask for the password again when it is due, once.
func TestInteraction_OIDC_3_1_2_1_Reauthentication(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		b := w.as("ann")
		b.connect(ask("app"), "")
		<-time.After(2 * time.Minute)
		for _, test := range []struct {
			pairs []string
			login bool
		}{
			{[]string{}, false},
			{[]string{"max_age", "121"}, false},
			{[]string{"max_age", "119"}, true},
			{[]string{"max_age", "0"}, true},
			{[]string{"max_age", "99999999999999"}, false},
			{[]string{"prompt", "login"}, true},
			{[]string{"prompt", "select_account"}, true},
			{[]string{"prompt", "login consent"}, true},
		} {
			before := b.cookies[sessionCookie]
			a := b.authorize(ask("app", test.pairs...), "")
			if asked := strings.HasPrefix(a.Header().Get("Location"), "/login?"); asked != test.login {
				t.Errorf("%v: sign-in asked: %v", test.pairs, asked)
			}
			<-time.After(time.Second)
			if a = b.follow(a, "ann"); test.login && a.Code == http.StatusOK {
				a = b.decide(a, "allow")
			}
			if a.arrived(t, appURL).Get("code") == "" {
				t.Errorf("%v: %v", test.pairs, a.Header())
			}
			b.cookies[sessionCookie] = before // as old as it was
		}
	})
}

// A request belongs to the browser that began it; whoever else has its address
// learns nothing and can do nothing.
func TestInteraction_CLIENTS3_ForeignBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	ann, eve := w.as("ann"), w.as("eve")
	page := ann.authorize(ask("app"), "")
	at := "/consent?interaction=" + strings.Split(page.fields().Get("interaction"), ".")[0]
	eve.authorize(ask("app"), "") // has a browser cookie, too
	expectPage(t, "a foreign page", eve.get(at))
	fields := page.fields()
	for _, decision := range []string{"allow", "deny"} {
		fields.Set("decision", decision)
		expectPage(t, "a foreign "+decision, eve.fill("/consent", fields))
	}
	nobody := w.browser()
	expectPage(t, "no cookies", nobody.get(at))
	expectPage(t, "an unknown one", ann.get("/consent?interaction=AAAA"))
	expectPage(t, "none", ann.get("/consent"))
	expectPage(t, "a long one", ann.get("/consent?interaction="+strings.Repeat("A", 5000)))
	if ann.decide(page, "allow").arrived(t, appURL).Get("code") == "" {
		t.Error("a stranger has ended it")
	}
}

// Consent counts for who was asked: when somebody else has signed in since,
// they are asked themselves.
func TestInteraction_CLIENTS3_SessionSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.user("bob")
	b := w.as("ann")
	page := b.authorize(ask("app"), "") // ann was signed in already
	b.signIn("bob", "")
	a := b.decide(page, "allow")
	if to := a.Header().Get("Location"); !strings.HasPrefix(to, "/consent?interaction=") {
		t.Fatalf("ann's page was answered as bob: %d %s", a.Code, to)
	}
	if again := b.follow(a, ""); again.Code != http.StatusOK || !strings.Contains(again.Body.String(), "bob") {
		t.Errorf("bob is not asked: %d", again.Code)
	}
	// ann signs in for a request; then bob signs in beside it.
	page = b.authorize(ask("app", "prompt", "login"), "ann")
	b.signIn("bob", "")
	if to := b.decide(page, "allow").Header().Get("Location"); !strings.HasPrefix(to, "/consent?") {
		t.Errorf("sent to %s", to)
	}
	if to := b.follow(b.decide(page, "allow"), "").Header().Get("Location"); !strings.HasPrefix(to, "/login?") {
		t.Errorf("bob goes on with ann's request: %s", to)
	}
	delete(b.cookies, sessionCookie)
	if to := b.follow(b.decide(page, "allow"), "").Header().Get("Location"); !strings.HasPrefix(to, "/login?") {
		t.Errorf("nobody goes on with it: %s", to)
	}
}

// An interaction that has expired, or whose client is gone, ends in a page.
func TestInteraction_ExpiresAndLosesItsClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		b := w.as("ann")
		page := b.authorize(ask("app"), "")
		old := storage.Interaction{
			Hash: sha256.Sum256([]byte("old")), Browser: sha256.Sum256([]byte(b.cookies[browserCookie])),
			ClientID: "app", RedirectURI: appURL, MaxAge: -1, CreatedAt: time.Now().Add(-time.Minute), ExpiresAt: time.Now(),
		}
		if err := w.store.CreateInteraction(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		expectPage(t, "expired", b.get("/consent?interaction=old"))
		w.changeClient("app", redirects("https://moved.example/"))
		<-time.After(time.Second)
		for _, decision := range []string{"allow", "deny"} {
			if a := b.decide(page, decision); a.Code != http.StatusBadRequest || a.Header().Get("Location") != "" {
				t.Errorf("%s goes to an address that was given up: %d %v", decision, a.Code, a.Header())
			}
		}
		w.changeClient("app", func(c *storage.Client) { c.Disabled = true })
		<-time.After(time.Second)
		if a := b.decide(page, "allow"); a.Code != http.StatusBadRequest {
			t.Errorf("a disabled client: %d", a.Code)
		}
	})
}

// A form of another page is not used.
func TestInteraction_AS28_CrossSiteForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	page := b.authorize(ask("app"), "")
	fields := page.fields()
	fields.Set("decision", "allow")
	for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
		r := form("/consent", fields)
		r.Header.Set(name, value)
		if a := b.send(r); a.Code != http.StatusForbidden {
			t.Errorf("%s: %d", name, a.Code)
		}
	}
	fields.Set("decision", "perhaps")
	if a := b.fill("/consent", fields); a.Code != http.StatusBadRequest {
		t.Errorf("no decision: %d", a.Code)
	}
}

// The whole flow below an issuer with a path has cookies and addresses there.
func TestInteraction_IssuerWithPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Issuer = issuer + "/tenant" })
	w.app("app")
	a := w.do(formGet("/tenant/oauth/authorize?" + ask("app").Encode()))
	if to := a.Header().Get("Location"); !strings.HasPrefix(to, "/tenant/login?interaction=") {
		t.Errorf("sent to %s", to)
	}
	if cookies := a.Result().Cookies(); len(cookies) != 1 || !strings.HasPrefix(cookies[0].Name, "__Host-gatehouse-browser-") {
		t.Errorf("cookies %v", cookies)
	}
}
