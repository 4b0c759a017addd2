package authserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// publisher is the web server of somebody whose client has a metadata document.
type publisher struct {
	*httptest.Server
	mu     sync.Mutex // guards files
	files  map[string]string
	header http.Header
	hits   sync.Map // path → *atomic.Int64
	down   atomic.Bool
	gate   chan struct{} // when not nil, answers wait for it
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{files: map[string]string{}, header: http.Header{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.counter(r.URL.Path).Add(1)
		if p.gate != nil {
			<-p.gate
		}
		p.mu.Lock()
		file, found := p.files[r.URL.Path]
		maps.Copy(w.Header(), p.header)
		p.mu.Unlock()
		if p.down.Load() || !found {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, file)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) counter(path string) *atomic.Int64 {
	n, _ := p.hits.LoadOrStore(path, &atomic.Int64{})
	return n.(*atomic.Int64)
}

func (p *publisher) fetched(path string) int64 { return p.counter(path).Load() }

func (p *publisher) put(path, file string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files[path] = file
}

// publish puts a document at path and returns its client_id.
func (p *publisher) publish(path string, pairs ...any) string {
	members := map[string]any{
		"client_id": p.URL + path, "client_name": "Published app", "redirect_uris": []string{appURL},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "none",
	}
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	p.put(path, string(text))
	return p.URL + path
}

// documents turns them on, from loopback too.
func documents(c *authserver.Config) {
	c.Registration.Documents = authserver.ClientDocuments{Enabled: true, AllowLoopback: true}
}

// stale makes the last copy one that was fetched some time ago, everywhere.
func (w *world) stale(id string, ago time.Duration) {
	w.t.Helper()
	w.changeClient(id, func(c *storage.Client) {
		c.FetchedAt, c.FreshUntil = time.Now().Add(-ago), time.Now().Add(-time.Second)
	})
	if c, err := w.store.Client(w.t.Context(), id); err != nil || !c.FreshUntil.Before(time.Now()) {
		w.t.Fatal(c, err)
	}
}

// known asks for the authorization page of a client without being signed in.
func (w *world) known(id string) bool {
	w.t.Helper()
	a := w.browser().get("/oauth/authorize?" + ask(id).Encode())
	if a.Code != http.StatusSeeOther && a.Code != http.StatusBadRequest {
		w.t.Fatalf("%s: %d %s", id, a.Code, a.Body)
	}
	return a.Code == http.StatusSeeOther
}

// AS-17: a URL is a client_id, as good as any other, without registration.
func TestDocument_AS17_CodeFlow(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	id := p.publish("/client.json")
	b := w.as("ann")
	tokens := b.connect(ask(id), "")
	if tokens.str("refresh_token") == "" || !strings.Contains(tokens.str("scope"), "mcp:read") || strings.Contains(tokens.str("scope"), "email") {
		t.Errorf("tokens: %s", tokens.Body)
	}
	if again := w.refresh(id, tokens.str("refresh_token")); again.Code != http.StatusOK {
		t.Errorf("refresh: %d %s", again.Code, again.Body)
	}
	if n := p.fetched("/client.json"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	if a := b.authorize(ask(id, "redirect_uri", "https://evil.example/cb"), ""); a.Code != http.StatusBadRequest || a.Header().Get("Location") != "" {
		t.Errorf("a redirect URI that is not in the document: %d %v", a.Code, a.Header())
	}
}

// AS-18, AS-19: a document with a defect is no client: a page, no redirect, and
// why is in the log for the operator alone.
func TestDocument_AS18_Defective(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	p.publish("/stolen.json", "client_id", p.URL+"/other.json")
	p.publish("/secret.json", "client_secret", "x")
	for _, id := range []string{
		p.URL + "/stolen.json", p.URL + "/secret.json", p.URL + "/absent.json", p.URL, p.URL + "/a/../b", "https://127.0.0.1/c",
		"https://10.0.0.1/c", "https://u@app.example/c", "http://app.example/c",
	} {
		if w.known(id) {
			t.Errorf("%s is a client", id)
		}
		a := w.do(form("/oauth/token", values("grant_type", "authorization_code", "code", "x", "client_id", id)))
		if a.Code != http.StatusUnauthorized || a.str("error") != "invalid_client" {
			t.Errorf("%s: %d %s", id, a.Code, a.Body)
		}
	}
	if logs := w.logs.String(); !strings.Contains(logs, "client_id is not the URL that it was fetched from") {
		t.Errorf("the operator does not learn why: %s", logs)
	}
}

// AS-17, Q8: what is not offered is not done, and what is done is offered.
func TestQuirk_Q08_Advertised(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	id := p.publish("/client.json")
	for _, on := range []bool{true, false} {
		w := newWorld(t, documents, func(c *authserver.Config) { c.Registration.Documents.Enabled = on })
		metadata := w.do(formGet("/.well-known/oauth-authorization-server"))
		methods := fmt.Sprint(metadata.json["token_endpoint_auth_methods_supported"])
		if offered, _ := metadata.json["client_id_metadata_document_supported"].(bool); offered != on || !strings.Contains(methods, "none") || !strings.Contains(methods, "private_key_jwt") {
			t.Errorf("on %v: %s", on, metadata.Body)
		}
		if w.known(id) != on {
			t.Errorf("on %v: known %v", on, !on)
		}
	}
}

// AS-21: this machine is fetched from only where that is allowed.
func TestDocument_AS21_Loopback(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	id := p.publish("/client.json")
	w := newWorld(t, documents, func(c *authserver.Config) { c.Registration.Documents.AllowLoopback = false })
	if w.known(id) || w.known(strings.Replace(id, "http://", "https://", 1)) || p.fetched("/client.json") != 0 {
		t.Error("loopback was reached")
	}
}

// Many who come at once cause one fetch; what failed is not asked for again at
// once.
func TestDocument_AS20_SingleFlightAndBackOff(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	p.gate = make(chan struct{})
	id := p.publish("/client.json")
	var callers sync.WaitGroup
	var refused atomic.Int64
	for range 20 {
		callers.Go(func() {
			if !w.known(id) {
				refused.Add(1)
			}
		})
	}
	eventually(t, "the first fetch", func() bool { return p.fetched("/client.json") > 0 })
	close(p.gate)
	callers.Wait()
	if n := p.fetched("/client.json"); n != 1 || refused.Load() != 0 {
		t.Errorf("20 callers: %d fetches, %d refused", n, refused.Load())
	}
	for range 20 {
		w.known(p.URL + "/absent.json")
	}
	if n := p.fetched("/absent.json"); n != 1 {
		t.Errorf("20 callers of what is not there: %d fetches", n)
	}
}

// AS-20: when the host is down the last good copy serves, for days but not for
// ever; a fresh copy needs no host, also at another replica.
func TestDocument_AS20_StaleIfError(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	store := migratedStore(t)
	same := func(c *authserver.Config) { c.Store = store }
	w := newWorld(t, documents, same)
	id := p.publish("/client.json")
	request, b := ask(id), w.as("ann")
	code := b.code(request, "")
	p.down.Store(true)
	if replica := newWorld(t, documents, same); !replica.known(id) || p.fetched("/client.json") != 1 {
		t.Error("a fresh copy was fetched again")
	}
	w.stale(id, 6*24*time.Hour)
	replica := newWorld(t, documents, same)
	tokens := replica.exchange(request, code)
	if tokens.Code != http.StatusOK || p.fetched("/client.json") != 2 {
		t.Fatalf("code exchange while the host is down: %d %s, %d fetches", tokens.Code, tokens.Body, p.fetched("/client.json"))
	}
	if a := newWorld(t, documents, same).refresh(id, tokens.str("refresh_token")); a.Code != http.StatusOK {
		t.Errorf("refresh while the host is down: %d %s", a.Code, a.Body)
	}
	w.stale(id, 8*24*time.Hour)
	if newWorld(t, documents, same).known(id) {
		t.Error("a copy of last week still serves")
	}
	p.down.Store(false)
	if !newWorld(t, documents, same).known(id) {
		t.Error("the host is back, the client is not")
	}
}

// AS-20: what changes is seen after the time that the host gave, by everybody,
// and consent that was given to something else is asked for again.
func TestDocument_AS20_ChangeAsksAgain(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	id := p.publish("/client.json")
	b := w.as("ann")
	b.connect(ask(id), "")
	if a := b.authorize(ask(id), ""); a.Code != http.StatusSeeOther {
		t.Fatalf("consent that was given is asked for again: %d", a.Code)
	}
	renamed := func() {
		t.Helper()
		w.stale(id, time.Hour)
		before := p.fetched("/client.json")
		eventually(t, "the document is fetched again", func() bool { return w.known(id) && p.fetched("/client.json") > before })
	}
	p.publish("/client.json", "client_name", "Renamed")
	renamed()
	if a := b.authorize(ask(id), ""); a.Code != http.StatusSeeOther {
		t.Errorf("a new name asks again: %d", a.Code)
	}
	p.publish("/client.json", "redirect_uris", []string{appURL, "https://new.example/cb"})
	renamed()
	if a := b.authorize(ask(id), ""); a.Code != http.StatusOK || !strings.Contains(a.Body.String(), `value="allow"`) {
		t.Errorf("new redirect URIs do not ask again: %d %s", a.Code, a.Body)
	}
}

// A client that an operator has disabled stays so, whatever its host says; one
// that nobody ever allowed does not stay.
func TestDocument_OperatorHasTheLastWord(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t, documents), newPublisher(t)
	id := p.publish("/client.json")
	if !w.known(id) {
		t.Fatal("no client")
	}
	if c, err := w.store.Client(t.Context(), id); err != nil || c.ExpiresAt.IsZero() || c.Registration != storage.RegisteredByDocument {
		t.Errorf("%+v, %v", c, err)
	}
	w.changeClient(id, func(c *storage.Client) { c.Disabled = true })
	w.stale(id, time.Hour)
	eventually(t, "it is disabled", func() bool { return !w.known(id) })
	b := w.as("ann")
	used := p.publish("/used.json")
	b.connect(ask(used), "")
	if c, err := w.store.Client(t.Context(), used); err != nil || !c.ExpiresAt.IsZero() {
		t.Errorf("one that is used: %+v, %v", c, err)
	}
	if _, err := w.store.Client(t.Context(), p.URL+"/absent.json"); !errors.Is(err, storage.ErrNotFound) {
		t.Error(err)
	}
}
