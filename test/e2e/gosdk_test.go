package e2e

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// The whole life of a connection by the Go SDK, for a client of each kind.
func TestConnect_GoSDK(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			p, kept := newPerson(w), &keptTokens{}
			session := connect(t, w, goClient(t, w, kind, p, kept))
			if got := tools(t, session); !slices.Equal(got, []string{"list_notes", "read_note"}) {
				t.Errorf("with the scopes of the challenge it sees %v", got)
			}
			use(t, session, "list_notes", nil)
			first := kept.known()
			useful(t, w, first)
			use(t, session, "write_note", map[string]any{"title": "a", "text": "b"})
			if got := tools(t, session); !slices.Contains(got, "write_note") {
				t.Errorf("after the step-up it sees %v", got)
			}
			consents := p.consents()
			if len(consents) < 2 || asks(consents[0], "mcp:write") || !asks(consents[len(consents)-1], "mcp:write mcp:read mcp:tools") {
				t.Errorf("the person was asked for %v", consents)
			}
			before := kept.known()
			kept.expire()
			use(t, session, "list_notes", nil)
			after := kept.known()
			if after.AccessToken == before.AccessToken || after.RefreshToken == before.RefreshToken {
				t.Error("the client did not refresh")
			}
			useful(t, w, after)
			p.leave()
			revoke(t, w, after)
			_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_notes"})
			if asked := len(p.consents()); err == nil || asked != len(consents) {
				t.Errorf("with revoked tokens it got %v, and the person was asked %d times", err, asked)
			}
		})
	}
}

// goClient is the handler of a client of one kind.
func goClient(t *testing.T, w *world.World, kind string, p *person, kept *keptTokens) auth.OAuthHandler {
	t.Helper()
	cfg := &auth.AuthorizationCodeHandlerConfig{RedirectURL: callback, Client: w.HTTP, NewTokenSource: kept.source}
	cfg.AuthorizationCodeFetcher = func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		back, err := p.allow(ctx, args.URL)
		if err != nil {
			return nil, err
		}
		answer := back.Query()
		return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
	}
	switch kind {
	case "operator":
		secret := preregistered(w, "program")
		cfg.PreregisteredClient = &oauthex.ClientCredentials{
			ClientID: "program", Issuer: w.Issuer, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: secret},
		}
	case "dynamic":
		cfg.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Program", RedirectURIs: []string{callback}, GrantTypes: []string{"authorization_code", "refresh_token"},
		}}
		cfg.RequestRefreshToken = true
	case "document":
		cfg.ClientIDMetadataDocumentConfig = &auth.ClientIDMetadataDocumentConfig{URL: document(w, "program.json")}
	}
	handler, err := auth.NewAuthorizationCodeHandler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func connect(t *testing.T, w *world.World, handler auth.OAuthHandler) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "independent", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: w.Resource, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() }) // refused once its tokens are
	return session
}

func tools(t *testing.T, session *mcp.ClientSession) []string {
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

func use(t *testing.T, session *mcp.ClientSession, tool string, arguments any) {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil || result.IsError {
		t.Fatalf("%s: %+v, %v", tool, result, err)
	}
}

// keptTokens is what an application keeps of its tokens. It refreshes by
// x/oauth2, as the SDK would, and can tell it that time has passed.
type keptTokens struct {
	mu      sync.Mutex // guards the fields below
	ctx     context.Context
	cfg     *oauth2.Config
	current *oauth2.Token
}

// source is NewTokenSource of the SDK's configuration.
func (k *keptTokens) source(ctx context.Context, cfg *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ctx, k.cfg, k.current = ctx, cfg, token
	return k, nil
}

// Token implements oauth2.TokenSource.
func (k *keptTokens) Token() (*oauth2.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	token, err := k.cfg.TokenSource(k.ctx, k.current).Token()
	if err == nil {
		k.current = token
	}
	return token, err
}

// expire makes the client believe that its access token has expired.
func (k *keptTokens) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := *k.current
	old.Expiry = time.Now().Add(-time.Minute)
	k.current = &old
}

func (k *keptTokens) known() known {
	k.mu.Lock()
	defer k.mu.Unlock()
	scope, _ := k.current.Extra("scope").(string)
	return known{
		ClientID: k.cfg.ClientID, ClientSecret: k.cfg.ClientSecret,
		AccessToken: k.current.AccessToken, RefreshToken: k.current.RefreshToken, Scope: scope,
	}
}

// What the person does not allow the client does not get: neither one of the
// scopes, nor anything.
func TestConnect_PersonDecides(t *testing.T) {
	t.Parallel()
	w := start(t)
	kept := &keptTokens{}
	session := connect(t, w, goClient(t, w, "dynamic", newPerson(w, "mcp:write", "offline_access"), kept))
	if got := kept.known(); got.RefreshToken != "" || strings.Contains(got.Scope, "offline_access") {
		t.Errorf("it stays connected: scope %q, refresh token %t", got.Scope, got.RefreshToken != "")
	}
	if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "write_note", Arguments: map[string]any{"title": "a", "text": "b"}}); err == nil {
		t.Error("it writes without being allowed to")
	}
	use(t, session, "list_notes", nil)

	address := w.Issuer + "/oauth/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {kept.known().ClientID}, "redirect_uri": {callback}, "state": {"st"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
	}.Encode()
	back, err := w.Browser(username, password).SignInAndDeny(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if answer := back.Query(); answer.Get("error") != "access_denied" || answer.Get("iss") != w.Issuer || answer.Get("state") != "st" || answer.Has("code") {
		t.Errorf("%v", answer)
	}
	if _, err := w.Browser(username, "wrong "+password).SignInAndAllow(t.Context(), address); err == nil {
		t.Error("a wrong password signs in")
	}
}
