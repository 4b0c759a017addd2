package authserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const goodPassword = "correct horse battery"

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

// try types a password.
func (b *browser) try(username, password string) answer {
	b.t.Helper()
	return b.submit("/login", "username", username, "password", password)
}

// begin opens an authorization request and returns its interaction.
func (b *browser) begin(clientID string) string {
	b.t.Helper()
	a := b.get("/oauth/authorize?" + ask(clientID, "scope", "mcp:read").Encode())
	_, handle, found := strings.Cut(a.Header().Get("Location"), "?interaction=")
	if a.Code != http.StatusSeeOther || !found {
		b.t.Fatalf("authorize: %d %v", a.Code, a.Header())
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
