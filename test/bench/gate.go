package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// greeting is in the answer of the tool.
const greeting = "hello, world"

type greetArgs struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

// endpoint is an MCP server with one tool; with guards it is what stands behind
// the gate, down to the wall inside of the SDK.
func endpoint(guards ...mcp.Middleware) http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1"}, streamable.ServerOptions(mcp.ServerOptions{}))
	mcp.AddTool(server, &mcp.Tool{Name: "greet", Description: "Greets."},
		func(_ context.Context, _ *mcp.CallToolRequest, args greetArgs) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hello, " + args.Name}}}, nil, nil
		})
	server.AddReceivingMiddleware(guards...)
	return streamable.Handler(server, &streamable.Options{HostChecked: true, MaxSessions: 1000})
}

// protect serves the endpoint twice, behind the gate and without one.
func (s *stage) protect(ctx context.Context, guarded, bare net.Listener) (err error) {
	rules, err := policy.New(policy.Config{ToolScopes: []policy.Rule{{Match: "greet", Scopes: scopes.Of(scopes.MCPTools, scopes.MCPRead)}}})
	if err != nil {
		return err
	}
	catalog, err := scopes.NewCatalog(scopes.Default()...)
	if err != nil {
		return err
	}
	s.gate, err = resourceserver.New(ctx, resourceserver.Config{
		Resource: s.resource, Issuer: s.issuer, Scopes: catalog, Policy: rules,
		Introspection: &resourceserver.ClientCredentials{ClientID: ownClient, ClientSecret: s.secrets[ownClient]},
		Logger:        productionLog("resourceserver"), SecurityLog: productionLog("resourceserver").With("log", "security"),
		Metrics:    prometheus.NewRegistry(),
		RateLimits: resourceserver.RateLimits{PerAddress: -1, PerPrincipal: -1}, // all of the load has one address
	})
	if err != nil {
		return err
	}
	s.serve(guarded, s.gate.Protect(endpoint(streamable.FilterLists(rules, catalog))))
	s.serve(bare, endpoint())
	return nil
}

const callBody = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{"name":"world"}`

// call makes a tools/call: with a session in the era of sessions, else of the
// stateless one. An empty token sends none.
func call(ctx context.Context, address, token, session string) (*http.Request, error) {
	body := callBody + `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	header := map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "greet"}
	if session != "" {
		body = callBody + `}}`
		header = map[string]string{"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": session}
	}
	return message(ctx, address, token, body, header)
}

// message makes a POST of JSON-RPC.
func message(ctx context.Context, address, token, body string, header map[string]string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r, nil
}

// session opens one, as a client of the era of sessions does.
func (s *stage) session(ctx context.Context, address, token string) (id string, err error) {
	steps := []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
	}
	for _, body := range steps {
		header := map[string]string{}
		if id != "" {
			header = map[string]string{"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": id}
		}
		r, err := message(ctx, address, token, body, header)
		if err != nil {
			return "", err
		}
		status, answer, got, err := s.send(r)
		if err != nil {
			return "", err
		}
		if status != http.StatusOK && status != http.StatusAccepted {
			return "", fmt.Errorf("opening a session: %d %.300s", status, answer)
		}
		if id == "" {
			id = got.Get("Mcp-Session-Id")
		}
	}
	return id, nil
}
