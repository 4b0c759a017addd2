package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/oauthclient"
)

// credentials are the flags of a confidential client; the env file of
// gatehouse dev sets them all.
type credentials struct {
	ClientID     string `name:"client-id" env:"CLIENT_ID" placeholder:"ID" help:"client_id."`
	ClientSecret string `env:"CLIENT_SECRET" placeholder:"SECRET" help:"Client secret; better in the environment."`
	Key          string `placeholder:"FILE" help:"Private key (JWK or PEM) for private_key_jwt, instead of a secret."`
}

func (c credentials) read() (oauthclient.Credentials, error) {
	out := oauthclient.Credentials{ClientID: c.ClientID, Secret: c.ClientSecret}
	switch {
	case c.ClientID == "":
		return out, usagef("--client-id or CLIENT_ID is missing; set -a; . ./.gatehouse/env sets it after gatehouse dev")
	case c.Key == "" && c.ClientSecret == "":
		return out, usagef("--client-secret, CLIENT_SECRET or --key is missing")
	case c.Key == "":
		return out, nil
	}
	data, err := os.ReadFile(c.Key)
	if err != nil {
		return out, fmt.Errorf("--key: %w", err)
	}
	out.Key, err = oauthclient.ParseKey(data)
	if err != nil {
		return out, fmt.Errorf("--key %s: %w", c.Key, err)
	}
	return out, nil
}

type tokenCommand struct {
	jsonOutput
	credentials
	Issuer   string `env:"ISSUER" placeholder:"URL" help:"Issuer of the token; its endpoints are discovered."`
	Resource string `env:"RESOURCE" placeholder:"URL" help:"Resource the token is for (RFC 8707)."`
	Scope    string `placeholder:"\"A B\"" help:"Scopes to ask for; default what the issuer gives."`
}

// Run prints the access token and nothing else, or the whole answer.
func (c *tokenCommand) Run(ctx context.Context, p *process) error {
	if c.Issuer == "" {
		return usagef("--issuer or ISSUER is missing")
	}
	client, err := c.credentials.read()
	if err != nil {
		return err
	}
	answer, token, err := fetchToken(ctx, c.Issuer, client, oauthclient.TokenRequest{Scope: c.Scope, Resource: c.Resource})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, answer)
	}
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}

func fetchToken(ctx context.Context, issuer string, c oauthclient.Credentials, request oauthclient.TokenRequest) (json.RawMessage, string, error) {
	metadata, err := oauthclient.Discover(ctx, issuer)
	if err != nil {
		return nil, "", err
	}
	answer, err := metadata.Token(ctx, c, request)
	if err != nil {
		return nil, "", err
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer, &token); err != nil || token.AccessToken == "" {
		return nil, "", errors.New("the answer of the token endpoint has no access_token")
	}
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, "", errors.New("the access_token cannot be sent in a header (RFC 6750 section 2.1)")
	}
	return answer, token.AccessToken, nil
}
