package authserver_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func TestLogin_SignsInAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	w.app("app")
	v := w.browser()
	handle := v.begin("app")
	wantPage(t, v.get("/login?interaction="+handle), http.StatusOK, `name="username"`, `name="password"`, `value="`+handle+`"`, "app.example")
	wantAt(t, v.submit("/login", "interaction", handle, "username", " ADA ", "password", goodPassword), "/consent?interaction="+handle)
	wantPage(t, v.get("/consent?interaction="+handle), http.StatusOK, `value="allow"`)
	// Signed in already: straight on.
	wantAt(t, v.get("/login?interaction="+handle), "/consent?interaction="+handle)
	wantAt(t, v.get("/login"), "/account")
	wantAt(t, v.get("/login?return=device"), "/oauth/device")
	// Asked once more, and to be somebody else.
	wantPage(t, v.get("/login?again=1&return=account"), http.StatusOK, "Confirm that it is you", `value="ada"`)
	wantPage(t, v.get("/login?switch=1&interaction="+handle), http.StatusOK, `name="username" value=""`)
	if log := w.logs.String(); !strings.Contains(log, `"signed in"`) || strings.Contains(log, goodPassword) {
		t.Error("the log is wrong")
	}
}

func TestLogin_RFC6265bis_CookieAttributes(t *testing.T) {
	t.Parallel()
	for origin, test := range map[string]struct {
		name   string
		secure bool
	}{issuer: {sessionCookie, true}, "http://localhost:9000": {"gatehouse-session", false}} {
		w := newWorld(t, func(c *authserver.Config) { c.Issuer = origin })
		w.owner("ada")
		v := w.browser()
		v.origin = origin
		a := v.try("ada", goodPassword)
		wantAt(t, a, "/account")
		cookies := a.Result().Cookies()
		i := slices.IndexFunc(cookies, func(c *http.Cookie) bool { return c.Name == test.name })
		if i < 0 || cookies[i].Secure != test.secure || cookies[i].MaxAge != 30*24*3600 {
			t.Errorf("%s: cookies %v", origin, cookies)
		}
	}
}

func TestLogin_SessionFixation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	v := w.browser()
	v.cookies[sessionCookie] = strings.Repeat("a", 43)
	v.try("ada", goodPassword)
	first := v.cookies[sessionCookie]
	if first == strings.Repeat("a", 43) || len(first) != 43 {
		t.Fatalf("session %q", first)
	}
	v.try("ada", goodPassword)
	if v.cookies[sessionCookie] == first {
		t.Error("the session is the same after a sign-in")
	}
	v.cookies[sessionCookie] = first
	wantPage(t, v.get("/login"), http.StatusOK, `name="password"`) // the old one is dead
}

func TestLogin_SameWordsForEveryWrongPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	w.owner("gone", func(u *storage.User) { u.Disabled = true })
	w.user("keyless")
	var pages []string
	for _, name := range []string{"ada", "gone", "nobody", "keyless", "not a name"} {
		before := w.server.PasswordsHashed()
		a := w.browser().try(name, "wrong password")
		wantPage(t, a, http.StatusUnprocessableEntity, "username or the password is wrong")
		if hashed := w.server.PasswordsHashed() - before; hashed != 1 {
			t.Errorf("%s: %d hashes", name, hashed)
		}
		if len(a.Header().Values("WWW-Authenticate")) > 0 {
			t.Error("a challenge on a page")
		}
		pages = append(pages, challengeFree(strings.ReplaceAll(a.Body.String(), name, "NAME")))
	}
	for i, page := range pages {
		if page != pages[0] {
			t.Errorf("page %d differs:\n%s\n%s", i, page, pages[0])
		}
	}
	v := w.browser()
	wantPage(t, v.try("gone", goodPassword), http.StatusForbidden, "disabled")
	if v.cookies[sessionCookie] != "" {
		t.Error("a disabled account has a session")
	}
	if log := w.logs.String(); strings.Contains(log, "not a name") || strings.Contains(log, "wrong password") {
		t.Error("the log has what was typed")
	}
}

