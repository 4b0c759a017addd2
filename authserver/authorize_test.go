package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// The whole way of a person who connects an app for the first time.
func TestAuthorize_OAuth21_4_1_CodeFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.user("ann")
	rs := w.client("rs", introspecting)
	b, request := w.browser(), ask("app", "scope", "mcp:read mcp:tools", "resource", notesURL)
	page := b.authorize(request, "ann")
	for _, shown := range []string{"app.example", "ann", "mcp.example", "Read resources and prompts"} {
		if !strings.Contains(page.Body.String(), shown) {
			t.Errorf("the consent page does not show %q", shown)
		}
	}
	got := b.decide(page, "allow").arrived(t, appURL)
	if got.Get("state") != "st-app" || got.Get("iss") != issuer || len(got) != 3 || !strings.HasPrefix(got.Get("code"), "ghc_") {
		t.Errorf("RFC 9207 §2, AS-30: answer %v", got)
	}
	a := w.exchange(request, got.Get("code"))
	if a.Code != http.StatusOK || a.str("token_type") != "Bearer" || a.str("scope") != "mcp:read mcp:tools" ||
		a.json["expires_in"] != 3600.0 || !strings.HasPrefix(a.str("refresh_token"), "ghr_") || a.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("tokens: %d %v %s", a.Code, a.Header(), a.Body)
	}
	claims := decodeSegment(t, strings.Split(a.str("access_token"), ".")[1])
	for name, want := range map[string]any{"sub": "ann", "client_id": "app", "aud": notesURL, "scope": "mcp:read mcp:tools", "iss": issuer} {
		if claims[name] != want {
			t.Errorf("claim %s = %v", name, claims[name])
		}
	}
	if claims["grant"] == nil || claims["grant"] == "" || !w.active("rs", rs, a.str("access_token")) {
		t.Errorf("claims %v", claims)
	}
	if w.active("rs", rs, a.str("refresh_token")) {
		t.Error("a refresh token is an access token")
	}
}

// refusedRequest is an authorization request that must be refused.
type refusedRequest struct {
	name  string
	pairs []string
	code  string
	page  bool // nobody is sent anywhere
}

func refusedRequests() []refusedRequest {
	long := strings.Repeat("x", 5000)
	return []refusedRequest{
		{"unknown client", []string{"client_id", "nobody"}, "invalid_request", true},
		{"no client", []string{"client_id", ""}, "invalid_request", true},
		{"disabled client", []string{"client_id", "off"}, "invalid_request", true},
		{"unregistered redirect URI", []string{"redirect_uri", "https://evil.example/callback"}, "invalid_request", true},
		{"no redirect URI, several registered", []string{"client_id", "many", "redirect_uri", ""}, "invalid_request", true},
		{"NUL", []string{"state", "a\x00b"}, "invalid_request", true},
		{"not UTF-8", []string{"state", "a\xffb"}, "invalid_request", true},
		{"no response type", []string{"response_type", ""}, "invalid_request", false},
		{"implicit", []string{"response_type", "token"}, "unsupported_response_type", false},
		{"hybrid", []string{"response_type", "code id_token"}, "unsupported_response_type", false},
		{"fragment", []string{"response_mode", "fragment"}, "invalid_request", false},
		{"form_post", []string{"response_mode", "form_post"}, "invalid_request", false},
		{"no challenge", []string{"code_challenge", ""}, "invalid_request", false},
		{"no challenge method means plain", []string{"code_challenge_method", ""}, "invalid_request", false},
		{"plain", []string{"code_challenge_method", "plain"}, "invalid_request", false},
		{"short challenge", []string{"code_challenge", "abc"}, "invalid_request", false},
		{"padded challenge", []string{"code_challenge", challenge("x") + "="}, "invalid_request", false},
		{"request object", []string{"request", "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported", false},
		{"registration", []string{"registration", "{}"}, "registration_not_supported", false},
		{"long state", []string{"state", long}, "invalid_request", false},
		{"long nonce", []string{"nonce", long}, "invalid_request", false},
		{"unknown resource", []string{"resource", "https://evil.example/"}, "invalid_target", false},
		{"resource of others", []string{"resource", rootURL}, "invalid_target", false},
		{"malformed scope", []string{"scope", `a"b`}, "invalid_scope", false},
		{"no scope of the client's", []string{"scope", "files:read"}, "invalid_scope", false},
		{"offline_access alone", []string{"scope", "offline_access"}, "invalid_scope", false},
		{"unknown prompt", []string{"prompt", "create"}, "invalid_request", false},
		{"none with another prompt", []string{"prompt", "none login"}, "invalid_request", false},
		{"negative max_age", []string{"max_age", "-1"}, "invalid_request", false},
		{"max_age in words", []string{"max_age", "soon"}, "invalid_request", false},
		{"client without the grant", []string{"client_id", "machine"}, "unauthorized_client", false},
	}
}

// Until the redirect URI is proven, what is wrong is a page without a way out
// (OAuth 2.1 §7.12.2); then the client learns it, with state and iss.
func TestAuthorize_RFC6749_4_1_2_1_Errors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("many", redirects(appURL, "https://app.example/other"))
	w.app("off", func(c *storage.Client) { c.Disabled = true })
	w.client("machine", redirects(appURL))
	b := w.as("ann")
	for _, test := range refusedRequests() {
		request := ask("app", test.pairs...)
		a := b.authorize(request, "")
		if test.page {
			if a.Code != http.StatusBadRequest || a.Header().Get("Location") != "" || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/html") ||
				strings.Contains(a.Body.String(), "evil.example") {
				t.Errorf("%s: %d %v %s", test.name, a.Code, a.Header(), a.Body)
			}
			continue
		}
		got := a.arrived(t, appURL)
		if got.Get("error") != test.code || got.Get("error_description") == "" || got.Get("iss") != issuer || got.Get("state") != request.Get("state") || got.Get("code") != "" {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// A repeated parameter is an error (RFC 6749 §3.1), two resources are too.
func TestAuthorize_RFC6749_3_1_RepeatedParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.browser()
	for _, name := range []string{"client_id", "redirect_uri", "scope", "state", "code_challenge"} {
		request := ask("app", "scope", "mcp:read")
		request.Add(name, request.Get(name))
		if a := b.authorize(request, ""); a.Code != http.StatusBadRequest {
			t.Errorf("%s twice: %d %v", name, a.Code, a.Header())
		}
	}
	request := ask("app", "resource", notesURL)
	request.Add("resource", rootURL)
	if got := b.authorize(request, "").arrived(t, appURL); got.Get("error") != "invalid_target" {
		t.Errorf("two resources: %v", got)
	}
	if a := b.get("/oauth/authorize?" + strings.Repeat("a=b&", 70)); a.Code != http.StatusBadRequest {
		t.Errorf("many parameters: %d", a.Code)
	}
	if a := b.get("/oauth/authorize?client_id=" + strings.Repeat("a", 20_000)); a.Code != http.StatusBadRequest {
		t.Errorf("a long request: %d", a.Code)
	}
}

// state comes back as it was sent, byte for byte, and is never invented.
func TestAuthorize_RFC6749_4_1_2_StateIsEchoed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	for _, state := range []string{"", "x", "1234567", "a b+c%26&=ü\n", strings.Repeat("s", 4096)} {
		a := b.authorize(ask("app", "state", state), "")
		if a.Code == http.StatusOK {
			a = b.decide(a, "allow")
		}
		if got := a.arrived(t, appURL); got.Get("code") == "" || got.Get("state") != state || got.Has("state") != (state != "") {
			t.Errorf("state %.20q came back as %.20q", state, got.Get("state"))
		}
	}
}

// A query of the registered URI's own stays (RFC 6749 §3.1.2), and without a
// redirect_uri the only registered one is meant.
func TestAuthorize_RFC6749_3_1_2_RedirectURI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", redirects("https://app.example/cb?tenant=a%2Fb"))
	b := w.as("ann")
	a := b.decide(b.authorize(ask("app", "redirect_uri", ""), ""), "deny")
	if to := a.Header().Get("Location"); !strings.HasPrefix(to, "https://app.example/cb?tenant=a%2Fb&error=access_denied&") {
		t.Errorf("redirected to %s", to)
	}
}

