package authserver_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Somebody whose provider signs them in without a word has allowed nothing by
// that: another client is asked about, although the first one was allowed by
// the same account of the same provider in the same browser.
func TestAttack_ConfusedDeputy_UpstreamSignInIsNoConsent(t *testing.T) {
	t.Parallel()
	const evilURL = "https://evil.example/cb"
	w, _ := withUpstreams(t)
	w.app("app")
	w.app("evil", redirects(evilURL))
	v := w.browser()
	through := func(r request) answer {
		t.Helper()
		delete(v.cookies, sessionCookie)
		a := v.get("/oauth/authorize?" + r.Encode())
		_, handle, _ := strings.Cut(a.Header().Get("Location"), "?interaction=")
		return v.follow(v.get(v.away("interaction", handle)), "")
	}
	first := ask("app")
	if a := w.exchange(first, v.decide(through(first), "allow").arrived(t, appURL).Get("code")); a.Code != http.StatusOK {
		t.Fatalf("the first client gets no tokens: %d %s", a.Code, a.Body)
	}
	if again := through(ask("app")); again.arrived(t, appURL).Get("code") == "" {
		t.Error("the first client is asked about again: nothing can be skipped")
	}
	evil := ask("evil", "redirect_uri", evilURL)
	if page := through(evil); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "evil.example") {
		t.Errorf("consent was skipped for another client: %d %v", page.Code, page.Header())
	}
	evil.Set("prompt", "none")
	if got := v.authorize(evil, "").arrived(t, evilURL); got.Get("error") != "consent_required" || got.Has("code") {
		t.Errorf("silently: %v", got)
	}
}

// cookieBytes is how much the browser sends of cookies.
func (b *browser) cookieBytes() int {
	size := 0
	for name, value := range b.cookies {
		size += len(name) + len(value) + 3
	}
	return size
}

// What somebody has allowed is not in their cookies: these do not grow with the
// number of clients, and no consent falls out of them.
func TestAttack_ConsentCookieDoesNotOverflow(t *testing.T) {
	t.Parallel()
	const apps = 60
	w := newWorld(t)
	b := w.as("ann")
	size := 0
	for i := range apps {
		id := "app" + string(rune('A'+i))
		w.app(id)
		b.connect(ask(id), "")
		if size == 0 {
			size = b.cookieBytes()
		}
	}
	if got := b.cookieBytes(); got != size || size > 400 {
		t.Errorf("the cookies have %d bytes after one client and %d after %d", size, got, apps)
	}
	for _, id := range []string{"appA", "app" + string(rune('A'+apps-1))} {
		if a := b.authorize(ask(id), ""); a.Code != http.StatusSeeOther || a.arrived(t, appURL).Get("code") == "" {
			t.Errorf("%s: asked again: %d", id, a.Code)
		}
	}
	w.app("evil")
	if a := b.authorize(ask("evil"), ""); a.Code != http.StatusOK {
		t.Errorf("not asked for another one: %d", a.Code)
	}
}

// Whatever a client asks, the way through the pages has short addresses and
// small cookies, also with a hundred requests open; and the first still ends well.
func TestAttack_RequestsLiveInNeitherURLsNorCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	state := strings.Repeat("s", 4096)
	var first answer
	size := 0
	for i := range 100 {
		large := ask("app", "state", state, "nonce", strings.Repeat("n", 1024), "login_hint", strings.Repeat("h", 300))
		a := b.get("/oauth/authorize?" + large.Encode())
		for range 3 {
			to := a.Header().Get("Location")
			if len(to) > 200 {
				t.Fatalf("an address of %d bytes: %.300s", len(to), to)
			}
			if to == "" {
				break
			}
			a = b.get(to)
		}
		if i == 0 {
			first, size = a, b.cookieBytes()
		}
	}
	if got := b.cookieBytes(); got != size || size > 400 {
		t.Errorf("the cookies have %d bytes with one request and %d with a hundred", size, got)
	}
	if got := b.decide(first, "allow").arrived(t, appURL); got.Get("code") == "" || got.Get("state") != state {
		t.Errorf("the first request is lost: %.200v", got)
	}
	stranger := w.browser()
	if to := stranger.get("/oauth/authorize?" + ask("app", "state", state).Encode()).Header().Get("Location"); !strings.HasPrefix(to, "/login?") || len(to) > 200 {
		t.Errorf("the sign-in page has an address of %d bytes: %.300s", len(to), to)
	}
}

// trap listens where nobody has any business and counts who comes.
func trap(t *testing.T) (port string, visits *atomic.Int64) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	visits = &atomic.Int64{}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); accepting.Wait() })
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, visits
}

