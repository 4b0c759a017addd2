package resourceserver

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

func TestIntrospection_RFC7662_2_2_Judges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		claims rstest.Claims
		status int
	}{
		"active":                {nil, 200},
		"without iss":           {rstest.Claims{"iss": nil}, 200},
		"without token_type":    {rstest.Claims{"token_type": nil}, 200},
		"token_type lower case": {rstest.Claims{"token_type": "bearer"}, 200},
		"without sub":           {rstest.Claims{"sub": nil}, 200},
		"without iat":           {rstest.Claims{"iat": nil}, 200},
		"not active":            {rstest.Claims{"active": false}, 401},
		"active missing":        {rstest.Claims{"active": nil}, 503}, // no verdict: the token may be good
		"active as a string":    {rstest.Claims{"active": "true"}, 503},
		"another issuer":        {rstest.Claims{"iss": "https://evil.example"}, 401},
		"another audience":      {rstest.Claims{"aud": "https://evil.example"}, 401},
		"without audience":      {rstest.Claims{"aud": nil}, 401},
		"expired":               {rstest.Claims{"exp": now - 100}, 401},
		"without exp":           {rstest.Claims{"exp": nil}, 401},
		"not yet valid":         {rstest.Claims{"nbf": now + 100}, 401},
		"DPoP":                  {rstest.Claims{"token_type": "DPoP"}, 401},
		"bound":                 {rstest.Claims{"cnf": map[string]any{"jkt": "x"}}, 401},
		"nobody":                {rstest.Claims{"sub": nil, "client_id": nil}, 401},
		"malformed scope":       {rstest.Claims{"scope": "\x01"}, 401},
		"low scope":             {rstest.Claims{"scope": "mcp:write"}, 403},
	} {
		token := w.Opaque(c.claims)
		for range 2 {
			if a := w.post(t, token, ping); a.StatusCode != c.status {
				t.Errorf("%s: %d, want %d: %s", name, a.StatusCode, c.status, a.body)
			}
		}
	}
	w.expect(t, "gha_unknown", ping, http.StatusUnauthorized, "invalid_token")
}

func TestIntrospection_NotConfiguredRefusesOpaque(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	w.expect(t, w.Opaque(), ping, http.StatusUnauthorized, "invalid_token")
	if n := w.Requests(rstest.IntrospectPath); n != 0 {
		t.Errorf("%d introspections without credentials", n)
	}
}

func TestIntrospection_FailsClosedWith503(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	w.Fail(rstest.IntrospectPath, true)
	a := w.post(t, w.Opaque(), ping)
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || strings.Contains(a.body, "500") || strings.Contains(a.body, w.URL) {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	wrong := newWorld(t, func(_ *world, cfg *Config) {
		cfg.Introspection = &ClientCredentials{ClientID: rstest.ClientID, ClientSecret: "wrong"}
	})
	eventually(t, func() bool { return wrong.server.keys.fresh() != nil })
	if a := wrong.post(t, wrong.Opaque(), ping); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("our own credentials are wrong: %d", a.StatusCode)
	}
}

func TestIntrospection_SingleFlightAndCached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	release := w.Hold(rstest.IntrospectPath)
	token := w.Opaque()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { w.expect(t, token, ping, http.StatusOK, "") })
	}
	eventually(t, func() bool { return w.Requests(rstest.IntrospectPath) > 0 })
	release()
	wg.Wait()
	w.expect(t, token, ping, http.StatusOK, "")
	if n := w.Requests(rstest.IntrospectPath); n != 1 {
		t.Errorf("%d introspections of one token", n)
	}
}

func TestIntrospection_IsRepeatedAfterAMinuteInSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		cfg.FeedLossAfter = time.Hour
	}).ready(t)
	token := w.Opaque()
	for _, c := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {activeInSync - time.Second, 1}, {time.Second, 2}} {
		w.advance(c.after)
		w.expect(t, token, ping, http.StatusOK, "")
		if n := w.Requests(rstest.IntrospectPath); n != c.asked {
			t.Errorf("asked %d times, want %d", n, c.asked)
		}
	}
}

func TestIntrospection_IsRepeatedAfterTenSecondsWithoutTheFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		w.Fail(rstest.EventsPath, true)
	})
	eventually(t, func() bool { return w.server.keys.fresh() != nil })
	token := w.Opaque()
	w.expect(t, token, ping, http.StatusOK, "")
	w.advance(activeAlone - time.Second)
	w.Activate(token, nil)
	w.expect(t, token, ping, http.StatusOK, "")
	w.advance(time.Second)
	w.expect(t, token, ping, http.StatusUnauthorized, "invalid_token")
}

func TestVerifier_ReturnsRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	token, err := w.server.Verifier().Verify(t.Context(), w.Token())
	if err != nil || token.Subject != "alice" || !token.Scopes.Has("mcp:read") || token.Audience[0] != w.resource {
		t.Errorf("%+v %v", token, err)
	}
	_, err = w.server.Verifier().Verify(t.Context(), "nonsense")
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Code != CodeInvalidToken || !errors.Is(err, errInactive) {
		t.Errorf("%v", err)
	}
}

func TestClientCredentials_AreNotPrinted(t *testing.T) {
	t.Parallel()
	c := ClientCredentials{ClientID: "id", ClientSecret: "hidden"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{c, &c, Config{Introspection: &c}.Introspection} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "hidden") {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}
}
