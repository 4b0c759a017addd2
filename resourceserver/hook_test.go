package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// validating configures a hook.
func validating(validate func(ctx context.Context, token string) (*AccessToken, error)) func(*world, *Config) {
	return func(_ *world, cfg *Config) { cfg.Validate = validate }
}

// carol is what a good hook says, for an hour.
func carol() *AccessToken {
	return &AccessToken{Subject: "carol", Scopes: scopes.Of("mcp:read"), ExpiresAt: time.Now().Add(time.Hour)}
}

// verdict is what the hook says of a token, and what is answered then.
type verdict struct {
	answer *AccessToken
	err    error
	status int
}

// verdicts are everything that a hook may say, by token.
func verdicts(resource string) map[string]verdict {
	with := func(edit func(*AccessToken)) *AccessToken {
		token := carol()
		edit(token)
		return token
	}
	return map[string]verdict{
		"good":                {carol(), nil, 200},
		"client-instead":      {with(func(t *AccessToken) { t.Subject, t.ClientID = "", "carol" }), nil, 200},
		"for-this-resource":   {with(func(t *AccessToken) { t.Audience = []string{"https://other.example", resource} }), nil, 200},
		"of-another-issuer":   {with(func(t *AccessToken) { t.Issuer = "https://other.example" }), nil, 200},
		"unsorted-scopes":     {with(func(t *AccessToken) { t.Scopes = scopes.Set{"z", "mcp:read", "a"} }), nil, 200},
		"broad-scope":         {with(func(t *AccessToken) { t.Scopes = scopes.Of("mcp:admin") }), nil, 200},
		"low-scope":           {with(func(t *AccessToken) { t.Scopes = scopes.Of("mcp:write") }), nil, 403},
		"nothing":             {nil, nil, 401},
		"error":               {nil, errors.New("no"), 401},
		"token-and-error":     {carol(), errors.New("no"), 401},
		"no-expiry":           {with(func(t *AccessToken) { t.ExpiresAt = time.Time{} }), nil, 401},
		"expired":             {with(func(t *AccessToken) { t.ExpiresAt = time.Now().Add(-time.Millisecond) }), nil, 401},
		"for-another":         {with(func(t *AccessToken) { t.Audience = []string{"https://other.example"} }), nil, 401},
		"nobody":              {with(func(t *AccessToken) { t.Subject = "" }), nil, 401},
		"static-issuer":       {with(func(t *AccessToken) { t.Issuer = StaticIssuer }), nil, 401},
		"malformed-scope":     {with(func(t *AccessToken) { t.Scopes = scopes.Set{"mcp:read", "a\"b"} }), nil, 401},
		"typed-unavailable":   {nil, &Refusal{Status: 503, Code: CodeTemporarilyUnavailable, Description: "Later.", RetryAfter: time.Minute}, 503},
		"typed-and-wrapped":   {nil, fmt.Errorf("db: %w", &Refusal{Status: 503, Code: CodeTemporarilyUnavailable, Description: "Later."}), 503},
		"typed-401":           {nil, &Refusal{Status: 401, Code: CodeInvalidToken, Description: "No."}, 401},
		"typed-403":           {nil, &Refusal{Status: 403, Code: CodeInsufficientScope, Scope: scopes.Of("x"), Description: "More."}, 403},
		"typed-without-value": {nil, (*Refusal)(nil), 500},
		"typed-without-sense": {nil, &Refusal{Status: 200, Code: "ok"}, 500},
		"typed-status-0":      {nil, &Refusal{}, 500},
	}
}

func TestSeed_S11_HookJudges(t *testing.T) {
	t.Parallel()
	var all map[string]verdict
	w := newWorld(t, func(w *world, cfg *Config) {
		all = verdicts(w.resource)
		cfg.Validate = func(_ context.Context, token string) (*AccessToken, error) { return all[token].answer, all[token].err }
	}).ready(t)
	for token, c := range all {
		a := w.post(t, token, ping)
		if a.StatusCode != c.status {
			t.Errorf("%s: %d, want %d: %s", token, a.StatusCode, c.status, a.body)
		}
		if challenged := a.Header.Get("WWW-Authenticate") != ""; challenged != (c.status == 401 || c.status == 403) {
			t.Errorf("%s: challenge %q", token, a.Header.Get("WWW-Authenticate"))
		}
		if token == "typed-unavailable" && (a.Header.Get("Retry-After") != "60" || !strings.Contains(a.body, "temporarily_unavailable: Later.")) {
			t.Errorf("%v %s", a.Header, a.body)
		}
	}
}

func TestSeed_S11_HookIsForTokensThatAreNoJWTs(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		cfg.Validate = func(context.Context, string) (*AccessToken, error) {
			asked.Add(1)
			return carol(), nil
		}
	}).ready(t)
	w.expect(t, w.Token(), ping, http.StatusOK, "")
	w.expect(t, w.Token(rstest.Claims{"exp": 1000}), ping, http.StatusUnauthorized, "invalid_token")
	if n := asked.Load(); n != 0 {
		t.Errorf("the hook was asked about JWTs %d times", n)
	}
	w.expect(t, "key-1", ping, http.StatusOK, "")
	if n := w.Requests(rstest.IntrospectPath); n != 0 || asked.Load() != 1 {
		t.Errorf("%d introspections, %d calls", n, asked.Load())
	}
	// Without OAuth nobody else could judge a JWT.
	alone := newWorld(t, func(_ *world, cfg *Config) {
		cfg.Issuer = ""
		cfg.Validate = func(_ context.Context, token string) (*AccessToken, error) {
			if strings.HasPrefix(token, "ey") {
				return carol(), nil
			}
			return nil, nil
		}
	})
	alone.expect(t, alone.Token(), ping, http.StatusOK, "")
	alone.expect(t, "key-1", ping, http.StatusUnauthorized, "invalid_token")
}

