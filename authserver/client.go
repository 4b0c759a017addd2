package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"
	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Grant types and client authentication methods by their registered names.
const (
	grantClientCredentials = "client_credentials"
	grantAuthorizationCode = "authorization_code"
	grantRefreshToken      = "refresh_token"
	grantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628 §3.4

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

// sharedSecret reports whether the client authenticates with a secret.
func (c *client) sharedSecret() bool { return usesSecret(c.AuthMethod) }

// usesSecret reports whether a method is one with a shared secret. By header or
// by body is one class: real clients mix them.
func usesSecret(method string) bool {
	return method == methodSecretBasic || method == methodSecretPost
}

// digest identifies what a person's consent to the client was given to: where
// its answers go, how it proves who it is, and since when it is here, because a
// client_id may come again after its client was deleted. When it changes,
// consent is asked for again. The order of redirect URIs means nothing.
func (c *client) digest() []byte {
	redirects := slices.Sorted(slices.Values(c.RedirectURIs))
	text, err := json.Marshal([]any{redirects, string(c.JWKS), c.JWKSURI, c.AuthMethod, c.CreatedAt.UnixMicro()})
	if err != nil { // strings always encode
		panic(err)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// mayUse reports whether the client is registered for one of the resources
// named by canonical identifiers.
func (c *client) mayUse(audiences ...string) bool {
	return slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(c.audiences, a) })
}

const (
	// clientCacheTTL is the floor under the event log: a changed client is
	// forgotten when its event arrives, and after so long in any case.
	clientCacheTTL  = 30 * time.Second
	clientCacheSize = 10_000
	maxClientID     = 1024
)

// clients is the one way to a client: a process cache before the store and,
// for those that are URLs, the documents.
type clients struct {
	store     storage.Clients
	catalog   *scopes.Catalog
	resources []string // identifiers, as configured
	documents *documents
	keySets   *keySets
	logos     *logos
	quota     *registrationQuota
	cache     *otter.Cache[string, *client]
}

func newClients(cfg Config) *clients {
	fetcher := newFetcher(cfg.Registration.Documents)
	c := &clients{
		store: cfg.Store, catalog: cfg.Scopes,
		documents: newDocuments(cfg, fetcher), keySets: newKeySets(fetcher, cfg.Logger), logos: newLogos(fetcher, cfg.Logger),
		quota: newRegistrationQuota(cfg.Registration.Dynamic.PerAddress),
		cache: otter.Must(&otter.Options[string, *client]{
			MaximumSize:      clientCacheSize,
			ExpiryCalculator: otter.ExpiryWriting[string, *client](clientCacheTTL),
		}),
	}
	for _, r := range cfg.Resources {
		c.resources = append(c.resources, r.Identifier)
	}
	return c
}

// get returns the client or an error that is storage.ErrNotFound and says why,
// also for a disabled one.
func (c *clients) get(ctx context.Context, id string) (*client, error) {
	if id == "" || len(id) > maxClientID || !clean(id) {
		return nil, storage.ErrNotFound
	}
	found, err := c.cache.Get(ctx, id, otter.LoaderFunc[string, *client](c.load))
	if err == nil && found.Disabled {
		return nil, storage.ErrNotFound
	}
	return found, err
}

func (c *clients) load(ctx context.Context, id string) (*client, error) {
	read := c.store.Client
	if c.documents.owns(id) {
		read = c.documents.client
	}
	// Callers that joined this load must not fail because the first one left.
	record, err := read(context.WithoutCancel(ctx), id)
	if err != nil {
		return nil, err
	}
	return c.prepare(record), nil
}

// prepare completes a record with what is left open in it: a client that
// introduced itself may ask for everything, because a person decides what it
// gets; without being asked, that person decides about nothing sensitive and
// not about themselves.
func (c *clients) prepare(record storage.Client) *client {
	open := record.Registration == storage.RegisteredDynamically || record.Registration == storage.RegisteredByDocument
	if open && len(record.Resources) == 0 {
		record.Resources = slices.Clone(c.resources)
		if record.DefaultResource == "" && len(c.resources) > 0 {
			record.DefaultResource = c.resources[0]
		}
	}
	if open && len(record.Scopes) == 0 {
		record.Scopes = c.catalog.Names()
	}
	prepared := &client{
		Client:    record,
		scopes:    c.catalog.Expand(scopes.Of(record.Scopes...)),
		defaults:  scopes.Of(record.DefaultScopes...),
		audiences: canonicalAll(record.Resources),
		keys:      clientmetadata.Keys(record.JWKS),
	}
	if len(prepared.defaults) == 0 && open {
		prepared.defaults = ordinary(c.catalog, scopes.Of(record.Scopes...))
	}
	if len(prepared.defaults) == 0 {
		prepared.defaults = scopes.Of(record.Scopes...)
	}
	return prepared
}

// ordinary returns the scopes of a resource that are not sensitive and imply
// none that is.
func ordinary(catalog *scopes.Catalog, set scopes.Set) scopes.Set {
	var rest scopes.Set
	for _, name := range set.Minus(identityScopes()) {
		if !sensitive(catalog, name) {
			rest = append(rest, name)
		}
	}
	return rest
}

// sensitive reports whether a scope is sensitive, or implies one that is.
func sensitive(catalog *scopes.Catalog, name string) bool {
	return slices.ContainsFunc(catalog.Expand(scopes.Set{name}), func(implied string) bool {
		entry, _ := catalog.Lookup(implied)
		return entry.Sensitive
	})
}

// forget drops a client whose record has changed.
func (c *clients) forget(id string) { c.cache.Invalidate(id) }

// stop ends what is done in the background.
func (c *clients) stop() {
	c.cache.StopAllGoroutines()
	c.logos.cancel()
}
