package resourceserver

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// together configures everything at once; the handler tells who was let in.
func together(w *world, cfg *Config) {
	credentials(w, cfg)
	static(w, cfg)
	apiKey(w, cfg)
	cfg.AuthExemptPaths = []string{"/health"}
	cfg.Validate = func(_ context.Context, token string) (*AccessToken, error) {
		if token != "legacy-key-1" {
			return nil, errors.New("no such key")
		}
		return carol(), nil
	}
	w.handler = func(rw http.ResponseWriter, r *http.Request) {
		if token, ok := TokenFromContext(r.Context()); ok {
			rw.Header().Set("X-Subject", token.Issuer+"|"+token.Subject)
		}
	}
}

// TestSeed_S06_S07_S08_S09_S11_Together is one server with all of it: tokens of
// the issuer, static ones and those that a hook knows, in a header of its own,
// with a path that needs none.
func TestSeed_S06_S07_S08_S09_S11_Together(t *testing.T) {
	t.Parallel()
	w := newWorld(t, together).ready(t)
	revoked := w.Token(rstest.Claims{"jti": "revoked"})
	send := func(token, body string) answer {
		return w.do(t, http.MethodPost, "", body, func(r *http.Request) {
			if token != "" {
				r.Header.Set("X-Api-Key", token)
			}
		})
	}
	for _, c := range []struct {
		token, body string
		status      int
		subject     string
	}{
		{w.Token(), callTool, 200, w.URL + "|alice"}, {"Bearer " + w.Token(), callTool, 200, w.URL + "|alice"},
		{robot, callTool, 200, "static|robot"}, {monitor, readAll, 200, "static|monitor"}, {monitor, callTool, 403, ""},
		{"legacy-key-1", readAll, 200, "|carol"}, {"legacy-key-1", callTool, 403, ""}, {"legacy-key-2", readAll, 401, ""},
		{w.Opaque(), readAll, 401, ""}, // the hook stands in for introspection
		{w.Token(rstest.Claims{"aud": "https://other.example"}), readAll, 401, ""}, {"", readAll, 401, ""}, {revoked, ping, 200, w.URL + "|alice"},
	} {
		a := send(c.token, c.body)
		if a.StatusCode != c.status || a.Header.Get("X-Subject") != c.subject {
			t.Errorf("%.14q %s: %d %q", c.token, c.body, a.StatusCode, a.Header.Get("X-Subject"))
		}
	}
	if a := w.post(t, w.Token(), ping); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.challenge(t)["resource_metadata"], "/.well-known/") {
		t.Errorf("a token in Authorization: %d %v", a.StatusCode, a.Header)
	}
	health := w.do(t, http.MethodGet, "", "", func(r *http.Request) { r.URL.Path = "/health" })
	if health.StatusCode != http.StatusOK || health.Header.Get("X-Subject") != "" {
		t.Errorf("exempt: %d %v", health.StatusCode, health.Header)
	}
	if other := w.do(t, http.MethodGet, "", "", func(r *http.Request) { r.URL.Path = "/Health" }); other.StatusCode != http.StatusUnauthorized {
		t.Errorf("not exempt: %d", other.StatusCode)
	}
	w.RevokeToken("revoked")
	eventually(t, func() bool { return send(revoked, ping).StatusCode == http.StatusUnauthorized })
}

// TestRS06_ScopesSupportedIsMinimal: the metadata and the first challenge name
// what a client needs to begin with, not the catalog, and no scope stands for
// all others by its spelling.
func TestRS06_ScopesSupportedIsMinimal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	challenge := w.post(t, "", ping).challenge(t)
	prm, err := oauthex.GetProtectedResourceMetadata(t.Context(), challenge["resource_metadata"], w.resource, w.client)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(prm.ScopesSupported, " ") != "mcp:read" || challenge["scope"] != "mcp:read" {
		t.Errorf("scopes_supported %v, challenge %q", prm.ScopesSupported, challenge["scope"])
	}
	for _, wildcard := range []string{"*", "mcp:*", "all", "full", "mcp"} {
		w.expect(t, w.Token(rstest.Claims{"scope": "mcp:read " + wildcard}), callTool, http.StatusForbidden, "insufficient_scope")
	}
}

// TestRS22_ClientInfoDecidesNothing: a client that says it is somebody else is
// treated as its token says.
func TestRS22_ClientInfoDecidesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	low := w.Token(rstest.Claims{"scope": "mcp:read"})
	for _, info := range []string{`{"name":"admin","version":"1","scope":"mcp:admin","trusted":true}`, `{"name":"client","title":"root"}`, `null`, `"mcp:admin"`} {
		for _, body := range []string{
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","clientInfo":` + info + `}}`,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/clientInfo":` + info + `}}}`,
			`{"jsonrpc":"2.0","id":1,"method":"admin/restart","params":{"clientInfo":` + info + `}}`,
		} {
			for token, status := range map[string]int{low: http.StatusForbidden, "": http.StatusUnauthorized} {
				a := w.do(t, http.MethodPost, token, body, func(r *http.Request) { r.Header.Set("User-Agent", "admin") })
				if a.StatusCode != status {
					t.Errorf("%s: %d, want %d", body, a.StatusCode, status)
				}
			}
		}
	}
}

// TestRS22_NobodyReadsClientInfo looks at the sources: what is not read cannot
// decide.
func TestRS22_NobodyReadsClientInfo(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		seen++
		for _, name := range []string{"clientInfo", "ClientInfo", "User-Agent", "UserAgent"} {
			if strings.Contains(string(source), name) {
				t.Errorf("%s mentions %s", path, name)
			}
		}
		return err
	})
	if err != nil || seen < 20 {
		t.Errorf("%d sources, %v", seen, err)
	}
}
