package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func TestToken_RFC6749_4_4_ClientCredentialsJWT(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app")
	a := w.post("/oauth/token", "app", secret, "grant_type", "client_credentials")
	if a.Code != http.StatusOK || a.str("token_type") != "Bearer" || a.json["expires_in"] != 3600.0 || a.str("scope") != "mcp:read mcp:tools" {
		t.Fatalf("answer: %d %s", a.Code, a.Body)
	}
	if a.Header().Get("Cache-Control") != "no-store" || a.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers: %v", a.Header())
	}
	parts := strings.Split(a.str("access_token"), ".")
	header, claims := decodeSegment(t, parts[0]), decodeSegment(t, parts[1])
	if header["typ"] != "at+jwt" || header["alg"] != "ES256" || header["kid"] == nil {
		t.Errorf("RFC 9068 §2.1 header: %v", header)
	}
	for name, want := range map[string]any{"iss": issuer, "sub": "app", "client_id": "app", "aud": notesURL, "scope": "mcp:read mcp:tools"} {
		if claims[name] != want {
			t.Errorf("claim %s = %v, want %v", name, claims[name], want)
		}
	}
	if claims["exp"].(float64)-claims["iat"].(float64) != 3600 || claims["jti"] == "" {
		t.Errorf("claims: %v", claims)
	}
}

func TestToken_RFC6749_4_4_ClientCredentialsOpaque(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app", opaque, introspecting)
	first, second := w.token("app", secret), w.token("app", secret)
	if !strings.HasPrefix(first, "gha_") || len(first) != len(second) || first == second {
		t.Fatalf("opaque tokens: %q %q", first, second)
	}
	if !w.active("app", secret, first) {
		t.Error("a fresh opaque token is not active")
	}
	for _, changed := range []string{first[:len(first)-1], first + "A", first[:10] + flip(first[10]) + first[11:], strings.ToUpper(first)} {
		if w.active("app", secret, changed) {
			t.Errorf("malleable: %q is active", changed)
		}
	}
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// The token format is the client's, or else the resource's.
func TestToken_FormatByClientAndResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	both := func(c *storage.Client) { c.Resources = []string{notesURL, rootURL} }
	plain := w.client("plain", both)
	fixed := w.client("fixed", both, func(c *storage.Client) { c.TokenFormat = storage.FormatJWT })
	for _, test := range []struct {
		id, secret, resource string
		opaque               bool
	}{
		{"plain", plain, notesURL, false}, {"plain", plain, rootURL, true}, {"fixed", fixed, rootURL, false},
	} {
		token := w.token(test.id, test.secret, "resource", test.resource)
		if strings.HasPrefix(token, "gha_") != test.opaque {
			t.Errorf("%s at %s: %q", test.id, test.resource, token)
		}
	}
}

func TestToken_RFC6749_3_3_Scope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app", func(c *storage.Client) {
		c.Scopes, c.DefaultScopes = []string{"mcp:admin", "files:read"}, []string{"mcp:read"}
	})
	bare := w.client("bare", func(c *storage.Client) { c.Scopes = nil })
	for _, test := range []struct{ name, scope, want, err string }{
		{"absent gives the defaults", "", "mcp:read", ""},
		{"implied scope of a registered one", "mcp:tools", "mcp:tools", ""},
		{"scope without meaning at the resource is left out", "files:read mcp:read", "mcp:read", ""},
		{"only scopes without meaning", "files:read", "", "invalid_scope"},
		{"not registered", "mcp:read gatehouse:admin", "", "invalid_scope"},
		{"case sensitive", "MCP:READ", "", "invalid_scope"},
		{"malformed", "mcp:\"read", "", "invalid_scope"},
		{"repeated and surplus spaces", "  mcp:tools   mcp:read mcp:tools ", "mcp:read mcp:tools", ""},
	} {
		a := w.post("/oauth/token", "app", secret, "grant_type", "client_credentials", "scope", test.scope)
		if a.str("error") != test.err || a.str("scope") != test.want {
			t.Errorf("%s: %d %s", test.name, a.Code, a.Body)
		}
	}
	if a := w.post("/oauth/token", "bare", bare, "grant_type", "client_credentials"); a.str("error") != "invalid_scope" {
		t.Errorf("a client without scopes: %d %s", a.Code, a.Body)
	}
}

