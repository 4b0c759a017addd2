package authserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	sessionCookie = "__Host-gatehouse-session"
	browserCookie = "__Host-gatehouse-browser"
	goodPassword  = "correct horse battery"
)

// goodHash is made once: hashing is slow on purpose.
var goodHash = sync.OnceValues(func() (string, error) {
	return authserver.HashPassword(context.Background(), goodPassword)
})

// owner creates a person with a password.
func (w *world) owner(id string, change ...func(*storage.User)) {
	w.t.Helper()
	hash, err := goodHash()
	if err != nil {
		w.t.Fatal(err)
	}
	w.user(id, append([]func(*storage.User){func(u *storage.User) { u.PasswordHash = hash }}, change...)...)
}

// visitor is somebody in front of the sign-in page: a browser with cookies at
// an address. It follows nothing by itself.
type visitor struct {
	*world
	origin  string
	address string
	cookies map[string]*http.Cookie
}

func (w *world) visitor(origin string) *visitor {
	return &visitor{w, origin, "203.0.113.7:4711", map[string]*http.Cookie{}}
}

func (v *visitor) send(r *http.Request) answer {
	v.t.Helper()
	r.RemoteAddr = v.address
	for _, c := range v.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	a := v.do(r)
	for _, c := range a.Result().Cookies() {
		if v.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		}
	}
	return a
}

func (v *visitor) get(path string) answer {
	v.t.Helper()
	return v.send(httptest.NewRequest(http.MethodGet, v.origin+path, nil))
}

func (v *visitor) submit(path string, pairs ...string) answer {
	v.t.Helper()
	r := httptest.NewRequest(http.MethodPost, v.origin+path, strings.NewReader(values(pairs...).Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", v.origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.send(r)
}

// try types a password.
func (v *visitor) try(username, password string) answer {
	v.t.Helper()
	return v.submit("/login", "username", username, "password", password)
}

// session is the value of the session cookie.
func (v *visitor) session() string {
	if c := v.cookies[sessionCookie]; c != nil {
		return c.Value
	}
	return ""
}

// begin opens an authorization request and returns its interaction.
func (v *visitor) begin(clientID string) string {
	v.t.Helper()
	a := v.get("/oauth/authorize?" + ask(clientID, "scope", "mcp:read").Encode())
	_, handle, found := strings.Cut(a.Header().Get("Location"), "?interaction=")
	if a.Code != http.StatusSeeOther || !found {
		v.t.Fatalf("authorize: %d %v", a.Code, a.Header())
	}
	return handle
}

// wantAt checks where an answer leads.
func wantAt(t *testing.T, a answer, location string) {
	t.Helper()
	if a.Code != http.StatusSeeOther || a.Header().Get("Location") != location {
		t.Errorf("%d to %q, want %q: %.400s", a.Code, a.Header().Get("Location"), location, a.Body)
	}
}

// wantPage checks the status of a page and what it says.
func wantPage(t *testing.T, a answer, status int, parts ...string) {
	t.Helper()
	body := a.Body.String()
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %q: %.3000s", part, body)
		}
	}
	if a.Code != status || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/html") {
		t.Errorf("status %d %s, want %d", a.Code, a.Header().Get("Content-Type"), status)
	}
}
