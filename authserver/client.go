package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"
	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Grant types and client authentication methods by their registered names.
const (
	grantClientCredentials = "client_credentials"

	methodNone          = "none"
	methodSecretBasic   = "client_secret_basic"
	methodSecretPost    = "client_secret_post"
	methodPrivateKeyJWT = "private_key_jwt"
)

// client is a registered client prepared for use: immutable and shared.
type client struct {
	storage.Client
	scopes    scopes.Set // all it may ask for, implied ones included
	defaults  scopes.Set // what it gets when it asks for nothing
	audiences []string   // canonical forms of Resources
	keys      []jose.JSONWebKey
}

var _ fosite.Client = (*client)(nil)

func (c *client) GetID() string                      { return c.ID }
func (c *client) GetHashedSecret() []byte            { return c.SecretHash }
func (c *client) GetRedirectURIs() []string          { return c.RedirectURIs }
func (c *client) GetGrantTypes() fosite.Arguments    { return c.GrantTypes }
func (c *client) GetResponseTypes() fosite.Arguments { return nil }
func (c *client) GetScopes() fosite.Arguments        { return fosite.Arguments(c.scopes) }
func (c *client) IsPublic() bool                     { return c.AuthMethod == methodNone }
func (c *client) GetAudience() fosite.Arguments      { return c.Resources }

// sharedSecret reports whether the client authenticates with a secret. By
// header or by body is one class: real clients mix them.
func (c *client) sharedSecret() bool {
	return c.AuthMethod == methodSecretBasic || c.AuthMethod == methodSecretPost
}

// mayUse reports whether the client is registered for one of the resources
// named by canonical identifiers.
func (c *client) mayUse(audiences ...string) bool {
	return slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(c.audiences, a) })
}

func newClient(record storage.Client, catalog *scopes.Catalog) *client {
	c := &client{
		Client:    record,
		scopes:    catalog.Expand(scopes.Of(record.Scopes...)),
		audiences: canonicalAll(record.Resources),
		keys:      publicKeys(record.JWKS),
	}
	if c.defaults = scopes.Of(record.DefaultScopes...); len(c.defaults) == 0 {
		c.defaults = scopes.Of(record.Scopes...)
	}
	return c
}

// publicKeys reads a JSON Web Key Set and skips the keys it cannot use
// (RFC 7517 §5); a symmetric or private key is never used.
func publicKeys(document []byte) []jose.JSONWebKey {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(document) == 0 || json.Unmarshal(document, &set) != nil {
		return nil
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && key.Valid() && key.IsPublic() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	return keys
}

const (
	// clientCacheTTL is the floor under the event log: a changed client is
	// forgotten when its event arrives, and after so long in any case.
	clientCacheTTL  = 30 * time.Second
	clientCacheSize = 10_000
	maxClientID     = 1024
)

// clients is the one way to a client: a process cache before the store.
type clients struct {
	store   storage.Clients
	catalog *scopes.Catalog
	cache   *otter.Cache[string, *client]
}

func newClients(store storage.Clients, catalog *scopes.Catalog) *clients {
	return &clients{store: store, catalog: catalog, cache: otter.Must(&otter.Options[string, *client]{
		MaximumSize:      clientCacheSize,
		ExpiryCalculator: otter.ExpiryWriting[string, *client](clientCacheTTL),
	})}
}

// get returns the client or storage.ErrNotFound, also for a disabled one.
func (c *clients) get(ctx context.Context, id string) (*client, error) {
	if id == "" || len(id) > maxClientID || !clean(id) {
		return nil, storage.ErrNotFound
	}
	found, err := c.cache.Get(ctx, id, otter.LoaderFunc[string, *client](c.load))
	if errors.Is(err, otter.ErrNotFound) || (err == nil && found.Disabled) {
		return nil, storage.ErrNotFound
	}
	return found, err
}

func (c *clients) load(ctx context.Context, id string) (*client, error) {
	// Callers that joined this load must not fail because the first one left.
	record, err := c.store.Client(context.WithoutCancel(ctx), id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, otter.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return newClient(record, c.catalog), nil
}

// forget drops a client whose record has changed.
func (c *clients) forget(id string) { c.cache.Invalidate(id) }
