package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// demoNames is what the identifiers of dev's clients begin with.
const demoNames = "demo"

// introspectPrefix is that of the resource server's own client, adminPrefix that
// of the operator's programs.
const (
	introspectPrefix = "INTROSPECT_"
	adminPrefix      = "ADMIN_"
)

// demoClient is a client of gatehouse dev with its secret and the prefix of
// its variables in the env file.
type demoClient struct {
	storage.Client
	prefix string
	secret string
}

type demoClientSet []demoClient

// demoClients registers the demo clients or brings them up to date. Their
// identifiers are fixed and their secrets derived from the seal key, so that
// every start on the same data tells the same.
func demoClients(ctx context.Context, store storage.Clients, names, issuer, resource string, sealKey []byte) (demoClientSet, error) {
	all := []string{scopes.MCPRead, scopes.MCPWrite, scopes.MCPTools, scopes.MCPAdmin}
	machine := []string{grantClientCredentials}
	set := demoClientSet{
		{prefix: "", Client: storage.Client{ID: names, Name: "Demo (JWT)", AuthMethod: methodBasic, GrantTypes: machine, Scopes: all, TokenFormat: storage.FormatJWT}},
		{prefix: "OPAQUE_", Client: storage.Client{ID: names + "-opaque", Name: "Demo (opaque)", AuthMethod: methodBasic, GrantTypes: machine, Scopes: all, TokenFormat: storage.FormatOpaque}},
		{prefix: "READER_", Client: storage.Client{ID: names + "-reader", Name: "Demo (read only)", AuthMethod: methodBasic, GrantTypes: machine, Scopes: []string{scopes.MCPRead}, TokenFormat: storage.FormatJWT}},
		{prefix: introspectPrefix, Client: storage.Client{ID: names + "-resource-server", Name: "Demo resource server", AuthMethod: methodBasic, Introspect: true}},
		{prefix: "PUBLIC_", Client: storage.Client{
			ID: names + "-public", Name: "Demo (public)", AuthMethod: methodNone, Scopes: all,
			GrantTypes:   []string{grantAuthorizationCode, grantRefreshToken},
			RedirectURIs: []string{"http://127.0.0.1/callback", "http://localhost/callback"},
		}},
		{prefix: adminPrefix, Client: storage.Client{
			ID: names + "-admin", Name: "Demo (admin API)", AuthMethod: methodBasic, GrantTypes: machine, Scopes: []string{authserver.AdminScope},
			Resources: []string{authserver.AdminResource(issuer)}, AccessTokenLifetime: authserver.MaxAccessTokenLifetime,
		}},
	}
	for i := range set {
		c := &set[i]
		if c.Resources == nil {
			c.Resources = []string{resource}
		}
		if sharedSecret(c.AuthMethod) {
			var err error
			if c.secret, err = derivedSecret(sealKey, c.ID); err != nil {
				return nil, err
			}
			c.SecretHash = hashSecret(c.secret)
		}
		if err := register(ctx, store, c.Client, time.Now()); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// register creates c, or changes the stored client to be like it. Of several
// processes that do so at once, each ends with the same client.
func register(ctx context.Context, store storage.Clients, c storage.Client, now time.Time) error {
	c.CreatedAt, c.UpdatedAt, c.Revision = now, now, 1
	err := store.CreateClient(ctx, c)
	if !errors.Is(err, storage.ErrExists) {
		return err
	}
	stored, err := store.Client(ctx, c.ID)
	if err != nil || sameClient(stored, c) {
		return err
	}
	c.Revision = stored.Revision
	_, err = store.UpdateClient(ctx, c, now)
	return err
}

// sameClient compares what dev decides about a client.
func sameClient(a, b storage.Client) bool {
	return a.Name == b.Name && a.AuthMethod == b.AuthMethod && bytes.Equal(a.SecretHash, b.SecretHash) &&
		slices.Equal(a.GrantTypes, b.GrantTypes) && slices.Equal(a.RedirectURIs, b.RedirectURIs) &&
		slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.Resources, b.Resources) &&
		a.TokenFormat == b.TokenFormat && a.AccessTokenLifetime == b.AccessTokenLifetime && a.Introspect == b.Introspect && a.Disabled == b.Disabled
}

// variables are the lines of the env file about the clients.
func (set demoClientSet) variables() []variable {
	var out []variable
	for _, c := range set {
		out = append(out, variable{c.prefix + "CLIENT_ID", c.ID})
		if c.secret != "" {
			out = append(out, variable{c.prefix + "CLIENT_SECRET", c.secret})
		}
	}
	return out
}

func (set demoClientSet) find(prefix string) demoClient {
	return set[slices.IndexFunc(set, func(c demoClient) bool { return c.prefix == prefix })]
}
