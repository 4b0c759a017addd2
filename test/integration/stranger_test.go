package integration

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

func greet(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	token, _ := resourceserver.TokenFromInfo(req.Extra.TokenInfo)
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hello " + token.Subject}}}, nil, nil
}

// stranger protects a server of somebody else's. What is between the marks
// stands in the README, word for word.
func stranger(ctx context.Context, mux *http.ServeMux, resource, issuer, secret string) error {
	// README begins
	server := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "greet"}, greet)

	gate, err := resourceserver.New(ctx, resourceserver.Config{
		Resource:      resource, // https://mcp.example.com/mcp
		Issuer:        issuer,   // https://auth.example.com
		AllowRemote:   true,     // the zero value lets only this machine connect
		Introspection: &resourceserver.ClientCredentials{ClientID: "greeter", ClientSecret: secret},
	})
	if err != nil {
		return err
	}
	endpoint := streamable.Handler(server, &streamable.Options{HostChecked: true})
	gate.OnRevoked(endpoint.CloseSessions)
	mux.Handle("/mcp", gate.Protect(endpoint))
	mux.Handle("/.well-known/", gate.Metadata())
	// README ends
	return nil
}

// An independent client finds its way to the stranger's tool, and its token is
// refused once it is revoked.
func TestLibrary_StrangerProtectsAServer(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	resource := "http://" + listener.Addr().String() + "/mcp"
	w := world.Start(t, world.Postgres(t, nil), resource)
	forStranger := func(c *storage.Client) { c.Resources = []string{resource} }
	secret := w.Client("greeter", forStranger, func(c *storage.Client) { c.Introspect = true })
	mux := http.NewServeMux()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := stranger(ctx, mux, resource, w.Issuer, secret); err != nil {
		t.Fatal(err)
	}
	front := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	front.Start()
	defer front.Close()
	handler, err := extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{
		Credentials: &oauthex.ClientCredentials{ClientID: "agent", ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: w.Client("agent", forStranger)}},
		HTTPClient:  w.HTTP,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "independent", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: resource, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet"})
	if err != nil || len(result.Content) != 1 {
		t.Fatalf("%+v, %v", result, err)
	}
	if text, ok := result.Content[0].(*mcp.TextContent); !ok || text.Text != "hello agent" {
		t.Errorf("the tool says %+v", result.Content[0])
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

// The README shows the code that was just run.
func TestLibrary_README(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("stranger_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "// README begins\n")
	code, _, _ = strings.Cut(code, "\t// README ends")
	if code = strings.ReplaceAll("\n"+code, "\n\t", "\n"); !strings.Contains(string(readme), "```go"+code+"```") {
		t.Errorf("the README lacks:\n%s", code)
	}
}