func TestSeed_S11_HookIsAskedOnceByManyAndRemembered(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	release := make(chan struct{})
	w := newWorld(t, validating(func(context.Context, string) (*AccessToken, error) {
		asked.Add(1)
		<-release
		token := carol()
		token.ExpiresAt = time.Now().Add(90 * time.Second)
		return token, nil
	})).ready(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { w.expect(t, "key", ping, http.StatusOK, "") })
	}
	eventually(t, func() bool { return asked.Load() > 0 })
	close(release)
	wg.Wait()
	w.expect(t, "key", ping, http.StatusOK, "")
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.advance(activeInSync - 5*time.Second)
	w.expect(t, "key", ping, http.StatusOK, "")
	w.advance(6 * time.Second)
	w.expect(t, "key", ping, http.StatusOK, "")
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times after a minute", n)
	}
	w.advance(30 * time.Second) // past what the hook said, so that it is asked again: it says the same
	w.expect(t, "key", ping, http.StatusUnauthorized, "invalid_token")
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times after the expiry", n)
	}
}

func TestSeed_S11_PanicOfTheHookIs500(t *testing.T) {
	t.Parallel()
	w := newWorld(t, validating(func(_ context.Context, token string) (*AccessToken, error) {
		if token == "good" {
			return carol(), nil
		}
		panic("no row for " + token)
	})).ready(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			a := w.post(t, "secret-key-1", ping)
			if a.StatusCode != http.StatusInternalServerError || strings.Contains(a.body, "row") || !strings.Contains(a.body, `"server_error: The request failed."`) {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	wg.Wait()
	w.expect(t, "good", ping, http.StatusOK, "")
	log := w.log.String()
	if !strings.Contains(log, "no row for [redacted]") || strings.Contains(log, "secret-key-1") || !strings.Contains(log, "hook.go") {
		t.Errorf("log %s", log)
	}
}

func TestSeed_S11_HookThatDoesNotComeBackIs503(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, obeys := range []bool{true, false} {
			stuck := make(chan struct{})
			s, err := New(t.Context(), Config{Resource: "https://h/mcp", Validate: func(ctx context.Context, _ string) (*AccessToken, error) {
				if obeys {
					<-ctx.Done()
					return nil, &Refusal{Status: 503, Code: CodeTemporarilyUnavailable}
				}
				<-stuck
				return nil, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = s.Verifier().Verify(t.Context(), "key")
			refusal, _ := errors.AsType[*Refusal](err)
			if refusal == nil || refusal.Code != CodeTemporarilyUnavailable || time.Since(began) > fetchTimeout+time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			close(stuck)
		}
	})
}

func TestSeed_S11_CallsOfTheHookAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		release := make(chan struct{})
		s, err := New(t.Context(), Config{Resource: "https://h/mcp", Validate: func(context.Context, string) (*AccessToken, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-release
			return carol(), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { _, _ = s.Verifier().Verify(t.Context(), fmt.Sprintf("key-%d", i)) })
		}
		synctest.Wait()
		_, err = s.Verifier().Verify(t.Context(), "one-more")
		if refusal, _ := errors.AsType[*Refusal](err); refusal == nil || refusal.Code != CodeTemporarilyUnavailable || running.Load() != maxCalls || most.Load() != maxCalls {
			t.Errorf("%v, %d running, %d at most", err, running.Load(), most.Load())
		}
		close(release)
		wg.Wait()
		if _, err := s.Verifier().Verify(t.Context(), "one-more"); err != nil {
			t.Error(err)
		}
	})
}

// What a hook says may be revoked by the issuer, unless it names another one.
func TestSeed_S11_S29_RevocationsCoverWhatTheHookSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		cfg.Validate = func(_ context.Context, token string) (*AccessToken, error) {
			said := carol()
			if token == "foreign" {
				said.Issuer = "https://other.example"
			}
			return said, nil
		}
	}).ready(t)
	w.expect(t, "own", ping, http.StatusOK, "")
	w.expect(t, "foreign", ping, http.StatusOK, "")
	w.RevokeBefore("", "", time.Now())
	eventually(t, func() bool { return w.post(t, "own", ping).StatusCode == http.StatusUnauthorized })
	w.expect(t, "foreign", ping, http.StatusOK, "")
}

// The hook keeps what it returns; nobody but it can change what was decided.
func TestSeed_S11_AnswersOfTheHookAreCopied(t *testing.T) {
	t.Parallel()
	kept := carol()
	s, err := New(t.Context(), Config{Resource: "https://h/mcp", Metrics: prometheus.NewRegistry(), Validate: func(context.Context, string) (*AccessToken, error) { return kept, nil }})
	if err != nil {
		t.Fatal(err)
	}
	said, err := s.Verifier().Verify(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	kept.Scopes[0], kept.Subject = "mcp:admin", "root"
	if !said.Scopes.Has("mcp:read") || said.Subject != "carol" {
		t.Errorf("%+v", said)
	}
}
