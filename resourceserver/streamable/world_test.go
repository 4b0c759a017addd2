package streamable

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// deadline bounds every wait of a test.
const deadline = 10 * time.Second

// identify stands for the gate: it takes "alice,mcp:read,mcp:tools" for a
// token, and asks for nothing in particular.
func identify(next http.Handler) http.Handler {
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		user, granted, _ := strings.Cut(token, ",")
		return &auth.TokenInfo{UserID: user, Scopes: strings.Split(granted, ","), Expiration: time.Now().Add(time.Hour)}, nil
	}
	return auth.RequireBearerToken(verify, nil)(next)
}

// rules are those of the server in these tests.
func rules(t testing.TB) (*policy.Policy, *scopes.Catalog) {
	t.Helper()
	catalog, err := scopes.NewCatalog(append(scopes.Default(), scopes.Scope{Name: "files:admin"})...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(policy.Config{
		ToolScopes: []policy.Rule{
			{Match: "read", Scopes: scopes.Of("mcp:tools", "mcp:read")},
			{Match: "write", Scopes: scopes.Of("mcp:tools", "mcp:write")},
			{Match: "stats", Scopes: scopes.Of("mcp:admin")},
		},
		ResourceScopes: []policy.Rule{{Match: "file:///public/"}, {Match: "file:///private/", Scopes: scopes.Of("files:admin")}},
		PromptScopes:   []policy.Rule{{Match: "audit", Scopes: scopes.Of("mcp:admin")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, catalog
}

// server has tools that tell who called them; "slow" waits for release or the
// end of its context and says which on done.
type server struct {
	*mcp.Server
	started, release chan struct{}
	done             chan error
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{started: make(chan struct{}, 8), release: make(chan struct{}), done: make(chan error, 8)}
	s.Server = mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, ServerOptions(mcp.ServerOptions{
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		CompletionHandler: func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{"x"}}}, nil
		},
	}))
	for _, name := range []string{"read", "write", "stats", "plain"} {
		mcp.AddTool(s.Server, &mcp.Tool{Name: name}, func(_ context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name + " for " + strings.Join(req.Extra.TokenInfo.Scopes, ",")}}}, nil, nil
		})
	}
	mcp.AddTool(s.Server, &mcp.Tool{Name: "slow"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		s.started <- struct{}{}
		select {
		case <-s.release:
		case <-ctx.Done():
		}
		s.done <- ctx.Err()
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "slow result"}}}, nil, ctx.Err()
	})
	read := func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "content"}}}, nil
	}
	for _, uri := range []string{"file:///public/readme", "file:///private/plan", "notes://all", "notes://café"} {
		s.AddResource(&mcp.Resource{Name: uri, URI: uri}, read)
	}
	s.AddResourceTemplate(&mcp.ResourceTemplate{Name: "t1", URITemplate: "notes://{id}"}, read)
	s.AddResourceTemplate(&mcp.ResourceTemplate{Name: "t2", URITemplate: "file:///private/{id}"}, read)
	for _, name := range []string{"audit", "summary"} {
		s.AddPrompt(&mcp.Prompt{Name: name}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: name}}}}, nil
		})
	}
	p, catalog := rules(t)
	s.AddReceivingMiddleware(FilterLists(p, catalog))
	return s
}

// client speaks HTTP to an endpoint with one token.
type client struct {
	t       testing.TB
	url     string
	token   string
	session string // Mcp-Session-Id, if it has one
	accept  *string
}

// start serves s; close ends every connection.
func start(t testing.TB, s *server, opts *Options) (*client, *Endpoint) {
	t.Helper()
	endpoint := Handler(s.Server, opts)
	front := httptest.NewServer(identify(endpoint))
	t.Cleanup(func() {
		endpoint.CloseSessions(nil)
		front.CloseClientConnections()
		front.Close()
	})
	return &client{t: t, url: front.URL, token: "alice,mcp:admin,files:admin"}, endpoint
}

// as returns a client with another token in the same session.
func (c *client) as(token string) *client {
	other := *c
	other.token = token
	return &other
}

// do sends a request; header has names and values in turn.
func (c *client) do(ctx context.Context, method, body string, header ...string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Accept", "application/json, text/event-stream")
	if c.accept != nil {
		r.Header["Accept"] = []string{*c.accept}
	}
	r.Header.Set("Content-Type", "application/json")
	if c.session != "" {
		r.Header.Set(headerSession, c.session)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
	rpc    struct {
		ID     json.RawMessage `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Code    int             `json:"code"`
			Message string          `json:"message"`
			Data    json.RawMessage `json:"data"`
		} `json:"error"`
	}
}

// code returns the JSON-RPC error code, 0 without an error.
func (a answer) code() int {
	if a.rpc.Error == nil {
		return 0
	}
	return a.rpc.Error.Code
}

// send sends a request and reads the whole response; of an event stream the
// last message counts.
func (c *client) send(method, body string, header ...string) answer {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	resp := c.do(ctx, method, body, header...)
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
	last := string(raw)
	for line := range strings.Lines(a.body) {
		if data, found := strings.CutPrefix(line, "data: {"); found {
			last = "{" + data
		}
	}
	if strings.HasPrefix(last, "{") {
		if err := json.Unmarshal([]byte(last), &a.rpc); err != nil {
			c.t.Fatalf("%v: %s", err, last)
		}
	}
	return a
}

// initialize opens a session of 2025-11-25.
func (c *client) initialize() answer {
	c.t.Helper()
	a := c.send(http.MethodPost, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	if a.status == http.StatusOK {
		c.session = a.header.Get(headerSession)
		if n := c.send(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/initialized"}`); n.status != http.StatusAccepted {
			c.t.Fatalf("initialized: %d %s", n.status, n.body)
		}
	}
	return a
}

// request builds a message; params is without braces.
func request(method, params string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":{` + params + `}}`
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// modern sends a message of 2026-07-28; name is for the header Mcp-Name.
func (c *client) modern(method, params, name string, header ...string) answer {
	c.t.Helper()
	return c.send(http.MethodPost, modernBody(method, params), append(modernHeader(method, name), header...)...)
}

func modernBody(method, params string) string {
	return request(method, strings.TrimPrefix(params+","+modernMeta, ","))
}

func modernHeader(method, name string) []string {
	header := []string{headerVersion, "2026-07-28", headerMethod, method}
	if name != "" {
		header = append(header, headerName, name)
	}
	return header
}

// nextData returns the next event's data that is not empty.
func nextData(t testing.TB, stream *bufio.Reader) (id, data string) {
	t.Helper()
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if v, found := strings.CutPrefix(line, "id: "); found {
			id = strings.TrimSpace(v)
		}
		if v, found := strings.CutPrefix(line, "data: "); found && len(v) > 1 {
			return id, strings.TrimSpace(v)
		}
	}
}

// await receives from c within the deadline.
func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}
