package resourceserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// telling stands in everything that goes wrong inside; no answer may have any
// part of it.
const telling = "pq: relation tokens, /srv/app/db.go:42, dial tcp 10.1.2.3:5432"

// sentences are all that an answer may say, by status.
var sentences = map[int][]string{
	400: {
		"invalid_request: The Authorization header must be exactly one bearer token.", "invalid_request: the body is not JSON",
		"invalid_request: the message has no method", "invalid_request: name and uri are strings", "invalid_request: The headers contradict each other.",
	},
	401: {"invalid_token: An access token is required.", "invalid_token: The access token is not valid here."},
	403: {
		"insufficient_scope: The operation needs a token with the scopes mcp:read mcp:tools.",
		"insufficient_scope: The operation needs a token with the scopes mcp:admin.",
		"origin_not_allowed: The Host or Origin header is not allowed.", "ip_not_allowed: The address may not connect.",
		"https_required: Only https is accepted. Consider the token disclosed.",
	},
	413: {"request_too_large: The body is too large."},
	415: {"unsupported_media_type: The Content-Type must be application/json."},
	429: {"rate_limited: There were too many requests. Try again later."},
	431: {"too_many_headers: The request has too many header fields."},
	500: {"server_error: The request failed."},
	503: {"temporarily_unavailable: Access tokens cannot be verified at the moment.", "temporarily_unavailable: Later."},
}

// attempt is a request that is refused, and how.
type attempt struct {
	name   string
	status int
	token  string
	body   string
	edit   func(*http.Request)
}

// check makes the attempt and looks at all of the answer.
func (a attempt) check(t *testing.T, w *world) {
	t.Helper()
	got := w.do(t, http.MethodPost, a.token, cmp.Or(a.body, ping), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		if a.edit != nil {
			a.edit(r)
		}
	})
	if got.StatusCode != a.status {
		t.Errorf("%s: %d, want %d: %s", a.name, got.StatusCode, a.status, got.body)
		return
	}
	var body struct {
		JSONRPC string
		Error   struct {
			Code    int
			Message string
			Data    struct{ Error, Scope string }
		}
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		t.Errorf("%s: %s: %v", a.name, got.body, err)
	}
	if !slices.Contains(sentences[a.status], body.Error.Message) || !strings.HasPrefix(body.Error.Message, body.Error.Data.Error+": ") {
		t.Errorf("%s: says %q", a.name, body.Error.Message)
	}
	answer := fmt.Sprint(got.Header) + got.body
	for _, word := range append(strings.Fields(telling), w.URL, "panic", ".go", "introspect", "connection refused") {
		if strings.Contains(answer, word) {
			t.Errorf("%s: %q is in %.2000s", a.name, word, answer)
		}
	}
	if a.token != "" && strings.Contains(answer, a.token) {
		t.Errorf("%s: the token is in the answer", a.name)
	}
}

// broken makes whatever can go wrong go wrong, tellingly.
func broken(t *testing.T) func(*world, *Config) {
	t.Helper()
	p, err := policy.New(policy.Config{Hook: func(op policy.Operation) (scopes.Set, bool) {
		if op.Name == "policy" {
			panic(telling)
		}
		return nil, false
	}})
	if err != nil {
		t.Fatal(err)
	}
	return func(w *world, cfg *Config) {
		static(w, cfg)
		w.handler = func(http.ResponseWriter, *http.Request) { panic(telling) }
		cfg.Policy, cfg.MaxBodyBytes, cfg.MaxHeaders = p, 10_000, 50
		cfg.Validate = func(_ context.Context, token string) (*AccessToken, error) {
			switch token {
			case "key-panic":
				panic(errors.New(telling))
			case "key-later":
				return nil, fmt.Errorf("%s: %w", telling, &Refusal{Status: 503, Code: CodeTemporarilyUnavailable, Description: "Later.", cause: errors.New(telling)})
			case "key-nonsense":
				return nil, fmt.Errorf("%s: %w", telling, &Refusal{Status: 99, Code: telling, Description: telling})
			}
			return nil, errors.New(telling + token)
		}
	}
}

