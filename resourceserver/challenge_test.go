package resourceserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

func FuzzBearerToken(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "Bearer a", "bearer  a==", "Bearer a,b", "Basic eA==", "Bearer a b", "DPoP x", "\x00", "Bearer =", "Bearer a=b", "a", "bearer", "a==", "a,b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"Authorization", "X-Api-Key"} {
			token, err := bearerToken(http.Header{name: {value}}, name)
			if err != nil {
				if token != "" {
					t.Errorf("%s %q: token %q with %v", name, value, token, err)
				}
				continue
			}
			scheme, rest, _ := strings.Cut(value, " ")
			bare := name != "Authorization" && value == token && !strings.EqualFold(value, "bearer")
			if !bare && (!strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != token) || token == "" || strings.ContainsAny(token, " ,\t\"\\;") {
				t.Errorf("%s %q gives %q", name, value, token)
			}
		}
	})
}

// FuzzChallenge reads the challenge back with a parser of others.
func FuzzChallenge(f *testing.F) {
	f.Add("invalid_token", "It is not.", "mcp:read mcp:tools", "https://h/.well-known/oauth-protected-resource/mcp", false)
	f.Add("a\"b", "c\\", "d\r\nSet-Cookie: x", "e, Basic realm=\"f\"", true)
	f.Add("", "", "", "", true)
	f.Add("", "", " ", "", false)
	f.Fuzz(func(t *testing.T, code, description, scope, location string, anonymous bool) {
		r := &Refusal{Status: 401, Code: code, Description: description, Scope: scopes.Of(strings.Fields(scope)...), challenge: true, anonymous: anonymous}
		header := r.header(location)
		if strings.ContainsAny(header, "\r\n\x00\\") {
			t.Errorf("unsafe header %q", header)
		}
		list, err := oauthex.ParseWWWAuthenticate([]string{header})
		if err != nil || len(list) != 1 || list[0].Scheme != "bearer" {
			t.Fatalf("%q: %v %v", header, list, err)
		}
		want := map[string]string{"scope": quotable(r.Scope.String()), "resource_metadata": quotable(location)}
		if !anonymous {
			want["error"], want["error_description"] = quotable(code), quotable(description)
		}
		if location == "" {
			want["realm"] = "mcp"
		}
		maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
		if !maps.Equal(list[0].Params, want) {
			t.Errorf("%q\n got %q\nwant %q", header, list[0].Params, want)
		}
	})
}

// TestChallenge_RFC6750_3_Table writes every refusal there is.
func TestChallenge_RFC6750_3_Table(t *testing.T) {
	t.Parallel()
	needed := scopes.Of("mcp:tools")
	asking := missingToken()
	asking.Scope = needed
	for _, c := range []struct {
		refusal   *Refusal
		status    int
		challenge string
		retry     string
		message   string
	}{
		{asking, 401, `Bearer scope="mcp:tools", resource_metadata="M"`, "", "invalid_token: "},
		{missingToken(), 401, `Bearer resource_metadata="M"`, "", "invalid_token: "},
		{invalidToken(errExpired), 401, `Bearer error="invalid_token", error_description="The access token is not valid here.", resource_metadata="M"`, "", "invalid_token: "},
		{insufficientScope(needed), 403, `Bearer error="insufficient_scope", error_description="The operation needs a token with the scopes mcp:tools.", scope="mcp:tools", resource_metadata="M"`, "", "insufficient_scope: "},
		{malformedCredentials("Authorization"), 400, `Bearer error="invalid_request", error_description="The Authorization header must be exactly one bearer token.", resource_metadata="M"`, "", "invalid_request: "},
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