// challengeFree is a page without the passkey challenge, new on each.
func challengeFree(page string) string {
	before, rest, found := strings.Cut(page, "data-options=")
	if !found {
		return page
	}
	_, after, _ := strings.Cut(rest, "data-js")
	return before + after
}

func TestLogin_NeverAnOpenRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	for _, evil := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "account/../..", "javascript:alert(1)", "ACCOUNT"} {
		v := w.browser()
		query := "?" + values("return", evil).Encode()
		if a := v.get("/login" + query); a.Code != http.StatusBadRequest || strings.Contains(a.Body.String(), "evil") {
			t.Errorf("%s: %d", evil, a.Code)
		}
		if a := v.submit("/login"+query, "username", "ada", "password", goodPassword); a.Code != http.StatusBadRequest || v.cookies[sessionCookie] != "" {
			t.Errorf("POST %s: %d", evil, a.Code)
		}
		for _, name := range []string{"return", "next", "redirect_uri", "url"} { // from the form nothing is taken
			wantAt(t, w.browser().submit("/login", "username", "ada", "password", goodPassword, name, evil), "/account")
		}
		for _, a := range []answer{
			v.get("/login?" + values("interaction", evil).Encode()),
			v.submit("/login", "interaction", evil, "username", "ada", "password", goodPassword),
		} {
			wantPage(t, a, http.StatusBadRequest, "start again")
		}
		if v.cookies[sessionCookie] != "" {
			t.Errorf("%s: signed in", evil)
		}
	}
}

func TestLogin_OtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	for _, path := range []string{"/login", "/login/second-factor", "/logout"} {
		for header, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
			r := form(path, values("username", "ada", "password", goodPassword, "decision", "sign_out"))
			r.Header.Set(header, value)
			v := w.browser()
			wantPage(t, v.send(r), http.StatusForbidden, "did not come from here")
			if len(v.cookies) != 0 {
				t.Errorf("%s %s: cookies %v", path, header, v.cookies)
			}
		}
	}
}

func TestLogin_InteractionOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	w.app("app")
	handle := w.browser().begin("app")
	thief := w.browser()
	thief.begin("app")
	wantPage(t, thief.get("/login?interaction="+handle), http.StatusBadRequest, "start again")
	wantPage(t, thief.submit("/login", "interaction", handle, "username", "ada", "password", goodPassword), http.StatusBadRequest, "start again")
	if thief.cookies[sessionCookie] != "" {
		t.Error("a session for another browser's interaction")
	}
	if left, err := w.store.Sessions(t.Context(), "ada", time.Now()); err != nil || len(left) != 0 {
		t.Errorf("sessions %v, %v", left, err)
	}
}

func TestLogin_ExpiredInteraction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner("ada")
		w.app("app")
		v := w.browser()
		handle := v.begin("app")
		<-time.After(31 * time.Minute)
		wantPage(t, v.get("/login?interaction="+handle), http.StatusBadRequest, "start again")
		wantPage(t, v.submit("/login", "interaction", handle, "username", "ada", "password", goodPassword), http.StatusBadRequest, "start again")
		if v.cookies[sessionCookie] != "" {
			t.Error("signed in")
		}
	})
}

func TestLogin_NoPasswords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Login.NoPasswords = true })
	w.owner("ada")
	v := w.browser()
	if a := v.get("/login"); a.Code != http.StatusOK || strings.Contains(a.Body.String(), `name="password"`) {
		t.Errorf("page: %d", a.Code)
	}
	if a := v.try("ada", goodPassword); a.Code != http.StatusBadRequest || v.cookies[sessionCookie] != "" {
		t.Errorf("password: %d", a.Code)
	}
}

