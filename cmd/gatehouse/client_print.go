package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

type clientListCommand struct {
	jsonOutput
}

// Run lists all clients.
func (c *clientListCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(table, "CLIENT_ID\tNAME\tAUTH METHOD\tGRANT TYPES\tSCOPE")
		}
		for client, err := range listed(ctx, store.ListClients, func(c storage.Client) string { return c.ID }) {
			if err == nil {
				err = c.line(p.stdout, table, client)
			}
			if err != nil {
				return err
			}
		}
		return table.Flush()
	})
}

func (c *clientListCommand) line(stdout, table io.Writer, client storage.Client) error {
	if c.JSON {
		return printJSON(stdout, registration(client, ""))
	}
	name := client.Name
	if client.Disabled {
		name += " (disabled)"
	}
	_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", client.ID, name, client.AuthMethod,
		strings.Join(client.GrantTypes, " "), strings.Join(client.Scopes, " "))
	return err
}

type clientShowCommand struct {
	ID string `arg:"" help:"client_id."`
	jsonOutput
}

// Run shows one client; its secret is known to nobody any more.
func (c *clientShowCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		client, err := findClient(ctx, store, c.ID)
		if err != nil {
			return err
		}
		return p.printClient(c.JSON, client, "")
	})
}

// clientInformation is a client in the words of RFC 7591 §2 and §3.2.1; what
// that RFC has no name for has ours.
type clientInformation struct {
	ClientID              string          `json:"client_id"`
	ClientIDIssuedAt      int64           `json:"client_id_issued_at"`
	ClientSecret          string          `json:"client_secret,omitempty"`
	ClientSecretExpiresAt *int64          `json:"client_secret_expires_at,omitempty"`
	ClientName            string          `json:"client_name,omitempty"`
	AuthMethod            string          `json:"token_endpoint_auth_method"`
	GrantTypes            []string        `json:"grant_types"`
	RedirectURIs          []string        `json:"redirect_uris,omitempty"`
	Scope                 string          `json:"scope,omitempty"`
	DefaultScope          string          `json:"default_scope,omitempty"`
	Resources             []string        `json:"resources,omitempty"`
	DefaultResource       string          `json:"default_resource,omitempty"`
	TokenFormat           string          `json:"token_format,omitempty"`
	TokenLifetime         int64           `json:"access_token_lifetime,omitempty"` // seconds
	Registration          string          `json:"registration,omitempty"`
	JWKSURI               string          `json:"jwks_uri,omitempty"`
	ClientURI             string          `json:"client_uri,omitempty"`
	JWKS                  json.RawMessage `json:"jwks,omitempty"`
	Introspect            bool            `json:"introspect,omitempty"`
	Disabled              bool            `json:"disabled,omitempty"`
	PreviousSecretUntil   *time.Time      `json:"previous_client_secret_expires_at,omitempty"`
	UpdatedAt             time.Time       `json:"updated_at"`
}

func registration(c storage.Client, secret string) clientInformation {
	info := clientInformation{
		ClientID: c.ID, ClientIDIssuedAt: c.CreatedAt.Unix(), ClientSecret: secret, ClientName: c.Name,
		AuthMethod: c.AuthMethod, GrantTypes: append([]string{}, c.GrantTypes...), RedirectURIs: c.RedirectURIs,
		Scope: strings.Join(c.Scopes, " "), DefaultScope: strings.Join(c.DefaultScopes, " "),
		Resources: c.Resources, DefaultResource: c.DefaultResource, TokenFormat: string(c.TokenFormat),
		TokenLifetime: int64(c.AccessTokenLifetime / time.Second), Registration: string(c.Registration), JWKSURI: c.JWKSURI, ClientURI: c.ClientURI,
		JWKS: c.JWKS, Introspect: c.Introspect, Disabled: c.Disabled, UpdatedAt: c.UpdatedAt.UTC(),
	}
	if secret != "" {
		info.ClientSecretExpiresAt = new(int64) // 0: never
	}
	if c.PreviousSecretHash != nil {
		until := c.PreviousSecretExpiresAt.UTC()
		info.PreviousSecretUntil = &until
	}
	return info
}

// printClient prints one client as JSON or as aligned lines.
func (p *process) printClient(asJSON bool, c storage.Client, secret string) error {
	if asJSON {
		return printJSON(p.stdout, registration(c, secret))
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	line("client_id", c.ID)
	if secret != "" {
		line("client_secret", secret+"   (shown this once)")
	}
	line("client_name", c.Name)
	line("token_endpoint_auth_method", c.AuthMethod)
	line("grant_types", strings.Join(c.GrantTypes, " "))
	line("redirect_uris", strings.Join(c.RedirectURIs, " "))
	line("scope", strings.Join(c.Scopes, " "))
	line("default_scope", strings.Join(c.DefaultScopes, " "))
	line("resources", strings.Join(c.Resources, " "))
	line("default_resource", c.DefaultResource)
	line("token_format", string(c.TokenFormat))
	if c.AccessTokenLifetime > 0 {
		line("access_token_lifetime", c.AccessTokenLifetime.String())
	}
	line("registration", string(c.Registration))
	if c.Introspect {
		line("introspect", "true")
	}
	if c.Disabled {
		line("disabled", "true")
	}
	if c.PreviousSecretHash != nil {
		line("previous secret until", c.PreviousSecretExpiresAt.UTC().Format(time.RFC3339))
	}
	line("created", c.CreatedAt.UTC().Format(time.RFC3339))
	line("updated", c.UpdatedAt.UTC().Format(time.RFC3339))
	return table.Flush()
}

// printJSON prints one object on one line.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
