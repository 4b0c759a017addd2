package resourceserver_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
)

// A go-sdk server, protected: clients find the issuer by themselves, every
// request needs a token for this resource, and tools/call needs mcp:tools.
func Example() { //nolint:testableexamples // it serves until it is stopped
	server := mcp.NewServer(&mcp.Implementation{Name: "notebook", Version: "v1"}, nil)

	rs, err := resourceserver.New(context.Background(), resourceserver.Config{
		Resource: "https://notebook.example/mcp",
		Issuer:   "https://login.example",
		// Only this machine may connect otherwise.
		AllowRemote: true,
		Introspection: &resourceserver.ClientCredentials{ // for opaque tokens, and to hear of revocations
			ClientID: "notebook", ClientSecret: os.Getenv("CLIENT_SECRET"),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	endpoint := streamable.Handler(server, &streamable.Options{HostChecked: true})
	rs.OnRevoked(endpoint.CloseSessions)
	mux := http.NewServeMux()
	mux.Handle("/mcp", rs.Protect(endpoint))
	mux.Handle("/.well-known/", rs.Metadata())

	front := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Println(front.ListenAndServe())
}

// A tool reads who calls it from its request. The context will not do: in a
// session it belongs to the request that opened it.
func ExampleTokenFromInfo() { //nolint:testableexamples // the tool needs a caller
	server := mcp.NewServer(&mcp.Implementation{Name: "notebook", Version: "v1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Tells who calls"},
		func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			token, ok := resourceserver.TokenFromInfo(req.Extra.TokenInfo)
			if !ok {
				return nil, nil, context.Canceled
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: token.Subject}}}, nil, nil
		})
}
