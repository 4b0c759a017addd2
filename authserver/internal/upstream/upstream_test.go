package upstream_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/upstream"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/upstream/upstreamtest"
)

const callback = "https://as.example/login/upstream/test"

// start runs a provider and its relying party.
func start(t *testing.T) (*upstreamtest.Provider, *upstream.Provider) {
	t.Helper()
	theirs, err := upstreamtest.New()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(theirs)
	t.Cleanup(server.Close)
	theirs.Issuer = server.URL
	ours, err := upstream.New(upstream.Config{
		Issuer: server.URL, ClientID: upstreamtest.ClientID, ClientSecret: upstreamtest.ClientSecret,
		Scopes: []string{"profile", "email"}, RedirectURL: callback,
	})
	if err != nil {
		t.Fatal(err)
	}
	return theirs, ours
}

// visit goes to the provider and returns what it sends the browser back with.
func visit(t *testing.T, ours *upstream.Provider, begun upstream.Begun) url.Values {
	t.Helper()
	location, err := ours.Location(t.Context(), begun, "the-state")
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Get(location)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	back, err := answer.Location()
	if err != nil || !strings.HasPrefix(back.String(), callback+"?") {
		t.Fatalf("back at %v: %v", back, err)
	}
	return back.Query()
}

func TestSignIn_OIDCCore_3_1_CodeFlow(t *testing.T) {
	t.Parallel()
	_, ours := start(t)
	begun := upstream.Begin()
	answer := visit(t, ours, begun)
	if answer.Get("state") != "the-state" {
		t.Errorf("state %q", answer.Get("state"))
	}
	person, err := ours.Finish(t.Context(), begun, answer)
	if err != nil {
		t.Fatal(err)
	}
	if person.Subject != "person-1" || person.Issuer == "" || person.Email != "ada@example.org" || !person.EmailVerified || person.Username != "ada" || person.Name != "Ada" {
		t.Errorf("person %+v", person)
	}
	if _, err := ours.Finish(t.Context(), begun, answer); !errors.Is(err, upstream.ErrAnswer) {
		t.Errorf("a code twice: %v", err)
	}
}

func TestSignIn_EveryMixUpIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		theirs func(*upstreamtest.Provider)
		answer func(url.Values)
		begun  func(*upstream.Begun)
		want   error
	}{
		"RFC 9207: another issuer":        {answer: func(v url.Values) { v.Set("iss", "https://evil.example") }, want: upstream.ErrAnswer},
		"RFC 9207: issuer left out":       {answer: func(v url.Values) { v.Del("iss") }, want: upstream.ErrAnswer},
		"repeated code":                   {answer: func(v url.Values) { v.Add("code", "x") }, want: upstream.ErrAnswer},
		"no code":                         {answer: func(v url.Values) { v.Del("code") }, want: upstream.ErrAnswer},
		"stolen code, another verifier":   {begun: func(b *upstream.Begun) { b.Verifier = upstream.Begin().Verifier }, want: upstream.ErrAnswer},
		"another sign-in's nonce":         {begun: func(b *upstream.Begun) { b.Nonce = upstream.Begin().Nonce }, want: upstream.ErrAnswer},
		"no nonce":                        {theirs: claim("nonce", nil), want: upstream.ErrAnswer},
		"ID token of another issuer":      {theirs: claim("iss", "https://evil.example"), want: upstream.ErrAnswer},
		"ID token for another client":     {theirs: claim("aud", "somebody-else"), want: upstream.ErrAnswer},
		"ID token of another party":       {theirs: claim("azp", "somebody-else"), want: upstream.ErrAnswer},
		"several audiences without party": {theirs: claim("aud", []string{upstreamtest.ClientID, "other"}), want: upstream.ErrAnswer},
		"expired":                         {theirs: claim("exp", time.Now().Add(-time.Hour).Unix()), want: upstream.ErrAnswer},
		"no subject":                      {theirs: claim("sub", nil), want: upstream.ErrAnswer},
		"subject with NUL":                {theirs: claim("sub", "a\x00b"), want: upstream.ErrAnswer},
		"foreign key":                     {theirs: func(p *upstreamtest.Provider) { p.Foreign = true }, want: upstream.ErrAnswer},
		"the person said no":              {theirs: func(p *upstreamtest.Provider) { p.Refuse = "access_denied" }, want: upstream.ErrDenied},
		"userinfo of somebody else": {theirs: func(p *upstreamtest.Provider) {
			p.Claims, p.UserInfo = map[string]any{"email": nil}, map[string]any{"sub": "other", "email": "boss@example.org"}
		}, want: upstream.ErrAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs, ours := start(t)
			if test.theirs != nil {
				test.theirs(theirs)
			}
			begun := upstream.Begin()
			answer := visit(t, ours, begun)
			if test.answer != nil {
				test.answer(answer)
			}
			if test.begun != nil {
				test.begun(&begun)
			}
			if person, err := ours.Finish(t.Context(), begun, answer); !errors.Is(err, test.want) || person.Subject != "" {
				t.Errorf("%+v, %v; want %v", person, err, test.want)
			}
		})
	}
}

