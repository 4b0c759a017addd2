package authserver_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	appURL        = "https://app.example/callback"
	sessionCookie = "__Host-gatehouse-session"
	browserCookie = "__Host-gatehouse-browser"
)

// user creates a person who can sign in.
func (w *world) user(id string, change ...func(*storage.User)) {
	w.t.Helper()
	u := storage.User{ID: id, Username: id, Name: "Name of " + id, Email: id + "@people.example", CreatedAt: time.Now(), UpdatedAt: time.Now()}
	for _, f := range change {
		f(&u)
	}
	if err := w.store.CreateUser(w.t.Context(), u, storage.Identity{}); err != nil {
		w.t.Fatal(err)
	}
}

// app registers a public client that people connect.
func (w *world) app(id string, change ...func(*storage.Client)) {
	w.t.Helper()
	w.client(id, append([]func(*storage.Client){func(c *storage.Client) {
		c.AuthMethod, c.SecretHash = "none", nil
		c.GrantTypes, c.RedirectURIs = []string{"authorization_code", "refresh_token"}, []string{appURL}
		c.Scopes = []string{"mcp:read", "mcp:tools", "mcp:write"}
	}}, change...)...)
}

func redirects(uris ...string) func(*storage.Client) {
	return func(c *storage.Client) { c.RedirectURIs = uris }
}

// changeClient updates a registered client.
func (w *world) changeClient(id string, change func(*storage.Client)) {
	w.t.Helper()
	c, err := w.store.Client(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	change(&c)
	if _, err := w.store.UpdateClient(w.t.Context(), c, time.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// request is an authorization request with the verifier that goes with it.
type request struct {
	url.Values
	verifier string
}

// ask is a good request of a client; pairs replace parameters, or remove them
// with an empty value.
func ask(clientID string, pairs ...string) request {
	verifier := rand.Text() + rand.Text()
	r := request{values("response_type", "code", "client_id", clientID, "redirect_uri", appURL, "state", "st-"+clientID,
		"code_challenge", challenge(verifier), "code_challenge_method", "S256"), verifier}
	for i := 0; i < len(pairs); i += 2 {
		if r.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			r.Del(pairs[i])
		}
	}
	return r
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// browser is what a person uses: it keeps cookies, and sends forms from the
// pages of its origin.
type browser struct {
	*world
	origin  string
	address string
	cookies map[string]string
}

func (w *world) browser() *browser {
	return &browser{w, issuer, "203.0.113.7:4711", map[string]string{}}
}

// as returns a browser in which a new person is signed in.
func (w *world) as(user string) *browser {
	w.t.Helper()
	w.user(user)
	b := w.browser()
	b.signIn(user, "")
	return b
}

// signIn signs user in, as the sign-in page does when the password is right.
func (b *browser) signIn(user, interaction string) {
	b.t.Helper()
	cookie, now := rand.Text(), time.Now()
	s := storage.Session{
		Hash: sha256.Sum256([]byte(cookie)), UserID: user, Methods: []string{"pwd"},
		AuthTime: now, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(24 * time.Hour),
	}
	var about [32]byte
	if interaction != "" {
		about = sha256.Sum256([]byte(interaction))
	}
	if _, err := b.store.SignIn(b.t.Context(), s, [32]byte{}, about); err != nil {
		b.t.Fatal(err)
	}
	b.cookies[sessionCookie] = cookie
}

// send sends one request of the browser and keeps the cookies.
func (b *browser) send(r *http.Request) answer {
	b.t.Helper()
	r.RemoteAddr = b.address
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	a := b.do(r)
	for _, c := range a.Result().Cookies() {
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
		https := strings.HasPrefix(b.origin, "https:")
		if strings.HasPrefix(c.Name, "__Host-gatehouse-") != https || c.Secure != https || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			b.t.Errorf("cookie %v", c)
		}
	}
	return a
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.send(httptest.NewRequest(http.MethodGet, b.origin+path, nil))
}

// submit posts a form of one of the server's pages; fill does so as well.
func (b *browser) submit(path string, pairs ...string) answer {
	b.t.Helper()
	return b.fill(path, values(pairs...))
}

func (b *browser) fill(path string, v url.Values) answer {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, b.origin+path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

// authorize opens an authorization request and follows the server's redirects,
// signing in as user when asked to (or stopping there without one), up to a
// page or to the client.
func (b *browser) authorize(ask request, user string) answer {
	b.t.Helper()
	return b.follow(b.get("/oauth/authorize?"+ask.Encode()), user)
}

func (b *browser) follow(a answer, user string) answer {
	b.t.Helper()
	for range 10 {
		to := a.Header().Get("Location")
		if a.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/") {
			return a
		}
		if u, _ := url.Parse(to); u.Path == "/login" {
			if user == "" {
				return a
			}
			b.signIn(user, u.Query().Get("interaction"))
			to = "/consent?" + u.RawQuery
		}
		a = b.get(to)
	}
	b.t.Fatal("redirected in a circle")
	return a
}

var (
	inputTag  = regexp.MustCompile(`<(?:input|button)\b[^>]*>`)
	attribute = regexp.MustCompile(`([a-z]+)(?:="([^"]*)")?`)
)

// fields are what a browser sends of the form of a page, without a button.
func (a answer) fields() url.Values {
	v := url.Values{}
	for _, tag := range inputTag.FindAllString(a.Body.String(), -1) {
		attrs := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(strings.TrimPrefix(tag, "<"), -1) {
			attrs[m[1]] = html.UnescapeString(m[2])
		}
		_, checked := attrs["checked"]
		if attrs["name"] != "" && attrs["name"] != "decision" && (attrs["type"] != "checkbox" || checked) {
			v.Add(attrs["name"], attrs["value"])
		}
	}
	return v
}

// decide answers a consent page, with the boxes as they are except for pairs of
// scope and "on" or "off".
func (b *browser) decide(page answer, decision string, pairs ...string) answer {
	b.t.Helper()
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), `value="allow"`) {
		b.t.Fatalf("not a consent page: %d %v %s", page.Code, page.Header(), page.Body)
	}
	fields := page.fields()
	fields.Set("decision", decision)
	ticked := fields["scope"]
	for i := 0; i < len(pairs); i += 2 {
		ticked = slices.DeleteFunc(ticked, func(s string) bool { return s == pairs[i] })
		if pairs[i+1] == "on" {
			ticked = append(ticked, pairs[i])
		}
	}
	if fields["scope"] = ticked; len(ticked) == 0 {
		fields.Del("scope")
	}
	return b.fill("/consent", fields)
}

