package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/oauthclient"
)

type callCommand struct {
	Method   string `arg:"" help:"MCP method, such as tools/list, tools/call, resources/read."`
	Tool     string `placeholder:"NAME" help:"Tool to call; --args are its arguments."`
	Args     string `default:"{}" placeholder:"JSON" help:"Parameters of the method as a JSON object."`
	Resource string `env:"RESOURCE" placeholder:"URL" help:"MCP endpoint."`
	Token    string `env:"TOKEN" placeholder:"TOKEN" help:"Access token; default one by client credentials. - reads it from stdin."`
	Scope    string `placeholder:"\"A B\"" help:"Scopes to ask for, without --token."`
	jsonOutput
	credentials
}

// Run calls the method and prints its result as JSON.
func (c *callCommand) Run(ctx context.Context, p *process) error {
	if c.Resource == "" {
		return usagef("--resource or RESOURCE is missing: the URL of the MCP endpoint")
	}
	params, err := c.params()
	if err != nil {
		return err
	}
	bearer, err := c.bearer(p)
	if err != nil {
		return err
	}
	result, err := c.call(ctx, bearer, params)
	if failure := bearer.failure.Load(); err != nil && failure != nil {
		return *failure // the client only says that it has no token
	}
	if err != nil {
		return err
	}
	return printAnswer(p.stdout, c.JSON, result)
}

func (c *callCommand) params() (json.RawMessage, error) {
	var args map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.Args), &args); err != nil {
		return nil, usagef(`--args must be a JSON object such as {"id":"1"}: %w`, err)
	}
	switch {
	case c.Tool == "":
		return json.RawMessage(c.Args), nil
	case c.Method != "tools/call":
		return nil, usagef("--tool goes with the method tools/call")
	}
	return json.Marshal(map[string]any{"name": c.Tool, "arguments": args})
}

// bearer decides how to get a token: the one given, or by client credentials
// when the server asks for one.
func (c *callCommand) bearer(p *process) (*bearer, error) {
	b := &bearer{resource: c.Resource, scope: c.Scope}
	if c.Token != "" {
		token, err := argumentOrStdin(c.Token, p.stdin)
		b.token.Store(&token)
		return b, err
	}
	client, err := c.credentials.read()
	b.client = &client
	return b, err
}

func (c *callCommand) call(ctx context.Context, b *bearer, params json.RawMessage) (any, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "gatehouse", Version: version()}, nil)
	if !isStandard(c.Method) {
		if err := mcp.AddSendingCustomMethod[*anyParams, *anyResult](client, c.Method); err != nil {
			return nil, usagef("%q cannot be called: %w", c.Method, err)
		}
	}
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: c.Resource, OAuthHandler: b, MaxRetries: -1, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return nil, callError(err)
	}
	defer func() { _ = session.Close() }() // the answer is there; only the good-bye can fail
	result, err := callMethod(ctx, session, c.Method, params)
	return result, callError(err)
}

// codeRejected is how the MCP client marks what never was an answer.
const codeRejected = -32005

// callError keeps the server's own words of a JSON-RPC error, and the reason
// when there was no answer.
func callError(err error) error {
	rpc, ok := errors.AsType[*mcpError](err)
	if !ok {
		return err
	}
	if _, reason, found := strings.Cut(err.Error(), rpc.Message+": "); found && rpc.Code == codeRejected {
		return fmt.Errorf("the MCP endpoint cannot be used: %s", reason)
	}
	return fmt.Errorf("the server answers with error %d: %s", rpc.Code, rpc.Message)
}

// bearer gives the MCP client its token. When there is none yet it discovers
// the issuer from the server's challenge (RFC 9728 §5.1) and gets one.
type bearer struct {
	resource string
	scope    string
	client   *oauthclient.Credentials // nil when a token was given

	token   atomic.Pointer[string]
	failure atomic.Pointer[error] // of the last Authorize
}

// TokenSource implements auth.OAuthHandler.
func (b *bearer) TokenSource(context.Context) (oauth2.TokenSource, error) {
	token := b.token.Load()
	if token == nil {
		return nil, nil
	}
	return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: *token}), nil
}

// Authorize implements auth.OAuthHandler: it answers the first 401 with a new
// token and reports every other refusal.
func (b *bearer) Authorize(ctx context.Context, _ *http.Request, response *http.Response) error {
	defer response.Body.Close()
	err := b.authorize(ctx, response)
	if err != nil {
		b.failure.Store(&err)
	} else {
		b.failure.Store(nil)
	}
	return err
}

func (b *bearer) authorize(ctx context.Context, response *http.Response) error {
	challenge := bearerChallenge(response)
	if response.StatusCode != http.StatusUnauthorized || b.client == nil || b.token.Load() != nil {
		return &refusedError{status: response.StatusCode, challenge: challenge, header: strings.Join(response.Header.Values("WWW-Authenticate"), ", ")}
	}
	resource, err := oauthclient.DiscoverResource(ctx, b.resource, challenge["resource_metadata"])
	if err != nil {
		return err
	}
	_, token, err := fetchToken(ctx, resource.AuthorizationServers[0], *b.client, oauthclient.TokenRequest{Scope: b.scope, Resource: resource.Resource})
	if err != nil {
		return err
	}
	b.token.Store(&token)
	return nil
}

func bearerChallenge(response *http.Response) map[string]string {
	challenges, err := oauthex.ParseWWWAuthenticate(response.Header.Values("WWW-Authenticate"))
	if err != nil {
		return nil
	}
	for _, c := range challenges {
		if strings.EqualFold(c.Scheme, "bearer") {
			return c.Params
		}
	}
	return nil
}

// refusedError is an answer 401 or 403 with its challenge (RFC 6750 §3).
type refusedError struct {
	status    int
	challenge map[string]string
	header    string
}

func (e *refusedError) Error() string {
	text := fmt.Sprintf("refused with %d", e.status)
	if code := e.challenge["error"]; code != "" {
		text += " " + code
	}
	if description := e.challenge["error_description"]; description != "" {
		text += ": " + strings.TrimSuffix(description, ".")
	}
	switch {
	case e.challenge["error"] == "insufficient_scope" && strings.Contains(text, e.challenge["scope"]):
	case e.challenge["error"] == "insufficient_scope":
		text += fmt.Sprintf("; get a token with the scopes %q", e.challenge["scope"])
	case e.challenge["error"] == "invalid_token":
		text += "; get a new token"
	case e.status == http.StatusUnauthorized:
		text += "; a token is needed"
	}
	if e.header != "" {
		text += " (WWW-Authenticate: " + e.header + ")"
	}
	return text
}