// logged reports whether one line of the log has both texts.
func (w *world) logged(event, about string) bool {
	for line := range strings.Lines(w.logs.String()) {
		if strings.Contains(line, event) && strings.Contains(line, about) {
			return true
		}
	}
	return false
}

// Nothing that a client names makes the server knock inside: neither as its
// client_id, nor as request_uri, jwks_uri or logo_uri.
func TestAttack_SSRF_NobodyInsideIsVisited(t *testing.T) {
	t.Parallel()
	port, visits := trap(t)
	w := newWorld(t, registering, func(c *authserver.Config) { c.Registration.Documents.Enabled = true })
	w.app("app")
	b, key := w.as("ann"), ecKey(t)
	refused := func(what string, a answer) {
		t.Helper()
		if a.Code != http.StatusBadRequest && a.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %v %s", what, a.Code, a.Header(), a.Body)
		}
	}
	for i, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0.0.0.0", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::1]"} {
		for _, scheme := range []string{"http://", "https://"} {
			uri, id := scheme+host+":"+port+"/x", scheme+string(rune('a'+i))
			refused(uri+" as client_id", b.get("/oauth/authorize?"+ask(uri).Encode()))
			refused(uri+" as client_id of a token", w.exchange(ask(uri), "ghc_x"))
			refused(uri+" as request_uri", b.get("/oauth/authorize?"+ask("app", "request_uri", uri).Encode()))
			refused(uri+" as pushed request_uri", w.push(ask("app", "request_uri", uri)))
			w.client(id, func(c *storage.Client) { c.AuthMethod, c.SecretHash, c.JWKSURI = "private_key_jwt", nil, uri })
			refused(uri+" as jwks_uri", w.withAssertion(assert(t, jose.ES256, key, "k", goodClaims(id))))
			if a := w.register(`{"redirect_uris":["` + appURL + `"],"client_name":"` + id + `","jwks_uri":"` + uri + `"}`); a.Code == http.StatusCreated {
				refused(uri+" as registered jwks_uri", w.withAssertion(assert(t, jose.ES256, key, "k", goodClaims(a.str("client_id")))))
			}
			w.app("logo"+id, func(c *storage.Client) { c.LogoURI = uri })
			b.authorize(ask("logo"+id), "")
			eventually(t, "the logo is given up: "+uri, func() bool { return w.logged("logo could not be fetched", uri) })
		}
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("%d visits", n)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	eventually(t, "the trap works", func() bool { return visits.Load() == 1 })
}

// What one was told of a token is not told to another, and not of another
// token, however warm the caches are.
func TestAttack_AnswersAreForOneCallerAndOneToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs := w.client("rs", introspecting)
	other := w.client("other", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	ann, bob := w.as("ann"), w.as("bob")
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		w.app(string(format), func(c *storage.Client) { c.TokenFormat = format })
		of := map[string]string{}
		for _, b := range []*browser{ann, bob} {
			a := b.connect(ask(string(format), "scope", "openid mcp:read"), "")
			of[w.post("/oauth/introspect", "rs", rs, "token", a.str("access_token")).str("sub")] = a.str("access_token")
		}
		for range 2 {
			if w.active("other", other, of["ann"]) || !w.active("rs", rs, of["ann"]) {
				t.Errorf("%s: the answer is somebody else's", format)
			}
		}
		var callers sync.WaitGroup
		for i := range 20 {
			sub := []string{"ann", "bob"}[i%2]
			callers.Go(func() {
				if a := w.userinfo(http.MethodGet, of[sub]); a.str("sub") != sub || a.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %s is told %d %v %s", format, sub, a.Code, a.Header(), a.Body)
				}
			})
		}
		callers.Wait()
	}
}