// arrived returns the parameters with which the browser came to the client.
func (a answer) arrived(t testing.TB, redirectURI string) url.Values {
	t.Helper()
	to := a.Header().Get("Location")
	query, ours := strings.CutPrefix(to, redirectURI+"?")
	v, err := url.ParseQuery(query)
	if a.Code != http.StatusSeeOther || !ours || err != nil {
		t.Fatalf("not a redirect to %s: %d %q %s", redirectURI, a.Code, to, a.Body)
	}
	return v
}

// code has user allow a request and returns the code.
func (b *browser) code(ask request, user string) string {
	b.t.Helper()
	a := b.authorize(ask, user)
	if a.Code == http.StatusOK {
		a = b.decide(a, "allow")
	}
	got := a.arrived(b.t, ask.Get("redirect_uri"))
	if names := slices.Sorted(maps.Keys(got)); got.Get("code") == "" || !slices.Equal(names, []string{"code", "iss", "state"}) {
		b.t.Fatalf("answer %v", got)
	}
	return got.Get("code")
}

// redeem presents a code; pairs replace parameters as in ask.
func (w *world) exchange(ask request, code string, pairs ...string) answer {
	w.t.Helper()
	v := values("grant_type", "authorization_code", "code", code, "client_id", ask.Get("client_id"), "redirect_uri", ask.Get("redirect_uri"), "code_verifier", ask.verifier)
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return w.do(form("/oauth/token", v))
}

// connect has user allow a request and returns the client's tokens.
func (b *browser) connect(ask request, user string) answer {
	b.t.Helper()
	a := b.exchange(ask, b.code(ask, user))
	if a.Code != http.StatusOK {
		b.t.Fatalf("redeem: %d %s", a.Code, a.Body)
	}
	return a
}

// refresh presents a refresh token of a public client.
func (w *world) refresh(clientID, token string, pairs ...string) answer {
	w.t.Helper()
	return w.do(form("/oauth/token", values(append([]string{"grant_type", "refresh_token", "client_id", clientID, "refresh_token", token}, pairs...)...)))
}

// formGet is a plain GET below the issuer's host.
func formGet(path string) *http.Request {
	return httptest.NewRequest(http.MethodGet, issuer+path, nil)
}

// disable disables a person, as an operator does.
func (w *world) disable(user string) {
	w.t.Helper()
	u, err := w.store.User(w.t.Context(), user)
	if err != nil {
		w.t.Fatal(err)
	}
	u.Disabled = true
	if _, err := w.store.UpdateUser(w.t.Context(), u, nil, time.Now()); err != nil {
		w.t.Fatal(err)
	}
}
