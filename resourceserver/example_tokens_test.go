package resourceserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Without an authorization server: one static token for a robot, and keys that
// this program knows, both in a header of their own.
func ExampleConfig_staticTokens() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rs, err := resourceserver.New(ctx, resourceserver.Config{
		Resource:       "http://localhost:3001/mcp",
		AuthHeaderName: "X-Api-Key",
		StaticTokens: []resourceserver.StaticToken{
			{Name: "robot", Token: "Zk3JH8s0cLw1vQx5Tn7uYb2RgE9pDa4M", Scopes: []string{"mcp:read", "mcp:tools"}},
		},
		Validate: func(_ context.Context, token string) (*resourceserver.AccessToken, error) {
			if token != "key-of-carol" { // look it up here
				return nil, errors.New("no such key")
			}
			return &resourceserver.AccessToken{
				Subject: "carol", Scopes: scopes.Of("mcp:read"), ExpiresAt: time.Now().Add(time.Minute),
			}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	protected := rs.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := resourceserver.TokenFromContext(r.Context())
		fmt.Fprint(w, "hello "+token.Subject)
	}))
	for _, key := range []string{"Zk3JH8s0cLw1vQx5Tn7uYb2RgE9pDa4M", "key-of-carol", "key-of-mallory"} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost:3001/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		r.RemoteAddr = "127.0.0.1:50000"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Api-Key", key)
		w := httptest.NewRecorder()
		protected.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 hello robot
	// 403 {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"insufficient_scope: The operation needs a token with the scopes mcp:read mcp:tools.","data":{"error":"insufficient_scope","scope":"mcp:read mcp:tools"}}}
	// 401 {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"invalid_token: The access token is not valid here.","data":{"error":"invalid_token","scope":"mcp:read mcp:tools"}}}
}
