package resourceserver

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

const (
	robot   = "robot-token-of-more-than-32-bytes-0123456789"
	monitor = "monitor-token-of-more-than-32-bytes-987654321="
)

// static configures two static tokens.
func static(_ *world, cfg *Config) {
	cfg.StaticTokens = []StaticToken{
		{Name: "robot", Token: robot, Scopes: []string{"mcp:read", "mcp:tools"}},
		{Name: "monitor", Token: monitor, Scopes: []string{"mcp:read"}},
	}
}

func TestSeed_S06_StaticTokensBesideOAuth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, static).ready(t)
	seen := make(chan *AccessToken, 1)
	w.handler = func(_ http.ResponseWriter, r *http.Request) {
		token, _ := TokenFromInfo(auth.TokenInfoFromContext(r.Context()))
		seen <- token
	}
	w.expect(t, robot, callTool, http.StatusOK, "")
	token := <-seen
	if token.Issuer != StaticIssuer || token.Subject != "robot" || token.ClientID != "robot" || !token.ExpiresAt.IsZero() || token.Audience[0] != w.resource {
		t.Errorf("%+v", token)
	}
	w.expect(t, monitor, readAll, http.StatusOK, "")
	if token = <-seen; token.Subject != "monitor" {
		t.Errorf("%+v", token)
	}
	w.expect(t, w.Token(), callTool, http.StatusOK, "")
	if token = <-seen; token.Issuer != w.URL || token.Subject != "alice" {
		t.Errorf("%+v", token)
	}
	for _, wrong := range []string{robot[:len(robot)-1], robot + "x", strings.ToUpper(robot), monitor + "=", "robot", strings.Repeat("a", 32)} {
		w.expect(t, wrong, ping, http.StatusUnauthorized, "invalid_token")
	}
}

// A static token is judged by its scopes like any other (RS-12, RS-13).
func TestSeed_S06_RS12_StaticTokenNeedsItsScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, static).ready(t)
	a := w.expect(t, monitor, callTool, http.StatusForbidden, "insufficient_scope")
	if got := a.challenge(t)["scope"]; got != "mcp:read mcp:tools" {
		t.Errorf("scope %q", got)
	}
	w.expect(t, robot, admin, http.StatusForbidden, "insufficient_scope")
	none := newWorld(t, func(_ *world, cfg *Config) { cfg.StaticTokens = []StaticToken{{Name: "nobody", Token: robot}} }).ready(t)
	none.expect(t, robot, ping, http.StatusForbidden, "insufficient_scope")
}

func TestSeed_S06_StaticTokensLiveAsLongAsTheConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		static(w, cfg)
	}).ready(t)
	opaque := w.Opaque(rstest.Claims{"sub": "robot", "client_id": "robot", "exp": time.Now().Unix() + 7200})
	w.expect(t, opaque, ping, http.StatusOK, "")
	for _, kind := range []string{"", "sub", "client_id"} {
		w.RevokeBefore(kind, "robot", time.Now().Add(time.Minute))
	}
	eventually(t, func() bool { return w.post(t, opaque, ping).StatusCode == http.StatusUnauthorized })
	w.expect(t, robot, ping, http.StatusOK, "")
	w.Fail(rstest.EventsPath, true)
	w.advance(100 * 365 * 24 * time.Hour)
	w.expect(t, robot, ping, http.StatusOK, "")
	if n := w.Requests(rstest.IntrospectPath); n != 1 {
		t.Errorf("a static token was sent to the issuer: %d introspections", n)
	}
}

// A subject of the issuer that has the name of a static token is somebody else.
func TestSeed_S06_RS17_PrincipalOfAStaticTokenIsItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, static).ready(t)
	principals := map[string]bool{}
	for _, token := range []string{robot, monitor, w.Token(rstest.Claims{"sub": "robot", "client_id": "robot"})} {
		e, err := w.server.verifier.verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		principals[e.info.UserID] = true
	}
	if len(principals) != 3 {
		t.Errorf("principals %v", principals)
	}
}

func TestSeed_S06_New_RefusesWeakStaticTokens(t *testing.T) {
	t.Parallel()
	good := StaticToken{Name: "robot", Token: robot, Scopes: []string{"mcp:read"}}
	for name, list := range map[string][]StaticToken{
		"no name":          {{Token: robot}},
		"same name":        {good, {Name: "robot", Token: monitor}},
		"same token":       {good, {Name: "other", Token: robot}},
		"31 bytes":         {{Name: "a", Token: strings.Repeat("a", 31)}},
		"empty":            {{Name: "a"}},
		"spaces":           {{Name: "a", Token: strings.Repeat("a ", 20)}},
		"not ASCII":        {{Name: "a", Token: strings.Repeat("ä", 20)}},
		"too long to send": {{Name: "a", Token: strings.Repeat("a", maxCredentials)}},
		"not a scope":      {{Name: "a", Token: robot, Scopes: []string{"mcp:read mcp:write"}}},
		"empty scope":      {{Name: "a", Token: robot, Scopes: []string{""}}},
	} {
		_, err := New(t.Context(), Config{Resource: "https://h/mcp", StaticTokens: list})
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), robot) || strings.Contains(err.Error(), "aaaa") {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
	if _, err := New(t.Context(), Config{Resource: "https://h/mcp", StaticTokens: []StaticToken{good, {Name: "a", Token: strings.Repeat("a", 32)}}}); err != nil {
		t.Error(err)
	}
}

func TestSeed_S06_StaticTokensAreNotPrinted(t *testing.T) {
	t.Parallel()
	token := StaticToken{Name: "robot", Token: robot}
	var log buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token)
	for _, printed := range []string{log.String(), fmt.Sprintf("%v %+v %#v %s", token, &token, Config{StaticTokens: []StaticToken{token}}, token)} {
		if strings.Contains(printed, robot) || !strings.Contains(printed, "robot") {
			t.Errorf("prints %s", printed)
		}
	}
}

func TestSeed_S06_StaticTokensDoNotAllocate(t *testing.T) { //nolint:paralleltest // allocations are counted for the whole process
	w := newWorld(t, static).ready(t)
	ctx, jwt := t.Context(), w.Token()
	for _, token := range []string{robot, jwt} {
		allocs := testing.AllocsPerRun(1000, func() {
			if _, err := w.server.verifier.Verify(ctx, token); err != nil {
				t.Error(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%.10s: %v allocations", token, allocs)
		}
	}
}

func BenchmarkVerify_CacheHitBesideStaticTokens(b *testing.B) {
	s, issuer := offline(b)
	var list []StaticToken
	for i := range 10 {
		list = append(list, StaticToken{Name: fmt.Sprint(i), Token: robot + fmt.Sprint(i)})
	}
	s.verifier.static = newStaticTokens(list, issuer.Resource, s.cfg.Scopes)
	token := issuer.Token()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
