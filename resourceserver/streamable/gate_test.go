package streamable

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// gated serves s behind the gate, to tokens of an issuer: the client has one
// of alice that may do everything. The issuer has a feed.
func gated(t testing.TB, s *server, opts *Options, configure ...func(*resourceserver.Config)) (*client, *Endpoint, *rstest.Issuer) {
	t.Helper()
	front := httptest.NewUnstartedServer(nil)
	issuer := rstest.NewIssuer(t, "http://"+front.Listener.Addr().String()+"/mcp")
	p, catalog := rules(t)
	cfg := resourceserver.Config{
		Resource: issuer.Resource, Issuer: issuer.URL, Scopes: catalog, Policy: p, RequiredScopes: []string{},
		Introspection: &resourceserver.ClientCredentials{ClientID: rstest.ClientID, ClientSecret: rstest.ClientSecret},
	}
	for _, change := range configure {
		change(&cfg)
	}
	gate, err := resourceserver.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if opts == nil {
		opts = &Options{}
	}
	opts.HostChecked = true
	endpoint := Handler(s.Server, opts)
	front.Config.Handler = gate.Protect(endpoint)
	front.Start()
	t.Cleanup(func() {
		endpoint.CloseSessions(nil)
		front.CloseClientConnections()
		front.Close()
	})
	eventually(t, func() bool { return gate.Ready(t.Context()) == nil })
	return &client{t: t, url: issuer.Resource, token: issuer.Token(all)}, endpoint, issuer
}

// all are the claims of a token that may do everything here.
var all = rstest.Claims{"scope": "mcp:admin files:admin"}

// The client's own refusals come from the gate, in front of the endpoint.
func TestGate_StandsInFront(t *testing.T) {
	t.Parallel()
	c, _, issuer := gated(t, newServer(t), nil)
	for token, want := range map[string]int{c.token: http.StatusOK, "none": http.StatusUnauthorized, issuer.Token(rstest.Claims{"scope": "mcp:read"}): http.StatusForbidden} {
		if a := c.as(token).modern("tools/call", `"name":"write"`, "write"); a.status != want {
			t.Errorf("%d, want %d: %s", a.status, want, a.body)
		}
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
