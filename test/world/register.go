package world

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Client registers a confidential client with all MCP scopes for the resource
// and returns its secret.
func (w *World) Client(id string, change ...func(*storage.Client)) (secret string) {
	w.t.Helper()
	secret = "ghs_" + rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(secret))
	now := time.Now()
	c := storage.Client{
		ID: id, Name: id, AuthMethod: "client_secret_basic", SecretHash: hash[:], GrantTypes: []string{"client_credentials"},
		Scopes: []string{"mcp:read", "mcp:write", "mcp:tools", "mcp:admin"}, Resources: []string{w.Resource}, CreatedAt: now, UpdatedAt: now,
	}
	for _, f := range change {
		f(&c)
	}
	if err := w.Store.CreateClient(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// Opaque makes a client's tokens opaque.
func Opaque(c *storage.Client) { c.TokenFormat = storage.FormatOpaque }

// PublicClient registers a client like that of gatehouse dev: without a secret,
// for people, returning to any port of this machine.
func (w *World) PublicClient(id string, change ...func(*storage.Client)) {
	w.t.Helper()
	w.Client(id, append([]func(*storage.Client){func(c *storage.Client) {
		c.AuthMethod, c.SecretHash = "none", nil
		c.GrantTypes = []string{"authorization_code", "refresh_token"}
		c.RedirectURIs = []string{"http://127.0.0.1/callback", "http://localhost/callback"}
	}}, change...)...)
}

// User creates a person who signs in by password, and returns the subject.
func (w *World) User(name, password string) (subject string) {
	w.t.Helper()
	hash, err := authserver.HashPassword(w.t.Context(), password)
	if err != nil {
		w.t.Fatal(err)
	}
	now := time.Now()
	user := storage.User{ID: authserver.NewUserID(), Username: name, Name: name, PasswordHash: hash, CreatedAt: now, UpdatedAt: now}
	if err := w.Store.CreateUser(w.t.Context(), user, storage.Identity{}); err != nil {
		w.t.Fatal(err)
	}
	return user.ID
}

// Document publishes a client ID metadata document with these members and
// returns its address, which is the client_id.
func (w *World) Document(name string, members map[string]any) (clientID string) {
	w.t.Helper()
	return w.documents.publish(w.t, name, members)
}

// documents is a web server whose certificate only the authorization server
// of the same world trusts.
type documents struct {
	origin      string
	authorities *x509.CertPool

	mu     sync.Mutex // guards bodies
	bodies map[string][]byte
}

func newDocuments(t testing.TB) *documents {
	t.Helper()
	d := &documents{bodies: map[string][]byte{}, authorities: x509.NewCertPool()}
	server := httptest.NewTLSServer(d)
	t.Cleanup(server.Close)
	d.origin = server.URL
	d.authorities.AddCert(server.Certificate())
	return d
}

func (d *documents) publish(t testing.TB, name string, members map[string]any) (address string) {
	t.Helper()
	address = d.origin + "/" + name
	members = maps.Clone(members)
	members["client_id"] = address
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies["/"+name] = body
	return address
}

// ServeHTTP answers with a document.
func (d *documents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	body, found := d.bodies[r.URL.Path]
	d.mu.Unlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // whoever has left needs none
}
