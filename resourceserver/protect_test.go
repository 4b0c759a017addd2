package resourceserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

func TestRS04_ScopeInTheFirstChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.ChallengeScopes = []string{"mcp:read", "mcp:tools"} })
	for body, want := range map[string]string{ping: "mcp:read mcp:tools", readAll: "mcp:read", callTool: "mcp:read mcp:tools", admin: "mcp:admin", "{": "mcp:read mcp:tools"} {
		a := w.expect(t, "", body, http.StatusUnauthorized, "")
		c := a.challenge(t)
		if c["scope"] != want {
			t.Errorf("%s: scope %q, want %q", body, c["scope"], want)
		}
		if strings.Contains(a.Header.Get("WWW-Authenticate"), "offline_access") { // RS-05
			t.Error("offline_access in a challenge")
		}
	}
}

func TestRS05_OfflineAccessIsRefusedInConfig(t *testing.T) {
	t.Parallel()
	_, err := New(t.Context(), Config{Resource: "https://h/mcp", Issuer: "https://as", ScopesSupported: []string{"offline_access"}})
	if err == nil {
		t.Error("accepted")
	}
}

func TestRS10_NoErrorWithoutToken_InvalidTokenWithOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	missing := w.expect(t, "", listTools, http.StatusUnauthorized, "")
	if _, has := missing.challenge(t)["error"]; has {
		t.Error("error although no token was presented")
	}
	basic := w.do(t, http.MethodPost, "", listTools, func(r *http.Request) { r.SetBasicAuth("a", "b") })
	if basic.StatusCode != http.StatusUnauthorized || basic.challenge(t)["error"] != "" {
		t.Errorf("another scheme: %d %v", basic.StatusCode, basic.challenge(t))
	}
	w.expect(t, "nonsense", listTools, http.StatusUnauthorized, "invalid_token")
	w.expect(t, w.Token(rstest.Claims{"exp": 1000}), listTools, http.StatusUnauthorized, "invalid_token")
	if n := w.calls.Load(); n != 0 {
		t.Errorf("the handler saw %d refused requests", n)
	}
}

func TestRS11_MalformedCredentialsAre400(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	good := w.Token()
	for _, values := range [][]string{
		{"Bearer " + good, "Bearer " + good}, {"Bearer"}, {"Bearer  "}, {"Bearer a b"}, {"Bearer a, Bearer b"}, {""}, {"{}"},
		{"Bearer " + strings.Repeat("a", maxCredentials)}, {"Bearer ü"}, {"Bearer =a"}, {"Bearer\ta"},
	} {
		a := w.do(t, http.MethodPost, "", listTools, func(r *http.Request) { r.Header["Authorization"] = values })
		if a.StatusCode != http.StatusBadRequest || a.challenge(t)["error"] != "invalid_request" {
			t.Errorf("%.40q: %d %v", values, a.StatusCode, a.Header["Www-Authenticate"])
		}
	}
	for _, scheme := range []string{"bearer", "BEARER", "Bearer ", "bEaReR"} {
		a := w.do(t, http.MethodPost, "", listTools, func(r *http.Request) { r.Header.Set("Authorization", scheme+" "+good) })
		if a.StatusCode != http.StatusOK {
			t.Errorf("scheme %q: %d", scheme, a.StatusCode)
		}
	}
}

func TestRS12_InsufficientScopeNamesAllScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) {
		p, err := policy.New(policy.Config{ToolScopes: []policy.Rule{{Match: "write_note", Scopes: scopes.Of("mcp:tools", "mcp:write")}}})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Policy = p
	}).ready(t)
	a := w.expect(t, w.Token(rstest.Claims{"scope": "mcp:read mcp:tools"}), callTool, http.StatusForbidden, "insufficient_scope")
	c := a.challenge(t)
	if c["scope"] != "mcp:read mcp:tools mcp:write" || c["resource_metadata"] != strings.Replace(w.resource, "/mcp", "/.well-known/oauth-protected-resource/mcp", 1) {
		t.Errorf("challenge %v", c)
	}
	var body struct {
		ID    any
		Error struct {
			Code    int
			Message string
			Data    struct{ Error, Scope string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatal(err)
	}
	if body.ID != "a" || body.Error.Code >= 0 || !strings.HasPrefix(body.Error.Message, "insufficient_scope: ") ||
		body.Error.Data.Error != "insufficient_scope" || body.Error.Data.Scope != c["scope"] {
		t.Errorf("body %s", a.body)
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.Header)
	}
}

func TestRS12_BatchNeedsTheUnion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	token := w.Token(rstest.Claims{"scope": "mcp:read"})
	w.expect(t, token, "["+ping+","+readAll+"]", http.StatusOK, "")
	a := w.expect(t, token, "["+readAll+","+callTool+"]", http.StatusForbidden, "insufficient_scope")
	if got := a.challenge(t)["scope"]; got != "mcp:read mcp:tools" {
		t.Errorf("scope %q", got)
	}
	if !strings.Contains(a.body, `"id":null`) {
		t.Errorf("a batch has no one id: %s", a.body)
	}
}

func TestRS13_BroadScopeImpliesNarrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	for _, c := range []struct {
		scope, body string
		status      int
	}{
		{"mcp:admin", callTool, 200}, {"mcp:admin", readAll, 200}, {"mcp:admin", admin, 200},
		{"mcp:read", readAll, 200}, {"mcp:read", callTool, 403}, {"mcp:tools", callTool, 403}, {"mcp:read mcp:tools", callTool, 200},
		{"mcp:read mcp:write mcp:tools", admin, 403}, {"", ping, 403}, {"MCP:ADMIN", ping, 403},
	} {
		if a := w.post(t, w.Token(rstest.Claims{"scope": c.scope}), c.body); a.StatusCode != c.status {
			t.Errorf("%q on %s: %d, want %d", c.scope, c.body, a.StatusCode, c.status)
		}
	}
	a := w.post(t, w.Token(rstest.Claims{"scope": "mcp:read"}), admin)
	if got := a.challenge(t)["scope"]; got != "mcp:admin" {
		t.Errorf("scope %q repeats what mcp:admin implies", got)
	}
}

func TestRequiredScopes_EmptyMeansNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.RequiredScopes = []string{} }).ready(t)
	token := w.Token(rstest.Claims{"scope": nil})
	w.expect(t, token, ping, http.StatusOK, "")
	w.expect(t, token, readAll, http.StatusForbidden, "insufficient_scope")
}

func TestRS14_RS16_EveryRequestNeedsAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	for _, verb := range []string{"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"} {
		a := w.do(t, verb, "", "", func(r *http.Request) {
			r.Header.Set("Mcp-Session-Id", "stolen")
			r.Header.Set("Mcp-Method", "ping")
		})
		if a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", verb, a.StatusCode)
		}
		if a = w.do(t, verb, w.Token(), "", nil); a.StatusCode != http.StatusOK {
			t.Errorf("%s with token: %d", verb, a.StatusCode)
		}
	}
	if n := w.calls.Load(); n != 7 {
		t.Errorf("the handler saw %d requests, want 7", n)
	}
}

func TestRS15_TokenInQueryOrBodyIsIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	a := w.do(t, http.MethodPost, "", "access_token="+w.Token(), func(r *http.Request) {
		r.URL.RawQuery = url.Values{"access_token": {w.Token()}}.Encode()
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
	if a.StatusCode != http.StatusUnauthorized || a.challenge(t)["error"] != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

func TestRS09_TheHandlerNeverSeesTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	seen := make(chan string, 1)
	w.handler = func(_ http.ResponseWriter, r *http.Request) {
		info := auth.TokenInfoFromContext(r.Context())
		token, ok := TokenFromContext(r.Context())
		carried, carriedOK := TokenFromInfo(info)
		body, _ := io.ReadAll(r.Body)
		if !ok || !carriedOK || token != carried || token.Subject != "alice" || token.ClientID != "client" || token.GrantID != "grant" || token.ID == "" {
			t.Errorf("token %+v, carried %+v", token, carried)
		}
		if info.UserID != w.URL+"|alice|client" {
			t.Errorf("UserID %q", info.UserID)
		}
		if string(body) != listTools || r.ContentLength != int64(len(listTools)) {
			t.Errorf("body %q of length %d", body, r.ContentLength)
		}
		dump, err := json.Marshal(r.Header)
		if err != nil {
			t.Error(err)
		}
		seen <- string(dump)
	}
	token := w.Token()
	a := w.expect(t, token, listTools, http.StatusOK, "")
	headers := <-seen
	if strings.Contains(headers, token) || strings.Contains(headers, "Authorization") {
		t.Errorf("the handler sees %s", headers)
	}
	if !strings.Contains(headers, a.Header.Get("X-Request-Id")) {
		t.Error("the handler does not see the request id")
	}
	if strings.Contains(w.log.String(), token) || strings.Contains(w.log.String(), token[strings.LastIndex(token, "."):]) {
		t.Error("a token is in the log")
	}
}

func TestRS17_PrincipalIsUnambiguous(t *testing.T) {
	t.Parallel()
	seen := map[string]AccessToken{}
	for _, token := range []AccessToken{
		{Issuer: "i", Subject: "a|b", ClientID: "c"}, {Issuer: "i", Subject: "a", ClientID: "b|c"}, {Issuer: "i|a", Subject: "b", ClientID: "c"},
		{Issuer: "i", Subject: "a%7Cb", ClientID: "c"}, {Issuer: "i", Subject: "a", ClientID: "b%7Cc"},
	} {
		p := token.principal()
		if other, taken := seen[p]; taken {
			t.Errorf("%+v and %+v are both %q", token, other, p)
		}
		seen[p] = token
	}
}
