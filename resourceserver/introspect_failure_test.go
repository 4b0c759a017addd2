package resourceserver

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func respond(status int, contentType, body string, header ...string) (*http.Response, error) {
	h := http.Header{"Content-Type": {contentType}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// unending is a body that goes on for ever.
type unending struct{}

func (unending) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
func (unending) Close() error { return nil }

// asking returns what Verify says of an opaque token when answer is what the
// introspection endpoint does.
func asking(t *testing.T, answer transport) (*AccessToken, error) {
	t.Helper()
	redirected := false
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case "/introspect":
			return answer(r)
		case "/elsewhere":
			redirected = true
		}
		return respond(http.StatusNotFound, "text/plain", "")
	})}
	s, err := New(t.Context(), Config{
		Resource: "https://h/mcp", Issuer: "https://as", JWKSURI: "https://as/jwks", HTTPClient: client,
		Introspection: &ClientCredentials{ClientID: "a", ClientSecret: "b", Endpoint: "https://as/introspect"},
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Verifier().Verify(t.Context(), "gha_opaque")
	if redirected {
		t.Error("a redirect was followed, with the token and our credentials")
	}
	return token, err
}

// TestSeed_S11_IntrospectionRefusesOnEveryError runs in a bubble, so that a
// slow issuer costs no time.
func TestSeed_S11_IntrospectionRefusesOnEveryError(t *testing.T) {
	t.Parallel()
	const ok = `"active":true,"sub":"alice","aud":"https://h/mcp","scope":"mcp:read","exp":4102444800`
	answers := func(status int, contentType, body string, header ...string) transport {
		return func(*http.Request) (*http.Response, error) { return respond(status, contentType, body, header...) }
	}
	for name, c := range map[string]struct {
		answer transport
		code   string // empty: accepted
	}{
		"good":               {answers(200, "application/json", "{"+ok+"}"), ""},
		"connection refused": {func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, CodeTemporarilyUnavailable},
		"500":                {answers(500, "application/json", "{"+ok+"}"), CodeTemporarilyUnavailable},
		"401 for us":         {answers(401, "application/json", "{"+ok+"}"), CodeTemporarilyUnavailable},
		"201":                {answers(201, "application/json", "{"+ok+"}"), CodeTemporarilyUnavailable},
		"302":                {answers(302, "application/json", "{"+ok+"}", "Location", "https://as/elsewhere"), CodeTemporarilyUnavailable},
		"307":                {answers(307, "application/json", "{"+ok+"}", "Location", "https://evil.example/elsewhere"), CodeTemporarilyUnavailable},
		"a page":             {answers(200, "text/html", "<html>sign in</html>"), CodeTemporarilyUnavailable},
		"nothing":            {answers(200, "application/json", ""), CodeTemporarilyUnavailable},
		"cut off":            {answers(200, "application/json", "{"+ok), CodeTemporarilyUnavailable},
		"two documents":      {answers(200, "application/json", "{"+ok+"}{}"), CodeTemporarilyUnavailable},
		"active missing":     {answers(200, "application/json", `{"sub":"alice"}`), CodeTemporarilyUnavailable},
		"active null":        {answers(200, "application/json", `{"active":null}`), CodeTemporarilyUnavailable},
		"active a string":    {answers(200, "application/json", `{"active":"true","sub":"alice"}`), CodeTemporarilyUnavailable},
		"active a number":    {answers(200, "application/json", `{"active":1,"sub":"alice"}`), CodeTemporarilyUnavailable},
		"active twice":       {answers(200, "application/json", `{"active":false,`+ok+`}`), CodeTemporarilyUnavailable},
		"Active in capitals": {answers(200, "application/json", strings.Replace("{"+ok+"}", "active", "Active", 1)), CodeTemporarilyUnavailable},
		"not active":         {answers(200, "application/json", `{"active":false}`), CodeInvalidToken},
		"aud missing":        {answers(200, "application/json", strings.Replace("{"+ok+"}", "aud", "resource", 1)), CodeInvalidToken},
		"aud of another":     {answers(200, "application/json", strings.Replace("{"+ok+"}", "https://h/mcp", "https://h", 1)), CodeInvalidToken},
		"huge":               {answers(200, "application/json", "{"+ok+"}"+strings.Repeat(" ", maxDocument)), CodeTemporarilyUnavailable},
		"endless": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: unending{}}, nil
		}, CodeTemporarilyUnavailable},
		"slow": {slow, CodeTemporarilyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				token, err := asking(t, c.answer)
				if c.code == "" {
					if err != nil || token.Subject != "alice" {
						t.Errorf("%+v %v", token, err)
					}
					return
				}
				refusal, _ := errors.AsType[*Refusal](err)
				if token != nil || refusal == nil || refusal.Code != c.code {
					t.Errorf("%+v %v", token, err)
				}
				if took := time.Since(began); took > fetchTimeout {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// slow answers when nobody waits any more.
func slow(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