// Every credential is good for one thing. Where it does not belong it is
// refused, and is as good as before where it does.
func TestAttack_CredentialsAreNotInterchangeable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	w.app("app", opaque, func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, deviceGrant) })
	w.app("jwt")
	rs := w.client("rs", introspecting)
	b, pending := w.as("ann"), ask("app", "scope", "openid mcp:read")
	tokens, asJWT := b.connect(pending, ""), b.connect(ask("jwt", "scope", "openid mcp:read"), "")
	device, registered := w.device("app"), w.register(`{"redirect_uris":["`+appURL+`"],"jwks_uri":"https://keys.example/jwks"}`)
	credentials := map[string]string{
		"opaque token": tokens.str("access_token"), "JWT": asJWT.str("access_token"), "ID token": tokens.str("id_token"), "refresh token": tokens.str("refresh_token"),
		"code": b.code(pending, ""), "device code": device.str("device_code"), "user code": device.str("user_code"),
		"request_uri": w.push(ask("app")).str("request_uri"), "session": b.cookies[sessionCookie], "browser": b.cookies[browserCookie],
		"registration token": registered.str("registration_access_token"),
	}
	uses := []struct {
		name string
		good []string
		use  func(credential string) int
	}{
		{"userinfo", []string{"opaque token", "JWT"}, func(s string) int { return w.userinfo(http.MethodGet, s).Code }},
		{"introspection", []string{"opaque token", "JWT"}, func(s string) int {
			return map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[w.active("rs", rs, s)]
		}},
		{"registration", []string{"registration token"}, func(s string) int {
			return w.bring(http.MethodGet, "/oauth/register/"+registered.str("client_id"), s, "").Code
		}},
		{"device code", nil, func(s string) int { return w.redeemDevice("app", s).Code }},
		{"code", []string{"code"}, func(s string) int { return w.exchange(pending, s).Code }},
		{"refresh token", []string{"refresh token"}, func(s string) int { return w.refresh("app", s).Code }},
	}
	for _, good := range []bool{false, true} {
		for name, credential := range credentials {
			for _, use := range uses {
				if credential == "" || slices.Contains(use.good, name) != good {
					continue
				}
				if status := use.use(credential); (status == http.StatusOK) != good || status >= http.StatusInternalServerError {
					t.Errorf("%s as %s: %d", name, use.name, status)
				}
			}
		}
	}
	for name, credential := range credentials {
		if credential == "" {
			t.Errorf("there is no %s", name)
		}
	}
}

// Introspection writes nothing at all, so that no row becomes hot.
func TestAttack_IntrospectionWritesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	store := migrated(t, path)
	w := newWorld(t, func(c *authserver.Config) { c.Store = store })
	w.app("app", opaque)
	rs := w.client("rs", introspecting)
	token := w.as("ann").connect(ask("app"), "").str("access_token")
	bytes := func() string {
		t.Helper()
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(path + "-wal")
		if err != nil || len(log) == 0 {
			t.Fatalf("no log: %v", err)
		}
		return string(file) + string(log)
	}
	before := bytes()
	w.client("later")
	if bytes() == before {
		t.Fatal("a write cannot be seen")
	}
	// Housekeeping may write in between, once.
	eventually(t, "a hundred introspections leave the files as they are", func() bool {
		before := bytes()
		for range 100 {
			if !w.active("rs", rs, token) || w.active("rs", rs, "gha_"+strings.Repeat("A", 54)) {
				t.Fatal("wrong answer")
			}
		}
		return bytes() == before
	})
}

// ending counts the calls that end something.
type ending struct {
	storage.Store
	grants, events atomic.Int64
}

func (e *ending) RevokeGrant(ctx context.Context, id, userID, reason string, revoked storage.Event, now time.Time) error {
	e.grants.Add(1)
	return e.Store.RevokeGrant(ctx, id, userID, reason, revoked, now)
}

func (e *ending) AppendEvent(ctx context.Context, event storage.Event) (int64, error) {
	e.events.Add(1)
	return e.Store.AppendEvent(ctx, event)
}

// However many tokens a grant has given, one call ends them all.
func TestAttack_ManyTokensOfOneGrantEndAtOnce(t *testing.T) {
	t.Parallel()
	store := &ending{Store: migratedStore(t)}
	w := newWorld(t, func(c *authserver.Config) { c.Store = store })
	w.app("app", opaque)
	rs := w.client("rs", introspecting)
	last := w.as("ann").connect(ask("app"), "")
	tokens := []string{last.str("access_token")}
	for range 300 {
		last = w.refresh("app", last.str("refresh_token"))
		tokens = append(tokens, last.str("access_token"))
	}
	for _, token := range tokens[:len(tokens)/2] { // the others are not in any cache
		if !w.active("rs", rs, token) {
			t.Fatal("a token is not active")
		}
	}
	events := store.events.Load()
	if a := w.do(form("/oauth/revoke", values("client_id", "app", "token", last.str("refresh_token")))); a.Code != http.StatusOK {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	if store.grants.Load() != 1 || store.events.Load() != events {
		t.Errorf("%d calls and %d events of their own", store.grants.Load(), store.events.Load()-events)
	}
	for i, token := range tokens {
		if w.active("rs", rs, token) {
			t.Fatalf("token %d of %d is active", i, len(tokens))
		}
	}
}
