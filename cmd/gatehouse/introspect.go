package main

import (
	"context"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/oauthclient"
)

type introspectCommand struct {
	Token        string `arg:"" help:"The token; - reads it from stdin."`
	Issuer       string `env:"ISSUER" placeholder:"URL" help:"Issuer; its introspection endpoint is discovered."`
	ClientID     string `name:"client-id" env:"INTROSPECT_CLIENT_ID" placeholder:"ID" help:"A client that may introspect."`
	ClientSecret string `env:"INTROSPECT_CLIENT_SECRET" placeholder:"SECRET" help:"Its secret; better in the environment."`
	Key          string `placeholder:"FILE" help:"Its private key (JWK or PEM), instead of a secret."`
	jsonOutput
}

// Run prints what the issuer says about the token, always as JSON.
func (c *introspectCommand) Run(ctx context.Context, p *process) error {
	if c.Issuer == "" {
		return usagef("--issuer or ISSUER is missing")
	}
	if c.ClientID == "" {
		return usagef("--client-id or INTROSPECT_CLIENT_ID is missing: a client that may introspect")
	}
	client, err := credentials{c.ClientID, c.ClientSecret, c.Key}.read()
	if err != nil {
		return err
	}
	token, err := argumentOrStdin(c.Token, p.stdin)
	if err != nil {
		return err
	}
	metadata, err := oauthclient.Discover(ctx, c.Issuer)
	if err != nil {
		return err
	}
	answer, err := metadata.Introspect(ctx, client, token)
	if err != nil {
		return err
	}
	return printAnswer(p.stdout, c.JSON, answer)
}
