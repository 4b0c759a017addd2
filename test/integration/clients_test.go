package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// x/oauth2 in all its authentication styles; in auto-detect mode it probes.
func TestClient_XOAuth2ClientCredentials(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	for name, style := range map[string]oauth2.AuthStyle{"auto": oauth2.AuthStyleAutoDetect, "header": oauth2.AuthStyleInHeader, "params": oauth2.AuthStyleInParams} {
		secret := w.Client(name)
		cfg := clientcredentials.Config{
			ClientID: name, ClientSecret: secret, TokenURL: w.Issuer + "/oauth/token", AuthStyle: style,
			Scopes: []string{"mcp:read", "mcp:tools"}, EndpointParams: map[string][]string{"resource": {w.Resource}},
		}
		token, err := cfg.Token(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if token.TokenType != "Bearer" || time.Until(token.Expiry) < time.Minute || token.Extra("scope") != "mcp:read mcp:tools" {
			t.Errorf("%s: %+v", name, token)
		}
		if status := call(t, w, token.AccessToken); status != 200 {
			t.Errorf("%s: the MCP endpoint answers %d", name, status)
		}
	}
}

// go-oidc discovers the issuer and verifies our JWT by its published keys.
func TestClient_GoOIDCVerifiesTheJWT(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	cfg := clientcredentials.Config{ClientID: "app", ClientSecret: w.Client("app"), TokenURL: w.Issuer + "/oauth/token"}
	token, err := cfg.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	provider, err := oidc.NewProvider(t.Context(), w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := provider.Verifier(&oidc.Config{ClientID: w.Resource}).Verify(t.Context(), token.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
		ID       string `json:"jti"`
	}
	if err := verified.Claims(&claims); err != nil || verified.Subject != "app" || claims.ClientID != "app" || claims.ID == "" || !strings.Contains(claims.Scope, "mcp:read") {
		t.Errorf("sub %q, claims %+v, error %v", verified.Subject, claims, err)
	}
	tampered := token.AccessToken[:len(token.AccessToken)-6] + "AAAAAA"
	if _, err := provider.Verifier(&oidc.Config{ClientID: w.Resource}).Verify(t.Context(), tampered); err == nil {
		t.Error("a tampered token verifies")
	}
}

func toolNames(t *testing.T, session *mcp.ClientSession) []string {
	t.Helper()
	listed, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(listed.Tools))
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

// The go-sdk client with its client-credentials handler: from the endpoint's
// 401 through discovery to a tool's result, with a step-up for each 403. It
// names no resource and asks for the scopes of the challenges.
func TestClient_GoSDKClientCredentials(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	for _, id := range []string{"jwt", "opaque"} {
		secret := w.Client(id)
		if id == "opaque" {
			id = "gha"
			secret = w.Client(id, world.Opaque)
		}
		handler, err := extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{
			Credentials: &oauthex.ClientCredentials{ClientID: id, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: secret}},
			HTTPClient:  w.HTTP,
		})
		if err != nil {
			t.Fatal(err)
		}
		client := mcp.NewClient(&mcp.Implementation{Name: "independent", Version: "1"}, nil)
		session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: w.Resource, OAuthHandler: handler}, nil)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if got := toolNames(t, session); !slices.Equal(got, []string{"list_notes", "read_note"}) {
			t.Errorf("%s: with the scopes of the first challenge it sees %v", id, got)
		}
		written, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "write_note", Arguments: map[string]any{"title": id, "text": "hello"}})
		if err != nil || written.IsError {
			t.Errorf("%s: write_note: %+v, error %v", id, written, err)
		}
		if got := toolNames(t, session); !slices.Equal(got, []string{"delete_note", "list_notes", "read_note", "write_note"}) {
			t.Errorf("%s: after the step-up it sees %v", id, got)
		}
		if err := session.Close(); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