// TestSeed_S25_ErrorsLeakNothing provokes every refusal and every failure.
func TestSeed_S25_ErrorsLeakNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, broken(t)).ready(t)
	attempts := []attempt{
		{name: "no token", status: 401},
		{name: "two tokens", status: 400, edit: func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + robot, "Bearer " + robot} }},
		{name: "malformed token", status: 400, token: telling},
		{name: "hook: error", status: 401, token: "key"},
		{name: "hook: panic", status: 500, token: "key-panic"},
		{name: "hook: own refusal", status: 503, token: "key-later"},
		{name: "hook: nonsense", status: 500, token: "key-nonsense"},
		{name: "scope", status: 403, token: monitor, body: callTool},
		{name: "policy: panic", status: 403, token: robot, body: strings.Replace(callTool, "write_note", "policy", 1)},
		{name: "policy: panic, no token", status: 401, body: strings.Replace(callTool, "write_note", "policy", 1)},
		{name: "handler: panic", status: 500, token: robot},
		{name: "no JSON", status: 400, token: robot, body: telling},
		{name: "no method", status: 400, token: robot, body: `{"jsonrpc":"2.0","id":1}`},
		{name: "no name", status: 400, token: robot, body: strings.Replace(callTool, `"write_note"`, `{}`, 1)},
		{name: "too large", status: 413, body: strings.Repeat(" ", 10_001)},
		{name: "content type", status: 415, token: robot, edit: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain; "+telling) }},
		{name: "headers", status: 431, edit: func(r *http.Request) { r.Header["X-Many"] = slices.Repeat([]string{telling}, 50) }},
		{name: "host", status: 403, edit: func(r *http.Request) { r.Host = "evil.example" }},
		{name: "origin", status: 403, edit: func(r *http.Request) { r.Header.Set("Origin", telling) }},
	}
	for name, token := range w.Broken() {
		attempts = append(attempts, attempt{name: name, status: 401, token: token})
	}
	for _, a := range attempts {
		a.check(t, w)
	}
	if n := w.calls.Load(); n != 1 {
		t.Errorf("the handler saw %d requests, want the one that it panicked on", n)
	}
	if !strings.Contains(w.log.String(), telling) {
		t.Error("nor does the operator get to know what was wrong")
	}
}

// TestSeed_S25_OutagesLeakNothing: what the issuer, or the way to it, says
// when it cannot be asked.
func TestSeed_S25_OutagesLeakNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]transport{
		"error":  func(*http.Request) (*http.Response, error) { return nil, errors.New(telling) },
		"status": func(*http.Request) (*http.Response, error) { return respond(500, "text/plain", telling) },
		"body":   func(*http.Request) (*http.Response, error) { return respond(200, "application/json", telling) },
		"member": func(*http.Request) (*http.Response, error) {
			return respond(200, "application/json", `{"active":"`+telling+`","jwks_uri":"`+telling+`","keys":"`+telling+`"}`)
		},
		"cut off": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{}))}, nil
		},
	} {
		for _, known := range []bool{true, false} { // where the endpoints are
			w := newWorld(t, func(w *world, cfg *Config) {
				credentials(w, cfg)
				cfg.HTTPClient = &http.Client{Transport: answer}
				if known {
					cfg.JWKSURI, cfg.Introspection.Endpoint = w.URL+rstest.JWKSPath, w.URL+rstest.IntrospectPath
				}
			})
			attempt{name: name + ", JWT", status: 503, token: w.Token()}.check(t, w)
			attempt{name: name + ", opaque", status: 503, token: "gha_opaque"}.check(t, w)
		}
	}
}

// failing is a body that breaks off.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New(telling) }

func TestSeed_S25_RulesOfTheNetworkLeakNothing(t *testing.T) {
	t.Parallel()
	secure := newWorld(t, func(_ *world, cfg *Config) { cfg.RequireHTTPS = true }).ready(t)
	attempt{name: "https", status: 403, token: secure.Token()}.check(t, secure)
	limited := newWorld(t, func(_ *world, cfg *Config) { cfg.RateLimits.PerAddress = 10 }).ready(t)
	attempt{name: "first", status: 401}.check(t, limited)
	attempt{name: "rate", status: 429}.check(t, limited)
}