func TestToken_RFC8707_2_Resource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.client("one", opaque, introspecting)
	root := w.client("root", opaque, introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	many := w.client("many", func(c *storage.Client) { c.Resources = []string{notesURL, rootURL} })
	preset := w.client("preset", opaque, introspecting, func(c *storage.Client) {
		c.Resources, c.DefaultResource = []string{notesURL, rootURL}, rootURL
	})
	for _, test := range []struct {
		name, id, secret string
		resources        []string
		aud, err         string
	}{
		{"absent: the only one", "one", one, nil, notesURL, ""},
		{"exact", "one", one, []string{notesURL}, notesURL, ""},
		{"upper-case scheme and host", "one", one, []string{"HTTPS://MCP.example:443/notes"}, notesURL, ""},
		{"path is strict", "one", one, []string{notesURL + "/"}, "", "invalid_target"},
		{"path is case sensitive", "one", one, []string{"https://mcp.example/Notes"}, "", "invalid_target"},
		{"not allowed", "one", one, []string{rootURL}, "", "invalid_target"},
		{"unknown", "one", one, []string{"https://evil.example/"}, "", "invalid_target"},
		{"fragment", "one", one, []string{notesURL + "#x"}, "", "invalid_target"},
		{"relative", "one", one, []string{"/notes"}, "", "invalid_target"},
		{"user information", "one", one, []string{"https://a@mcp.example/notes"}, "", "invalid_target"},
		{"two", "many", many, []string{notesURL, rootURL}, "", "invalid_target"},
		{"several allowed, none named", "many", many, nil, "", "invalid_target"},
		{"several allowed, a default", "preset", preset, nil, rootURL, ""},
		{"root slash is echoed", "root", root, []string{rootURL + "/"}, rootURL + "/", ""},
		{"root without slash", "root", root, []string{rootURL}, rootURL, ""},
	} {
		v := url.Values{"grant_type": {"client_credentials"}, "resource": test.resources}
		r := form("/oauth/token", v)
		r.SetBasicAuth(test.id, test.secret)
		a := w.do(r)
		if a.str("error") != test.err {
			t.Errorf("%s: %d %s", test.name, a.Code, a.Body)
			continue
		}
		if test.err == "" {
			if aud := w.post("/oauth/introspect", test.id, test.secret, "token", a.str("access_token")).str("aud"); aud != test.aud {
				t.Errorf("%s: aud %q, want %q", test.name, aud, test.aud)
			}
		}
	}
}

// badRequest is a token request that must be refused.
type badRequest struct {
	name, body  string
	user, pass  string
	contentType string // empty: the right one; "-": none
	status      int
	code        string
}

// badRequests are for clients app (with that secret), other, keyed, public and off.
func badRequests(secret, other string) []badRequest {
	const cc = "grant_type=client_credentials"
	return []badRequest{
		{name: "unknown client", body: cc, user: "nobody", pass: secret, status: 401, code: "invalid_client"},
		{name: "wrong secret", body: cc, user: "app", pass: "ghs_wrong", status: 401, code: "invalid_client"},
		{name: "disabled client", body: cc, user: "off", pass: "x", status: 401, code: "invalid_client"},
		{name: "no credentials", body: cc, status: 401, code: "invalid_client"},
		{name: "secret for a key client", body: cc, user: "keyed", pass: secret, status: 401, code: "invalid_client"},
		{name: "no secret for a secret client", body: cc + "&client_id=app", status: 401, code: "invalid_client"},
		{name: "secret for a public client", body: cc, user: "public", pass: "x", status: 401, code: "invalid_client"},
		{name: "public client", body: cc + "&client_id=public", status: 400, code: "unauthorized_client"},
		{name: "client without the grant", body: cc, user: "other", pass: other, status: 400, code: "unauthorized_client"},
		{name: "client_id differs", body: cc + "&client_id=other", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "header and body secret", body: cc + "&client_secret=" + secret, user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "assertion without type", body: cc + "&client_assertion=x", status: 400, code: "invalid_request"},
		{name: "duplicate parameter", body: cc + "&" + cc, user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "duplicate scope", body: cc + "&scope=mcp%3Aread&scope=mcp%3Atools", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "no grant type", body: "scope=mcp%3Aread", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "unknown grant type", body: "grant_type=password", user: "app", pass: secret, status: 400, code: "unsupported_grant_type"},
		{name: "two grant types", body: "grant_type=client_credentials+password", user: "app", pass: secret, status: 400, code: "unsupported_grant_type"},
		{name: "empty body", body: "", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "JSON body", body: `{"grant_type":"client_credentials"}`, contentType: "application/json", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "multipart body", body: cc, contentType: "multipart/form-data; boundary=x", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "no content type", body: cc, contentType: "-", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "NUL in a value", body: cc + "&scope=mcp%00read", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "NUL in a name", body: cc + "&x%00=1", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "NUL in the client_id", body: cc, user: "a%00b", pass: secret, status: 401, code: "invalid_client"},
		{name: "invalid UTF-8", body: cc + "&scope=%ff%fe", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "broken escape", body: cc + "&scope=%zz", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "semicolon", body: cc + ";scope=x", user: "app", pass: secret, status: 400, code: "invalid_request"},
		{name: "1 MB scope", body: cc + "&scope=" + strings.Repeat("a", 1<<20), user: "app", pass: secret, status: 413, code: "invalid_request"},
		{name: "long scope", body: cc + "&scope=" + strings.Repeat("a", 5000), user: "app", pass: secret, status: 400, code: "invalid_scope"},
		{name: "many parameters", body: cc + strings.Repeat("&a=", 100), user: "app", pass: secret, status: 400, code: "invalid_request"},
	}
}

