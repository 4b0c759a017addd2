package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// fleet is two authorization servers behind a proxy, whose address is the
// issuer, and two resource servers for one resource: four processes of the
// binary, as operators start them, on one Postgres. Each resource server is a
// client of its own, so that the proxy can keep one to each authorization server.
type fleet struct {
	t        *testing.T
	store    storage.Store
	issuer   string
	resource string
	servers  [2]*node
	gates    [2]*node
	clients  [2]*world.World // as which the test reaches each gate
	secret   string          // of every client
}

// node is a process that can be killed and started again.
type node struct {
	t       *testing.T
	binary  string
	role    string
	file    string
	address string
	running *exec.Cmd
	said    bytes.Buffer
}

// newFleet starts one; without notify nothing in the database wakes a listener.
func newFleet(t *testing.T, binary string, notify bool) *fleet {
	t.Helper()
	database := pgtest.Database(t)
	if !notify {
		unnotified(t, database)
	}
	store, err := postgres.Open(t.Context(), postgres.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &fleet{t: t, store: store, secret: "ghs_" + rand.Text() + rand.Text()}
	ports := freeAddresses(t, 4)
	f.issuer, f.resource = f.proxy(ports[:2]), "http://"+strings.Replace(ports[2], "127.0.0.1", "localhost", 1)+"/mcp"
	for i, address := range ports {
		n := &node{t: t, binary: binary, role: "authserver", address: address, file: filepath.Join(t.TempDir(), "gatehouse.yaml")}
		text := fmt.Sprintf("issuer: %s\nlisten: %s\ndatabase:\n  postgres: %q\nresources:\n  - identifier: %s\ntokens:\n  code_lifetime: 10m\n",
			f.issuer, address, database, f.resource)
		if i >= 2 {
			n.role = "resourceserver"
			id := fmt.Sprintf("gate-%d", i-2)
			f.client(id, func(c *storage.Client) { c.Introspect = true })
			text += fmt.Sprintf("resource_server:\n  listen: %s\n  notes: %s\n  allowed_hosts: [%q]\n"+
				"  rate_limits:\n    per_address: -1\n    per_principal: -1\n  introspection:\n    client_id: %s\n    client_secret_env: SECRET\n",
				address, filepath.Join(t.TempDir(), "notes.json"), address, id)
			f.gates[i-2] = n
			f.clients[i-2] = &world.World{Resource: "http://" + address + "/mcp", HTTP: client()}
		} else {
			f.servers[i] = n
		}
		if err := os.WriteFile(n.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.client("admin", func(c *storage.Client) {
		c.Scopes, c.Resources = []string{authserver.AdminScope}, []string{authserver.AdminResource(f.issuer)}
	})
	f.app("jwt", storage.FormatJWT)
	f.app("opaque", storage.FormatOpaque)
	for _, n := range f.nodes() {
		n.start(f.secret)
	}
	for _, n := range f.nodes() {
		n.awaitReady()
	}
	return f
}

func (f *fleet) nodes() []*node { return append(f.servers[:], f.gates[:]...) }

func client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 30 * time.Second}
}

// unnotified takes the trigger that wakes listeners out of a database, as a
// pooler in between or a lost connection would: what is left is polling.
func unnotified(t *testing.T, database string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), "DROP TRIGGER event_notify ON event")
	if closed := conn.Close(t.Context()); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
}

// freeAddresses returns addresses on which nothing listened a moment ago, below
// the ports that systems give to those who do not care.
func freeAddresses(t *testing.T, count int) []string {
	t.Helper()
	var addresses []string
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+mathrand.IntN(10000))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue // somebody has it
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
		if len(addresses) == count {
			return addresses
		}
	}
	t.Fatal("there are no free ports")
	return nil
}

// proxy listens for the authorization servers at these addresses.
func (f *fleet) proxy(servers []string) (origin string) {
	f.t.Helper()
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", servers[0]
			if id, _, _ := r.In.BasicAuth(); id == "gate-1" {
				r.Out.URL.Host = servers[1]
			}
		},
		Transport:    failover{servers, &http.Transport{MaxIdleConnsPerHost: 256}},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	f.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

