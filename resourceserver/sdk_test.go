package resourceserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
)

// bearer adds a token to every request of a client.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// protected starts a go-sdk server with a tool that tells the subject, behind
// the protection, and returns its issuer.
func protected(t *testing.T, static ...resourceserver.StaticToken) *rstest.Issuer {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "v1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Tells who calls"},
		func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			token, ok := resourceserver.TokenFromInfo(req.Extra.TokenInfo)
			if !ok || req.Extra.Header.Get("Authorization") != "" {
				return nil, nil, errors.New("no identity, or a token")
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: token.Subject}}}, nil, nil
		})
	front := httptest.NewUnstartedServer(nil)
	issuer := rstest.NewIssuer(t, "http://"+front.Listener.Addr().String()+"/mcp")
	rs, err := resourceserver.New(t.Context(), resourceserver.Config{Resource: issuer.Resource, Issuer: issuer.URL, StaticTokens: static})
	if err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = rs.Protect(streamable.Handler(server, nil))
	front.Start()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	for deadline := time.Now().Add(20 * time.Second); rs.Ready(t.Context()) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("not ready")
		}
		_, _ = rs.Verifier().Verify(t.Context(), issuer.Token()) // asks for the keys
	}
	return issuer
}

func TestSDK_ClientCallsAToolAndIsRefusedAnother(t *testing.T) {
	t.Parallel()
	issuer := protected(t)
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "v1"}, nil)
	connect := func(token string) *mcp.ClientSession {
		session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
			Endpoint: issuer.Resource, HTTPClient: &http.Client{Transport: bearer{token}}, MaxRetries: -1,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = session.Close() }) // its stream may have ended already
		return session
	}
	result, err := connect(issuer.Token()).CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
	if err != nil || result.IsError || result.Content[0].(*mcp.TextContent).Text != "alice" {
		t.Errorf("%+v %v", result, err)
	}
	low := connect(issuer.Token(rstest.Claims{"scope": "mcp:read"}))
	if _, err := low.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"}); err == nil {
		t.Error("mcp:read may call tools")
	}
}

// post sends a message of the older protocol and returns the session that the
// answer names.
func post(t *testing.T, url, token, session, body string) (status int, opened string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	resp, err := (&http.Client{Transport: bearer{token}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Mcp-Session-Id")
}

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
	pinging    = `{"jsonrpc":"2.0","id":2,"method":"ping"}`
)

// TestRS17_S06_SessionOfAnotherPrincipal: the identity that the carrier passes on
// binds sessions of the SDK, for every part of it; a static token is one too.
func TestRS17_S06_SessionOfAnotherPrincipal(t *testing.T) {
	t.Parallel()
	const robot, monitor = "robot-0123456789-0123456789-0123456789", "monitor-0123456789-0123456789-0123456789"
	read := []string{"mcp:read"}
	issuer := protected(t, resourceserver.StaticToken{Name: "alice", Token: robot, Scopes: read}, resourceserver.StaticToken{Name: "bob", Token: monitor, Scopes: read})
	jwt := func(sub, clientID string) string {
		return issuer.Token(rstest.Claims{"sub": sub, "client_id": clientID})
	}
	for _, c := range []struct {
		opens, same string
		others      []string
	}{
		{jwt("alice", "client"), jwt("alice", "client"), []string{jwt("bob", "client"), jwt("alice", "other"), jwt("alice|client", "x"), robot}},
		{robot, robot, []string{monitor, jwt("alice", "alice"), jwt("static|alice", "alice")}},
	} {
		status, session := post(t, issuer.Resource, c.opens, "", initialize)
		if status != http.StatusOK || session == "" {
			t.Fatalf("initialize: %d, session %q", status, session)
		}
		if status, _ := post(t, issuer.Resource, c.same, session, pinging); status != http.StatusOK {
			t.Errorf("the same principal: %d", status)
		}
		for i, other := range c.others {
			if status, _ := post(t, issuer.Resource, other, session, pinging); status != http.StatusForbidden && status != http.StatusNotFound {
				t.Errorf("other %d: %d", i, status)
			}
		}
	}
}
