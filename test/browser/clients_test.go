package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// The clients that applications are built with register themselves, and a
// person at this browser lets them in. What they do afterwards is followed
// further in test/e2e.

// allow has the person in the tab allow a request and returns the answer.
func (a *app) allow(b *tab, address string) url.Values {
	a.t.Helper()
	b.open(address)
	if b.path() == "/login" {
		b.signIn()
	}
	b.follow(`button[value="allow"]`)
	select {
	case got := <-a.answers:
		return got
	case <-time.After(limit):
		a.t.Fatal("the client got no answer")
		return nil
	}
}

func TestClients_GoSDK(t *testing.T) {
	t.Parallel()
	a, b := newSite(t).listen(), newTab(t)
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		RedirectURL: a.callback, Client: a.HTTP, RequestRefreshToken: true,
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Program", RedirectURIs: []string{a.callback}, GrantTypes: []string{"authorization_code", "refresh_token"},
		}},
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			got := a.allow(b, args.URL)
			return &auth.AuthorizationResult{Code: got.Get("code"), State: got.Get("state"), Iss: got.Get("iss")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "program", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: a.Resource, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	for _, call := range []*mcp.CallToolParams{
		{Name: "list_notes"},
		{Name: "write_note", Arguments: map[string]any{"title": "a", "text": "b"}}, // steps up
	} {
		if got, err := session.CallTool(t.Context(), call); err != nil || got.IsError {
			t.Fatalf("%s: %+v %v", call.Name, got, err)
		}
	}
}

// Both generations of the client of Node.js.
func TestClients_TypeScript(t *testing.T) {
	t.Parallel()
	for _, sdk := range []string{"client", "sdk"} {
		t.Run(sdk, func(t *testing.T) {
			t.Parallel()
			a, b := newSite(t).listen(), newTab(t)
			program := a.launch(b, sdk)
			program.do(map[string]any{"do": "connect"}, nil)
			var tools []string
			if program.do(map[string]any{"do": "tools"}, &tools); !slices.Contains(tools, "list_notes") || slices.Contains(tools, "write_note") {
				t.Errorf("tools %v", tools)
			}
			list := map[string]any{"do": "use", "tool": "list_notes", "arguments": map[string]any{}}
			program.do(list, nil)
			program.do(map[string]any{"do": "expire"}, nil)
			program.do(list, nil) // by its refresh token
			if sdk == "client" {  // the other never asks for more while it can refresh
				program.do(map[string]any{"do": "use", "tool": "write_note", "arguments": map[string]any{"title": "a", "text": "b"}}, nil)
			}
		})
	}
}

// program is a running test/e2e/application.mjs.
type program struct {
	app    *app
	tab    *tab
	stdin  io.Writer
	stdout *bufio.Reader
}

func (a *app) launch(b *tab, sdk string) *program {
	a.t.Helper()
	argument, err := json.Marshal(map[string]any{"sdk": sdk, "endpoint": a.Resource, "callback": a.callback})
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.CommandContext(a.t.Context(), "node", "application.mjs", string(argument))
	cmd.Dir, cmd.Stderr = "../e2e", os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &program{a, b, stdin, bufio.NewReader(stdout)}
}

// do has the program carry out a command, and the person allow what it takes.
func (p *program) do(command, result any) {
	p.app.t.Helper()
	say := func(message any) {
		line, err := json.Marshal(message)
		if err == nil {
			_, err = p.stdin.Write(append(line, '\n'))
		}
		if err != nil {
			p.app.t.Fatal(err)
		}
	}
	say(command)
	for {
		line, err := p.stdout.ReadBytes('\n')
		var message struct {
			Open, Error string
			Result      json.RawMessage
		}
		if err != nil || json.Unmarshal(line, &message) != nil || message.Error != "" {
			p.app.t.Fatalf("%v: %s %v", command, line, err)
		}
		if message.Open == "" {
			if result != nil && json.Unmarshal(message.Result, result) != nil {
				p.app.t.Fatalf("%v: %s", command, line)
			}
			return
		}
		say(map[string]any{"callback": p.app.callback + "?" + p.app.allow(p.tab, message.Open).Encode()})
	}
}