// Clients may send the request as a form (OpenID Connect Core §3.1.2.1), also
// from their own origin, where a browser sends none of our cookies.
func TestAuthorize_OIDC_3_1_2_1_ByForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b, request := w.as("ann"), ask("app", "state", "a b&c")
	r := form("/oauth/authorize", request.Values)
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	a := w.do(r)
	to, err := url.Parse(a.Header().Get("Location"))
	if err != nil || a.Code != http.StatusSeeOther || to.Path != "/oauth/authorize" || len(a.Result().Cookies()) != 0 {
		t.Fatalf("%d %v", a.Code, a.Header())
	}
	if got := b.decide(b.follow(a, ""), "deny").arrived(t, appURL); got.Get("state") != "a b&c" {
		t.Errorf("%v", got)
	}
	if a := w.do(form("/oauth/authorize", url.Values{"a": {"1", "2"}})); a.Code != http.StatusBadRequest {
		t.Errorf("a bad form: %d", a.Code)
	}
}

// Pages about authorization are kept by nobody and framed by nobody (AS-28).
func TestAuthorize_AS28_Headers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	for name, a := range map[string]answer{
		"consent": b.authorize(ask("app"), ""), "refusal": b.authorize(ask("nobody"), ""),
		"redirect": b.get("/oauth/authorize?" + ask("app").Encode()),
	} {
		h := a.Header()
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "same-origin" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// What is logged about a request holds no code, state, cookie or token.
func TestAuthorize_LogsHoldNoCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b, request := w.as("ann"), ask("app", "state", "SECRETSTATE", "scope", "mcp:read openid")
	code := b.code(request, "")
	tokens := w.exchange(request, code)
	w.refresh("app", tokens.str("refresh_token"))
	w.exchange(request, code)
	secrets := []string{code, "SECRETSTATE", request.verifier, tokens.str("access_token"), tokens.str("refresh_token"), tokens.str("id_token")}
	for _, cookie := range b.cookies {
		secrets = append(secrets, cookie)
	}
	if logged := w.logs.String(); slices.ContainsFunc(secrets, func(s string) bool { return s == "" || strings.Contains(logged, s) }) {
		t.Errorf("a credential of %q is missing or in the log:\n%s", secrets, logged)
	}
}

// Nothing of the request decides where the browser goes within the server.
func TestAuthorize_RedirectsStayBelowTheIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	r := httptest.NewRequest(http.MethodGet, "http://internal:9000/oauth/authorize?"+ask("app").Encode(), nil)
	r.Header.Set("X-Forwarded-Host", "evil.example")
	if to := w.do(r).Header().Get("Location"); !strings.HasPrefix(to, "/login?interaction=") || len(to) > 100 {
		t.Errorf("sent to %q", to)
	}
}
