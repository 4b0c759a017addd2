package authserver_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Processes that share one refresh token all get the same successor, from every
// replica and for minutes; each of them can go on with it.
func TestQuirk_Q01_ConcurrentRefreshGetsOneSuccessor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := migratedStore(t)
		shared := func(c *authserver.Config) { c.Store, c.Tokens.RefreshReuseWindow = store, 2*time.Minute }
		replicas := []*world{newWorld(t, shared), newWorld(t, shared)}
		w := replicas[0]
		w.app("app")
		rs := w.client("rs", introspecting)
		token := w.as("ann").connect(ask("app"), "").str("refresh_token")
		answers := make([]answer, 8)
		var racers sync.WaitGroup
		for i := range answers {
			racers.Go(func() { answers[i] = replicas[i%2].refresh("app", token) })
		}
		racers.Wait()
		<-time.After(2 * time.Minute)
		answers[0] = w.refresh("app", token)
		successor := answers[1].str("refresh_token")
		for _, a := range answers {
			if a.Code != http.StatusOK || a.str("refresh_token") != successor || !w.active("rs", rs, a.str("access_token")) {
				t.Errorf("%d %s", a.Code, a.Body)
			}
		}
		if a := replicas[1].refresh("app", successor); a.Code != http.StatusOK {
			t.Errorf("the successor: %d %s", a.Code, a.Body)
		}
	})
}

// The client_id of an app is the same on all devices: connecting, replaying or
// refreshing one of them does nothing to the others.
func TestQuirk_Q02_GrantPerInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	rs := w.client("rs", introspecting)
	laptop := w.as("ann")
	desk := w.browser()
	desk.signIn("ann", "")
	first, second := laptop.connect(ask("app"), ""), desk.connect(ask("app"), "")
	third := laptop.connect(ask("app", "prompt", "consent"), "")
	w.refresh("app", first.str("refresh_token"))
	w.refresh("app", first.str("refresh_token")) // reuse: this installation ends
	if w.active("rs", rs, first.str("access_token")) {
		t.Error("the one that was stolen lives")
	}
	for _, a := range []answer{second, third} {
		if !w.active("rs", rs, a.str("access_token")) || w.refresh("app", a.str("refresh_token")).Code != http.StatusOK {
			t.Error("another installation has died with it")
		}
	}
}

// Programs register a loopback address and come with whatever port is free.
func TestQuirk_Q03_LoopbackPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", redirects("http://localhost/callback", "http://127.0.0.1/callback", "http://[::1]/callback", "http://127.0.0.1:33418/"))
	b := w.as("ann")
	for _, to := range []string{
		"http://localhost/callback", "http://localhost:3118/callback", "http://127.0.0.1:51234/callback", "http://[::1]:8080/callback",
		"http://127.0.0.1:33418/", "http://127.0.0.1:49152/",
	} {
		if a := b.connect(ask("app", "redirect_uri", to), ""); a.Code != http.StatusOK {
			t.Errorf("%s: %d %s", to, a.Code, a.Body)
		}
	}
	for _, to := range []string{"http://localhost:3118/", "http://localhost:3118/callback/", "http://192.168.0.1:3118/callback", "https://localhost:3118/callback"} {
		if a := b.authorize(ask("app", "redirect_uri", to), ""); a.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %v", to, a.Code, a.Header())
		}
	}
}

// The resource of a person's flow, too: the root slash is echoed and means
// nothing, at every step.
func TestQuirk_Q04_RootSlashInTheCodeFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", func(c *storage.Client) { c.Resources = []string{rootURL} })
	rs := w.client("rs", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	b := w.as("ann")
	for _, asked := range []string{rootURL, rootURL + "/"} {
		for _, repeated := range []string{"", rootURL, rootURL + "/"} {
			request := ask("app", "resource", asked)
			a := w.exchange(request, b.code(request, ""), "resource", repeated)
			again := w.refresh("app", a.str("refresh_token"), "resource", repeated)
			for _, token := range []string{a.str("access_token"), again.str("access_token")} {
				if aud := w.post("/oauth/introspect", "rs", rs, "token", token).str("aud"); aud != asked {
					t.Errorf("asked for %q, then %q, got %q", asked, repeated, aud)
				}
			}
		}
	}
}