func TestLogin_SessionsSlideAndEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	const day = 24 * time.Hour
	for name, test := range map[string]struct{ began, seen, want time.Duration }{ // two times ago, one from now
		"used":                    {10 * day, time.Hour, 7 * day},
		"used-a-moment-ago":       {10 * day, 4 * time.Minute, time.Hour},
		"used-on-the-last-day":    {30*day - 2*time.Hour, time.Hour, 2 * time.Hour},
		"used-until-the-last-day": {30*day - time.Minute, day, time.Minute},
	} {
		v, now := w.browser(), time.Now()
		hash := sha256.Sum256([]byte(name))
		_, err := w.store.SignIn(t.Context(), storage.Session{
			Hash: hash, UserID: "ada", AuthTime: now.Add(-test.began), CreatedAt: now.Add(-test.began), LastSeenAt: now.Add(-test.seen), ExpiresAt: now.Add(time.Hour),
		}, [32]byte{}, [32]byte{})
		if err != nil {
			t.Fatal(err)
		}
		v.cookies[sessionCookie] = name
		wantAt(t, v.get("/login"), "/account")
		session, _, err := w.store.Session(t.Context(), hash, now)
		if off := session.ExpiresAt.Sub(now) - test.want; err != nil || off < -time.Minute/2 || off > time.Minute/2 {
			t.Errorf("%s: ends in %s, want %s; %v", name, session.ExpiresAt.Sub(now), test.want, err)
		}
	}
}

// tallied counts the steps of a sign-in, too.
type tallied struct{ counted }

func (c *tallied) SignInAttempt(ctx context.Context, username string, keys [][32]byte, now time.Time) (storage.SignInAttempt, error) {
	c.steps.Add(1)
	return c.Store.SignInAttempt(ctx, username, keys, now)
}

func (c *tallied) SignIn(ctx context.Context, s storage.Session, replaced, interaction [32]byte) (storage.Interaction, error) {
	c.steps.Add(1)
	return c.Store.SignIn(ctx, s, replaced, interaction)
}

func (c *tallied) ForgetFailures(ctx context.Context, keys [][32]byte) error {
	c.steps.Add(1)
	return c.Store.ForgetFailures(ctx, keys)
}

func (c *tallied) CountFailures(ctx context.Context, keys [][32]byte, expiresAt, now time.Time) ([]int, error) {
	c.steps.Add(1)
	return c.Store.CountFailures(ctx, keys, expiresAt, now)
}

func TestLogin_D3_StatementBudget(t *testing.T) {
	t.Parallel()
	store := &tallied{counted{Store: migratedStore(t)}}
	w := newWorld(t, func(c *authserver.Config) { c.Store = store })
	w.owner("ada")
	w.app("app")
	v := w.browser()
	handle := v.begin("app")
	store.steps.Store(0)
	v.get("/login?interaction=" + handle)
	if n := store.steps.Swap(0); n != 1 {
		t.Errorf("GET: %d statements", n)
	}
	v.submit("/login", "interaction", handle, "username", "ada", "password", goodPassword)
	if n := store.steps.Swap(0); n != 2 {
		t.Errorf("POST: %d statements", n)
	}
	w.browser().get("/login")
	if n := store.steps.Swap(0); n != 0 {
		t.Errorf("GET of a stranger: %d statements", n)
	}
}

func TestLogout_EndsTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner("ada")
	v := w.browser()
	wantPage(t, v.get("/logout"), http.StatusOK, "You are signed out")
	v.try("ada", goodPassword)
	session := v.cookies[sessionCookie]
	wantPage(t, v.get("/logout"), http.StatusOK, `value="sign_out"`, "ada")
	wantAt(t, v.submit("/logout"), "/account") // no decision, nothing done
	wantAt(t, v.submit("/logout", "decision", "sign_out"), "/logout")
	if v.cookies[sessionCookie] != "" {
		t.Error("the cookie is still there")
	}
	wantPage(t, v.get("/logout"), http.StatusOK, "You are signed out")
	v.cookies[sessionCookie] = session
	wantPage(t, v.get("/login"), http.StatusOK, `name="password"`)
	wantAt(t, v.submit("/logout", "decision", "sign_out"), "/logout")
	if a := w.do(httptest.NewRequest(http.MethodGet, issuer+"/logout?decision=sign_out", nil)); a.Code != http.StatusOK {
		t.Errorf("by link: %d", a.Code)
	}
}