func claim(name string, value any) func(*upstreamtest.Provider) {
	return func(p *upstreamtest.Provider) { p.Claims = map[string]any{name: value} }
}

func TestSignIn_OIDCCore_5_4_ClaimsMayComeFromUserinfo(t *testing.T) {
	t.Parallel()
	theirs, ours := start(t)
	theirs.Claims = map[string]any{"email": nil, "email_verified": nil, "preferred_username": nil}
	theirs.UserInfo = map[string]any{"sub": "person-1", "email": "ada@example.org", "email_verified": "true", "preferred_username": "ada\nbob"}
	begun := upstream.Begin()
	person, err := ours.Finish(t.Context(), begun, visit(t, ours, begun))
	if err != nil || person.Email != "ada@example.org" || !person.EmailVerified || person.Username != "" {
		t.Errorf("%+v, %v", person, err)
	}
}

func TestDiscovery_DeadProviderComesBack(t *testing.T) {
	t.Parallel()
	theirs, ours := start(t)
	theirs.Down = true
	for range 2 {
		if _, err := ours.Location(t.Context(), upstream.Begin(), "s"); !errors.Is(err, upstream.ErrUnavailable) {
			t.Fatalf("dead provider: %v", err)
		}
	}
	theirs.Down = false
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := ours.Location(t.Context(), upstream.Begin(), "s"); err != nil {
				t.Errorf("back again: %v", err)
			}
		})
	}
	all.Wait()
	asked := theirs.Count("/.well-known/openid-configuration")
	if _, err := ours.Location(t.Context(), upstream.Begin(), "s"); err != nil || theirs.Count("/.well-known/openid-configuration") != asked {
		t.Errorf("asked again although known: %v", err)
	}
}

func TestDiscovery_NobodyElseAnswers(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]map[string]any{
		"another issuer":       {"issuer": "https://evil.example"},
		"plain token endpoint": {"token_endpoint": "http://evil.example/token"},
		"plain keys":           {"jwks_uri": "http://evil.example/keys"},
		"no endpoint":          {"authorization_endpoint": ""},
		"script":               {"authorization_endpoint": "javascript:alert(1)"},
	} {
		theirs, ours := start(t)
		theirs.Metadata = document
		if _, err := ours.Location(t.Context(), upstream.Begin(), "s"); !errors.Is(err, upstream.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, issuer := range []string{"http://idp.example", "ftp://idp.example", "https://u:p@idp.example", "", "https://"} {
		if _, err := upstream.New(upstream.Config{Issuer: issuer, ClientID: "c", RedirectURL: callback}); err == nil {
			t.Errorf("issuer %q is taken", issuer)
		}
	}
}