// The audience is the resource as the user typed it, with its path, also when
// the client names none.
func TestQuirk_Q05_AudienceHasThePath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	for _, resource := range []string{"", notesURL} {
		claims := decodeSegment(t, strings.Split(b.connect(ask("app", "resource", resource), "").str("access_token"), ".")[1])
		if claims["aud"] != notesURL {
			t.Errorf("resource %q: aud %v", resource, claims["aud"])
		}
	}
	if got := b.authorize(ask("app", "resource", "https://mcp.example"), "").arrived(t, appURL); got.Get("error") != "invalid_target" {
		t.Errorf("the origin for the path: %v", got)
	}
}

// Some clients ask for offline_access once it is listed, others never do. Both
// get refresh tokens, unless the operator wants them asked for, the person says
// no or the client is not registered for them.
func TestQuirk_Q09_OfflineAccess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, scope string
		strict, yes bool
		change      func(*storage.Client)
		off         string
	}{
		{name: "not asked for", scope: "mcp:read", yes: true},
		{name: "asked for", scope: "mcp:read offline_access", yes: true},
		{name: "declined", scope: "mcp:read offline_access", off: "offline_access off"},
		{name: "strict, not asked for", scope: "mcp:read", strict: true},
		{name: "strict, asked for", scope: "mcp:read offline_access", strict: true, yes: true},
		{name: "not registered", scope: "mcp:read offline_access", change: func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} }},
	} {
		w := newWorld(t, func(c *authserver.Config) { c.Tokens.RefreshOnlyOffline = test.strict })
		w.app("app", func(c *storage.Client) {
			if test.change != nil {
				test.change(c)
			}
		})
		b, request := w.as("ann"), ask("app", "scope", test.scope)
		a := b.decide(b.authorize(request, ""), "allow", strings.Fields(test.off)...)
		tokens := w.exchange(request, a.arrived(t, appURL).Get("code"))
		if (tokens.json["refresh_token"] != nil) != test.yes {
			t.Errorf("%s: %d %s", test.name, tokens.Code, tokens.Body)
		}
		if test.yes && w.refresh("app", tokens.str("refresh_token")).Code != http.StatusOK {
			t.Errorf("%s: it does not refresh", test.name)
		}
	}
	metadata := newWorld(t).do(formGet("/.well-known/oauth-authorization-server"))
	listed, _ := metadata.json["scopes_supported"].([]any)
	if slices.Index(listed, any("offline_access")) != len(listed)-1 || slices.Index(listed, any("mcp:read")) != 0 {
		t.Errorf("scopes_supported: %v", listed)
	}
}

// A client that asks for every scope that the metadata lists, in that order,
// gets those that it may have.
func TestQuirk_Q09_AllScopesOfTheMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	a := b.connect(ask("app", "scope", "mcp:read mcp:write mcp:tools mcp:admin files:read openid offline_access unheard:of"), "")
	if a.str("scope") != "mcp:read mcp:tools mcp:write offline_access openid" {
		t.Errorf("%s", a.Body)
	}
}

// Clients that never refresh get access tokens that live as long as their
// registration says, and revocation behind them.
func TestQuirk_Q10_LifetimePerClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lifetime := func(d time.Duration) func(*storage.Client) {
		return func(c *storage.Client) { c.AccessTokenLifetime = d }
	}
	w.app("usual")
	w.app("long", lifetime(8*time.Hour))
	w.app("longer", lifetime(100*time.Hour), opaque)
	machine := w.client("machine", lifetime(5*time.Minute))
	rs := w.client("rs", introspecting)
	b := w.as("ann")
	for id, want := range map[string]float64{"usual": 3600, "long": 8 * 3600, "longer": 24 * 3600} {
		a := b.connect(ask(id), "")
		again := w.refresh(id, a.str("refresh_token"))
		if a.json["expires_in"] != want || again.json["expires_in"] != want || !w.active("rs", rs, again.str("access_token")) {
			t.Errorf("%s: %s %s", id, a.Body, again.Body)
		}
	}
	if a := w.post("/oauth/token", "machine", machine, "grant_type", "client_credentials"); a.json["expires_in"] != 300.0 {
		t.Errorf("machine: %s", a.Body)
	}
}

// PKCE is there, so state may be short or missing.
func TestQuirk_Q14_ShortState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	for _, state := range []string{"a", "1234567", ""} {
		a := b.authorize(ask("app", "state", state), "")
		if a.Code == http.StatusOK {
			a = b.decide(a, "allow")
		}
		if got := a.arrived(t, appURL); got.Get("code") == "" || got.Get("state") != state {
			t.Errorf("%q: %v", state, got)
		}
	}
}
