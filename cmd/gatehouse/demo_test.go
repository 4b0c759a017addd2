package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/demo"
)

// startPair runs dev's pair for the test and returns a function that registers
// fresh clients for one demonstration.
func startPair(t *testing.T) func(*testing.T) demo.Config {
	t.Helper()
	dir := t.TempDir()
	p := &process{
		globals: globals{Data: dir, LogLevel: "error"},
		getenv:  func(string) string { return "" }, stdin: strings.NewReader(""), stdout: io.Discard, stderr: t.Output(),
	}
	command := &devCommand{IssuerAddr: "localhost:0", ResourceAddr: "localhost:0", EnvFile: filepath.Join(dir, "env"), demonstration: true}
	ctx, stop := context.WithCancel(t.Context())
	d, err := command.start(ctx, p)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-served, d.close()); err != nil {
			t.Error(err)
		}
	})
	if err := d.awaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) demo.Config {
		t.Helper()
		cfg, err := p.demoConfig(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
}

// mangler makes the servers misbehave: it may change any answer on its way.
type mangler func(*http.Request, *http.Response) error

func (m mangler) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		err = m(r, response)
	}
	return response, err
}

func replaceBody(response *http.Response, code int, from, to string) error {
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	response.StatusCode = code
	response.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(from), []byte(to))))
	return err
}

// The demonstration must be able to fail: each of these servers does one thing
// wrong, and the step that would show it says so.
func TestDemo_NoticesMisbehaviour(t *testing.T) {
	t.Parallel()
	fresh := startPair(t)
	path := func(suffix string) func(*http.Request) bool {
		return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, suffix) }
	}
	for name, test := range map[string]struct {
		where   func(*http.Request) bool
		when    func(*http.Response) bool
		code    int
		old     string
		new     string
		step    string // the first that has to fail
		problem string
	}{
		"no challenge":                {path("/mcp"), is(401), 401, "", "", "Without a token", "Bearer challenge"},
		"resource of someone else":    {path("/.well-known/oauth-protected-resource/mcp"), is(200), 200, "/mcp", "/other", "The resource names", "expected resource"},
		"issuer of someone else":      {path("oauth-authorization-server"), is(200), 200, `"issuer":"http://localhost`, `"issuer":"http://127.0.0.1`, "The authorization server names", "expected issuer"},
		"token endpoint down":         {path("/oauth/token"), is(200), 503, "", "", "A JWT access token", "expected HTTP 200, got 503"},
		"tools vanish":                {path("/mcp"), is(200), 200, "list_notes", "other", "List the tools, with the JWT", "list_notes"},
		"step-up without scopes":      {path("/mcp"), is(403), 403, "insufficient_scope", "forbidden", "It may not call tools", "insufficient_scope"},
		"low scopes are enough":       {path("/mcp"), is(403), 200, "", "", "It may not call tools", "expected HTTP 403, got 200"},
		"revocation refused":          {path("/oauth/revoke"), is(200), 400, "", "", "Revoke the JWT", "expected HTTP 200, got 400"},
		"inactive is called active":   {path("/oauth/introspect"), is(200), 200, `"active":false`, `"active":true`, "Introspection calls the JWT", "expected active: false"},
		"active is called inactive":   {path("/oauth/introspect"), is(200), 200, `"active":true`, `"active":false`, "Introspect the JWT", "expected active: true"},
		"any resource gets a token":   {path("/oauth/token"), is(400), 200, "", "", "A token for a resource that the client may not use", "expected HTTP 400, got 200"},
		"wrong error for a resource":  {path("/oauth/token"), is(400), 400, "invalid_target", "invalid_request", "A token for a resource that the client may not use", "invalid_target"},
		"challenge without its error": {path("/mcp"), refusedToken, 401, "", "", "The MCP endpoint refuses the JWT", "Bearer challenge"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fresh(t)
			cfg.HTTP = &http.Client{Transport: mangler(func(r *http.Request, response *http.Response) error {
				if !test.where(r) || !test.when(response) {
					return nil
				}
				if test.problem == "Bearer challenge" {
					response.Header.Del("WWW-Authenticate")
				}
				return replaceBody(response, test.code, test.old, test.new)
			})}
			expectFailure(t, demo.Run(t.Context(), cfg), test.step, test.problem)
		})
	}
}

func is(code int) func(*http.Response) bool {
	return func(response *http.Response) bool { return response.StatusCode == code }
}

func refusedToken(response *http.Response) bool {
	return response.StatusCode == http.StatusUnauthorized && strings.Contains(response.Header.Get("WWW-Authenticate"), "invalid_token")
}

func expectFailure(t *testing.T, err error, step, problem string) {
	t.Helper()
	failed, ok := errors.AsType[*demo.StepError](err)
	if !ok || !strings.HasPrefix(failed.Step, step) || !strings.Contains(failed.Error(), problem) {
		t.Errorf("got %v, want step %q with %q", err, step, problem)
	}
}

// A resource server that takes anything: tokens of another audience, and
// tokens that were revoked.
func TestDemo_NoticesAcceptedTokens(t *testing.T) {
	t.Parallel()
	fresh := startPair(t)
	for name, test := range map[string]struct{ audience, step string }{
		"revoked":        {"/mcp", "The MCP endpoint refuses the JWT"},
		"other audience": {"/other", "It is worth nothing here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fresh(t)
			cfg.HTTP = &http.Client{Transport: mangler(func(r *http.Request, response *http.Response) error {
				if !refusedToken(response) || audienceOf(r) != test.audience {
					return nil
				}
				response.Header.Del("WWW-Authenticate")
				return replaceBody(response, 200, "", "")
			})}
			expectFailure(t, demo.Run(t.Context(), cfg), test.step, "expected HTTP 401, got 200")
		})
	}
}

// audienceOf returns the path of the audience of the JWT that a request
// carries, or nothing.
func audienceOf(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		return ""
	}
	payload := decodeSegment(parts[1])
	for _, path := range []string{"/mcp", "/other"} {
		if strings.Contains(payload, path+`"`) {
			return path
		}
	}
	return ""
}