// Every request here is bad input: it gets its RFC error, never a 5xx.
func TestToken_RFC6749_5_2_BadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app")
	w.client("public", func(c *storage.Client) { c.AuthMethod, c.SecretHash = "none", nil })
	other := w.client("other", func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} })
	w.client("keyed", func(c *storage.Client) { c.AuthMethod = "private_key_jwt" })
	w.client("off", func(c *storage.Client) { c.Disabled = true })
	for _, test := range badRequests(secret, other) {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, issuer+"/oauth/token", strings.NewReader(test.body))
			switch test.contentType {
			case "":
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			case "-":
			default:
				r.Header.Set("Content-Type", test.contentType)
			}
			if test.user != "" {
				r.SetBasicAuth(test.user, test.pass)
			}
			a := w.do(r)
			if a.Code != test.status || a.str("error") != test.code || a.str("error_description") == "" {
				t.Errorf("got %d %s", a.Code, a.Body)
			}
			if challenged := a.Header().Get("WWW-Authenticate") != ""; challenged != (a.Code == 401) {
				t.Errorf("challenge %q with status %d", a.Header().Get("WWW-Authenticate"), a.Code)
			}
			if a.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control: %q", a.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestToken_RFC6749_2_3_1_ClientAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.client("app")
	w.client("odd id/ü")
	odd := w.client("a+b:c")
	body := form("/oauth/token", values("grant_type", "client_credentials", "client_id", "app", "client_secret", secret))
	if a := w.do(body); a.Code != http.StatusOK {
		t.Errorf("a basic client may use the body, one class: %d %s", a.Code, a.Body)
	}
	if a := w.post("/oauth/token", "app", secret, "grant_type", "client_credentials", "client_id", "app"); a.Code != http.StatusOK {
		t.Errorf("equal client_id in header and body: %d %s", a.Code, a.Body)
	}
	if a := w.post("/oauth/token", "a+b:c", odd, "grant_type", "client_credentials"); a.Code != http.StatusOK {
		t.Errorf("form-encoded Basic: %d %s", a.Code, a.Body)
	}
	query := form("/oauth/token?client_id=app&client_secret="+secret, values("grant_type", "client_credentials"))
	if a := w.do(query); a.str("error") != "invalid_client" {
		t.Errorf("credentials in the URL were used: %d %s", a.Code, a.Body)
	}
	for _, header := range []string{"Basic", "Basic !!!", "Basic YXBw", "Bearer x", "basic\t"} {
		r := form("/oauth/token", values("grant_type", "client_credentials"))
		r.Header.Set("Authorization", header)
		if a := w.do(r); a.str("error") != "invalid_client" {
			t.Errorf("%q: %d %s", header, a.Code, a.Body)
		}
	}
	twice := form("/oauth/token", values("grant_type", "client_credentials"))
	twice.Header["Authorization"] = []string{"Basic YTpi", "Basic YTpi"}
	if a := w.do(twice); a.str("error") != "invalid_request" {
		t.Errorf("two Authorization headers: %d %s", a.Code, a.Body)
	}
}
