package rstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The credentials that an [Issuer] accepts. They need form-encoding before
// they go into a Basic header.
const (
	ClientID     = "resource+server %1"
	ClientSecret = "ghs_a+b/c:d%e"
)

// Paths of an issuer's endpoints, as [Issuer.Requests] counts them.
const (
	MetadataPath   = "/.well-known/oauth-authorization-server"
	JWKSPath       = "/.well-known/jwks.json"
	IntrospectPath = "/oauth/introspect"
	EventsPath     = "/oauth/events"
)

// Issuer is a running authorization server.
type Issuer struct {
	URL      string // the issuer identifier
	Resource string // the audience of the tokens it mints

	tb     testing.TB
	server *httptest.Server

	mu       sync.Mutex
	keys     []jose.JSONWebKey // private; the last one signs
	extra    []json.RawMessage // published beside them
	opaque   map[string]Claims
	events   []event
	changed  chan struct{} // closed when events were added
	down     map[string]bool
	held     map[string]chan struct{}
	requests map[string]int
	patch    map[string]any // over the metadata
	polls    []Poll
	hold     time.Duration
}

// NewIssuer starts an issuer that mints tokens for resource; it stops with the
// test.
func NewIssuer(tb testing.TB, resource string) *Issuer {
	tb.Helper()
	i := &Issuer{
		Resource: resource, tb: tb, opaque: map[string]Claims{}, changed: make(chan struct{}),
		down: map[string]bool{}, held: map[string]chan struct{}{}, requests: map[string]int{}, patch: map[string]any{}, hold: 200 * time.Millisecond,
	}
	i.RotateKey()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+MetadataPath, i.metadata)
	mux.HandleFunc("GET "+JWKSPath, i.jwks)
	mux.HandleFunc("POST "+IntrospectPath, i.introspect)
	mux.HandleFunc("POST "+EventsPath, i.poll)
	i.server = httptest.NewServer(i.count(mux))
	i.URL = i.server.URL
	tb.Cleanup(func() {
		i.server.CloseClientConnections() // held polls
		i.server.Close()
	})
	return i
}

// Fail makes the endpoint at path answer 500 until it is told otherwise.
func (i *Issuer) Fail(path string, fail bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down[path] = fail
}

// Hold makes requests for path wait until release is called.
func (i *Issuer) Hold(path string) (release func()) {
	gate := make(chan struct{})
	i.mu.Lock()
	defer i.mu.Unlock()
	i.held[path] = gate
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.held, path)
		close(gate)
	}
}

// Requests returns how often path was asked for.
func (i *Issuer) Requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[path]
}

// SetMetadata replaces a member of the metadata.
func (i *Issuer) SetMetadata(name string, value any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.patch[name] = value
}

// Publish adds a key to the key set as it is.
func (i *Issuer) Publish(jwk string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.extra = append(i.extra, json.RawMessage(jwk))
}

// RotateKey withdraws the signing key, if there is one, and makes another.
func (i *Issuer) RotateKey() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.tb.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = []jose.JSONWebKey{{Key: key, KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig"}}
}

// WithdrawKeys publishes an empty key set until restore is called.
func (i *Issuer) WithdrawKeys() (restore func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	kept := i.keys
	i.keys = nil
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.keys = kept
	}
}

// KeyID returns the kid of the signing key.
func (i *Issuer) KeyID() string { return i.key().KeyID }

func (i *Issuer) key() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// count counts requests and lets endpoints wait and fail.
func (i *Issuer) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.requests[r.URL.Path]++
		down, gate := i.down[r.URL.Path], i.held[r.URL.Path]
		i.mu.Unlock()
		if gate != nil {
			select {
			case <-gate:
			case <-r.Context().Done():
				return
			}
		}
		if down {
			http.Error(w, "down for the test", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (i *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	document := map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + JWKSPath,
		"introspection_endpoint": i.URL + IntrospectPath, "gatehouse_events_endpoint": i.URL + EventsPath,
	}
	i.mu.Lock()
	maps.Copy(document, i.patch)
	i.mu.Unlock()
	answer(w, document)
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	published := append([]json.RawMessage{}, i.extra...)
	for _, key := range i.keys {
		raw, err := key.Public().MarshalJSON()
		if err != nil {
			i.tb.Error(err)
		}
		published = append(published, raw)
	}
	i.mu.Unlock()
	answer(w, map[string]any{"keys": published})
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client may be gone
}
