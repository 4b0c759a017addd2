package resourceserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

func FuzzBearerToken(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "Bearer a", "bearer  a==", "Bearer a,b", "Basic eA==", "Bearer a b", "DPoP x", "\x00", "Bearer =", "Bearer a=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := bearerToken(http.Header{"Authorization": {value}})
		if err != nil {
			if token != "" {
				t.Errorf("%q: token %q with %v", value, token, err)
			}
			return
		}
		scheme, rest, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != token || token == "" || strings.ContainsAny(token, " ,\t\"\\;") {
			t.Errorf("%q gives %q", value, token)
		}
	})
}

func FuzzChallenge_RoundTrip(f *testing.F) {
	f.Add("invalid_token", "It is not.", "mcp:read mcp:tools", "https://h/.well-known/oauth-protected-resource/mcp")
	f.Add("a\"b", "c\\", "d\r\nSet-Cookie: x", "e, Basic realm=\"f\"")
	f.Fuzz(func(t *testing.T, code, description, scope, location string) {
		if code == "" || description == "" || location == "" {
			return // the parser has no word for an empty value, and there are none
		}
		r := &Refusal{Status: 401, Code: code, Description: description, Scope: scopes.Of(strings.Fields(scope)...), challenge: true}
		header := r.header(location)
		if strings.ContainsAny(header, "\r\n\x00\\") {
			t.Errorf("unsafe header %q", header)
		}
		list, err := oauthex.ParseWWWAuthenticate([]string{header})
		if err != nil || len(list) != 1 || list[0].Scheme != "bearer" {
			t.Fatalf("%q: %v %v", header, list, err)
		}
		want := map[string]string{"error": quotable(code), "error_description": quotable(description), "resource_metadata": quotable(location)}
		if len(r.Scope) > 0 {
			want["scope"] = quotable(r.Scope.String())
		}
		if fmt.Sprint(list[0].Params) != fmt.Sprint(want) {
			t.Errorf("%q\n got %q\nwant %q", header, list[0].Params, want)
		}
	})
}

// TestChallenge_RFC6750_3_Table writes every refusal there is.
func TestChallenge_RFC6750_3_Table(t *testing.T) {
	t.Parallel()
	needed := scopes.Of("mcp:tools")
	for _, c := range []struct {
		refusal   *Refusal
		status    int
		challenge string
		retry     string
		message   string
	}{
		{missingToken(needed), 401, `Bearer scope="mcp:tools", resource_metadata="M"`, "", "invalid_token: "},
		{missingToken(nil), 401, `Bearer resource_metadata="M"`, "", "invalid_token: "},
		{invalidToken(errExpired), 401, `Bearer error="invalid_token", error_description="The access token is not valid here.", resource_metadata="M"`, "", "invalid_token: "},
		{insufficientScope(needed), 403, `Bearer error="insufficient_scope", error_description="The operation needs a token with the scopes mcp:tools.", scope="mcp:tools", resource_metadata="M"`, "", "insufficient_scope: "},
		{malformedCredentials(), 400, `Bearer error="invalid_request", error_description="The Authorization header must be exactly one bearer token.", resource_metadata="M"`, "", "invalid_request: "},
		{unavailable(errNoKeys), 503, "", "5", "temporarily_unavailable: "},
	} {
		w := httptest.NewRecorder()
		c.refusal.write(w, "M", json.RawMessage(`"x"`))
		var body struct {
			JSONRPC string
			ID      any
			Error   struct{ Message string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		h := w.Header()
		if w.Code != c.status || h.Get("WWW-Authenticate") != c.challenge || h.Get("Retry-After") != c.retry ||
			!strings.HasPrefix(body.Error.Message, c.message) || body.JSONRPC != "2.0" || body.ID != "x" {
			t.Errorf("%v: %d %v %s", c.refusal, w.Code, h, w.Body)
		}
		if cause := c.refusal.Unwrap(); cause != nil && (strings.Contains(w.Body.String(), cause.Error()) || strings.Contains(fmt.Sprint(h), cause.Error())) {
			t.Errorf("the cause %q is shown", cause)
		}
	}
}