// failover asks the other server when the one that was chosen does not answer.
type failover struct {
	servers   []string
	transport http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (f failover) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	var failed error
	for _, host := range append([]string{r.URL.Host}, f.servers...) {
		attempt := r.Clone(r.Context())
		attempt.URL.Host, attempt.Body = host, io.NopCloser(bytes.NewReader(body))
		response, err := f.transport.RoundTrip(attempt)
		if err == nil {
			return response, nil
		}
		failed = err
	}
	return nil, failed
}

// start runs the process; it need not be ready when start returns.
func (n *node) start(secret string) {
	n.t.Helper()
	n.running = exec.Command(n.binary, "serve", "--role", n.role, "--log-level", "error", "--config", n.file)
	n.running.Env = []string{"GATEHOUSE_SEAL_KEY=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)), "SECRET=" + secret}
	n.running.Stderr = &n.said
	n.running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.running.Start(); err != nil {
		n.t.Fatal(err)
	}
	started := n.running
	n.t.Cleanup(func() {
		if n.running == started {
			n.kill()
		}
		if n.t.Failed() && n.said.Len() > 0 {
			n.t.Logf("%s at %s says:\n%s", n.role, n.address, &n.said)
			n.said.Reset()
		}
	})
}

// kill ends the process as a power cut would.
func (n *node) kill() {
	_ = n.running.Process.Kill()
	_ = n.running.Wait() // it was killed
	n.running = nil
}

func (n *node) awaitReady() {
	n.t.Helper()
	eventually(n.t, n.role+" is ready", func() bool {
		r, err := http.NewRequestWithContext(context.WithoutCancel(n.t.Context()), http.MethodGet, "http://"+n.address+"/ready", nil)
		if err != nil {
			return false
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline, tick := time.Now().Add(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// client registers a client for client credentials at the resource.
func (f *fleet) client(id string, change func(*storage.Client)) {
	f.t.Helper()
	if err := f.register(f.t.Context(), id, change); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) register(ctx context.Context, id string, change func(*storage.Client)) error {
	hash, now := sha256.Sum256([]byte(f.secret)), time.Now()
	c := storage.Client{
		ID: id, Name: id, AuthMethod: "client_secret_basic", SecretHash: hash[:], GrantTypes: []string{"client_credentials"},
		Scopes: []string{"mcp:read", "mcp:tools"}, Resources: []string{f.resource}, CreatedAt: now, UpdatedAt: now,
	}
	change(&c)
	return f.store.CreateClient(ctx, c)
}

// app registers two clients that get tokens of a format: one for itself, and a
// public one for people.
func (f *fleet) app(id string, format storage.TokenFormat) {
	f.t.Helper()
	f.client(id, func(c *storage.Client) { c.TokenFormat = format })
	f.client("people-"+id, func(c *storage.Client) {
		c.TokenFormat, c.AuthMethod, c.SecretHash = format, "none", nil
		c.GrantTypes, c.RedirectURIs = []string{"authorization_code", "refresh_token"}, []string{remembered}
	})
}

// post sends a form to one of the authorization servers, as a confidential
// client unless its id says otherwise, and decodes the answer.
func (f *fleet) post(ctx context.Context, at int, path, id string, form url.Values, into any) error {
	secret := f.secret
	if form.Has("code") {
		secret = ""
	}
	status, body, err := f.clients[at].PostTo(ctx, "http://"+f.servers[at].address+path, id, secret, form)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("%s: %d %.300s %w", path, status, body, err)
	}
	return json.Unmarshal(body, into)
}

// token gets a token by client credentials.
func (f *fleet) token(ctx context.Context, at int, id string) (string, error) {
	var got tokens
	err := f.post(ctx, at, "/oauth/token", id, url.Values{"grant_type": {"client_credentials"}}, &got)
	return got.Access, err
}
