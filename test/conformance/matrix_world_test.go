package conformance

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

const (
	matrixHost     = "mcp.example"
	matrixResource = "https://" + matrixHost + "/mcp"
	matrixMetadata = "https://" + matrixHost + "/.well-known/oauth-protected-resource/mcp"

	openSession = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"matrix","version":"1"}}}`
	callLegacy  = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_simple_text","arguments":{}}}`
	callModern  = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_simple_text","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
)

// matrix is the gate as a public resource whose name does not change from one
// run to the next, and the tokens.
type matrix struct {
	address string
	issuer  string
	log     *record
	client  *http.Client
	tokens  map[string][]string // values of Authorization
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	g := newGate(t, matrixResource)
	front := httptest.NewServer(g.handler)
	t.Cleanup(front.Close)
	now, jti := time.Now().Unix(), rand.Text()
	mint := func(claims rstest.Claims) []string { return []string{"Bearer " + g.issuer.Token(claims)} }
	good := mint(rstest.Claims{})
	w := &matrix{address: front.URL, issuer: g.issuer.URL, log: g.log, client: front.Client(), tokens: map[string][]string{
		"none":    nil,
		"bad":     {"Bearer " + g.issuer.Broken()["signature of another"]},
		"foreign": mint(rstest.Claims{"aud": "https://other.example/mcp"}),
		"expired": mint(rstest.Claims{"iat": now - 7200, "exp": now - 3600}),
		"early":   mint(rstest.Claims{"nbf": now + 3600}),
		"revoked": mint(rstest.Claims{"jti": jti}),
		"low":     mint(rstest.Claims{"scope": "mcp:read"}),
		"good":    good,
		"other":   mint(rstest.Claims{"sub": "bob"}),
		"twice":   {good[0], good[0]},
	}}
	w.client.Transport.(*http.Transport).DisableCompression = true
	last := request{"stateless", http.MethodPost, "good", "absent", "revoked"}
	if a := w.ask(t, last); a.status != http.StatusOK {
		t.Fatalf("a token is refused before it is revoked: %s", a)
	}
	g.issuer.RevokeToken(jti)
	until(t, "the revocation arrives", func() bool { return w.ask(t, last).status == http.StatusUnauthorized })
	return w
}

// ask sends one request and reads the answer.
func (w *matrix) ask(t *testing.T, r request) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := w.prepare(t, ctx, r)
	if r.place == "session" {
		id := w.open(t)
		out.Header.Set("Mcp-Session-Id", id)
		defer w.close(t, id)
	}
	resp, err := w.client.Do(out)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	defer resp.Body.Close()
	a := reply{status: resp.StatusCode, header: resp.Header}
	for _, name := range []string{"Date", "Content-Length"} {
		a.header.Del(name)
	}
	for _, name := range []string{"X-Request-Id", "Mcp-Session-Id"} {
		if a.header.Get(name) != "" {
			a.header.Set(name, "(random)")
		}
	}
	if out.Method == http.MethodGet && strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
		a.body = "(events as they come)"
		return a
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	a.body = regexp.MustCompile(`(?m)^id: .+$`).ReplaceAllString(string(body), "id: (random)")
	a.body = strings.ReplaceAll(a.body, w.issuer, "(issuer)")
	return a
}

// prepare makes the request but for its session.
func (w *matrix) prepare(t *testing.T, ctx context.Context, r request) *http.Request {
	t.Helper()
	path, message := "/mcp", callLegacy
	switch r.place {
	case "stateless":
		message = callModern
	case "exempt":
		path, message = exemptPath, ""
	case "metadata":
		path, message = "/.well-known/oauth-protected-resource/mcp", ""
	}
	verb := r.verb
	if verb == preflight {
		verb = http.MethodOptions
	}
	var body io.Reader
	switch verb {
	case http.MethodPost, http.MethodPut, http.MethodPatch, "SPY":
		body = strings.NewReader(message)
	}
	out, err := http.NewRequestWithContext(ctx, verb, w.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	h := out.Header
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	h["Authorization"] = w.tokens[r.token]
	if r.verb == preflight {
		h.Set("Access-Control-Request-Method", http.MethodPost)
		h.Set("Access-Control-Request-Headers", "authorization, content-type, mcp-param-region, x-evil")
	}
	if r.place == "stateless" {
		h.Set("MCP-Protocol-Version", "2026-07-28")
		h.Set("Mcp-Method", "tools/call")
		h.Set("Mcp-Name", "test_simple_text")
	}
	out.Host = map[string]string{"good": matrixHost, "evil": "evil.example"}[r.host]
	if origin := map[string]string{"good": goodOrigin, "evil": "https://evil.example", "null": "null"}[r.origin]; origin != "" {
		h.Set("Origin", origin)
	}
	return out
}

// open begins a session of the person whose tokens these are.
func (w *matrix) open(t *testing.T) string {
	t.Helper()
	resp := w.inSession(t, http.MethodPost, "", openSession)
	id := resp.Header.Get("Mcp-Session-Id")
	if resp.StatusCode != http.StatusOK || id == "" {
		t.Fatalf("no session: %s", resp.Status)
	}
	w.inSession(t, http.MethodPost, id, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return id
}

// close ends a session, if the request has not.
func (w *matrix) close(t *testing.T, id string) {
	t.Helper()
	w.inSession(t, http.MethodDelete, id, "")
}

func (w *matrix) inSession(t *testing.T, verb, id, body string) *http.Response {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), verb, w.address+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out.Host = matrixHost
	out.Header = http.Header{
		"Authorization": w.tokens["good"], "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
	}
	if id != "" {
		out.Header.Set("Mcp-Session-Id", id)
	}
	resp, err := w.client.Do(out)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}
