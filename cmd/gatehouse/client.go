package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

type clientCommand struct {
	Create       clientCreateCommand `cmd:"" help:"Register a client and show its secret, once."`
	List         clientListCommand   `cmd:"" help:"List clients."`
	Show         clientShowCommand   `cmd:"" help:"Show a client."`
	Update       clientUpdateCommand `cmd:"" help:"Change a client."`
	RotateSecret clientRotateCommand `cmd:"" name:"rotate-secret" help:"Give a client a new secret."`
	Delete       clientDeleteCommand `cmd:"" help:"Delete a client and revoke its tokens."`
}

// clientFields are the properties that create and update share; on update a
// flag that is given replaces the value.
type clientFields struct {
	Name            string         `placeholder:"TEXT" help:"Name for people."`
	Grant           []string       `sep:"none" placeholder:"TYPE" help:"Grant type it may use, repeatable: client_credentials, authorization_code, refresh_token, urn:ietf:params:oauth:grant-type:device_code."`
	Scope           string         `placeholder:"\"A B\"" help:"All scopes it may ask for."`
	DefaultScope    string         `placeholder:"\"A B\"" help:"Scopes it gets when it asks for none; default all."`
	Resource        []string       `sep:"none" placeholder:"URL" help:"Resource it may get tokens for, repeatable."`
	DefaultResource string         `placeholder:"URL" help:"Resource it gets when it names none and has several."`
	RedirectURI     []string       `name:"redirect-uri" sep:"none" placeholder:"URI" help:"Redirect URI, exact, repeatable: https, or http on loopback."`
	TokenFormat     string         `placeholder:"FORMAT" help:"jwt or opaque; default as the resource says."`
	JWKS            string         `name:"jwks" placeholder:"FILE" help:"Public keys (RFC 7517) for private_key_jwt."`
	TokenLifetime   *time.Duration `name:"access-token-lifetime" placeholder:"DURATION" help:"Lifetime of its access tokens, such as 8h; 0 leaves it to the server."`
	Introspect      *bool          `negatable:"" help:"May introspect tokens of its resources and follow their revocations."`
}

type clientCreateCommand struct {
	clientFields
	jsonOutput
	ID         string `name:"id" placeholder:"ID" help:"client_id; default random."`
	AuthMethod string `default:"client_secret_basic" placeholder:"METHOD" help:"client_secret_basic, client_secret_post, private_key_jwt or none."`
}

// Run registers the client.
func (c *clientCreateCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(s settings.Settings, store storage.Store) error {
		now := time.Now()
		client := storage.Client{ID: c.ID, AuthMethod: c.AuthMethod, CreatedAt: now, UpdatedAt: now, Revision: 1}
		if client.ID == "" {
			client.ID = rand.Text()
		}
		if err := c.apply(&client); err != nil {
			return err
		}
		complete(&client, s)
		if err := checkClient(client, s); err != nil {
			return err
		}
		secret := ""
		if sharedSecret(client.AuthMethod) {
			secret = newSecret()
			client.SecretHash = hashSecret(secret)
		}
		err := store.CreateClient(ctx, client)
		if errors.Is(err, storage.ErrExists) {
			return fmt.Errorf("there is a client %q already; choose another --id, or use gatehouse client update", client.ID)
		}
		if err != nil {
			return err
		}
		return p.printClient(c.JSON, client, secret)
	})
}

// apply copies the flags that were given.
func (f clientFields) apply(c *storage.Client) error {
	set(&c.Name, f.Name)
	set(&c.DefaultResource, f.DefaultResource)
	set(&c.TokenFormat, storage.TokenFormat(f.TokenFormat))
	setList(&c.GrantTypes, f.Grant)
	setList(&c.Resources, f.Resource)
	setList(&c.RedirectURIs, f.RedirectURI)
	setList(&c.Scopes, strings.Fields(f.Scope))
	setList(&c.DefaultScopes, strings.Fields(f.DefaultScope))
	if f.Introspect != nil {
		c.Introspect = *f.Introspect
	}
	if f.TokenLifetime != nil {
		c.AccessTokenLifetime = *f.TokenLifetime
	}
	if f.JWKS == "" {
		return nil
	}
	data, err := os.ReadFile(f.JWKS)
	if err != nil {
		return fmt.Errorf("--jwks: %w", err)
	}
	c.JWKS, err = publicKeys(data)
	return err
}

func set[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

func setList(field *[]string, value []string) {
	if len(value) > 0 {
		*field = value
	}
}

// complete fills in what has one sensible value: the grant types by what the
// client is for, and the resource when there is only one.
func complete(c *storage.Client, s settings.Settings) {
	switch {
	case len(c.GrantTypes) > 0:
	case len(c.RedirectURIs) > 0:
		c.GrantTypes = []string{grantAuthorizationCode, grantRefreshToken}
	case !c.Introspect || len(c.Scopes) > 0:
		c.GrantTypes = []string{grantClientCredentials}
	}
	if len(c.Resources) == 0 && len(s.Resources) == 1 {
		c.Resources = []string{s.Resources[0].Identifier}
	}
}

type clientUpdateCommand struct {
	ID string `arg:"" help:"client_id."`
	clientFields
	jsonOutput
	Disabled *bool `negatable:"" help:"Refuse the client and revoke its tokens, or (--no-disabled) let it in again."`
}

// Run changes the client if nobody else does at the same time.
func (c *clientUpdateCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(s settings.Settings, store storage.Store) error {
		client, err := findClient(ctx, store, c.ID)
		if err != nil {
			return err
		}
		if err := c.apply(&client); err != nil {
			return err
		}
		if c.Disabled != nil {
			client.Disabled = *c.Disabled
		}
		if err := checkClient(client, s); err != nil {
			return err
		}
		now := time.Now()
		if client, err = store.UpdateClient(ctx, client, now); err != nil {
			return err
		}
		if client.Disabled {
			if _, err := store.AppendEvent(ctx, clientRevocation(client.ID, now)); err != nil {
				return fmt.Errorf("the client is refused, but its tokens are not revoked; repeat the command: %w", err)
			}
		}
		return p.printClient(c.JSON, client, "")
	})
}

type clientRotateCommand struct {
	ID string `arg:"" help:"client_id."`
	jsonOutput
	Grace time.Duration `default:"24h" help:"How long the old secret works too; 0 ends it now."`
}

// Run gives the client a new secret.
func (c *clientRotateCommand) Run(ctx context.Context, p *process) error {
	if c.Grace < 0 {
		return usagef("--grace must not be negative")
	}
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		client, err := findClient(ctx, store, c.ID)
		if err != nil {
			return err
		}
		if !sharedSecret(client.AuthMethod) {
			return fmt.Errorf("client %q has no secret: it authenticates by %s", c.ID, client.AuthMethod)
		}
		now, secret := time.Now(), newSecret()
		client.PreviousSecretHash, client.PreviousSecretExpiresAt = nil, time.Time{}
		if c.Grace > 0 {
			client.PreviousSecretHash, client.PreviousSecretExpiresAt = client.SecretHash, now.Add(c.Grace)
		}
		client.SecretHash = hashSecret(secret)
		client, err = store.UpdateClient(ctx, client, now)
		if err != nil {
			return err
		}
		return p.printClient(c.JSON, client, secret)
	})
}

type clientDeleteCommand struct {
	ID string `arg:"" help:"client_id."`
	jsonOutput
}

// Run deletes the client; the same statement revokes its tokens everywhere.
func (c *clientDeleteCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		event := clientRevocation(c.ID, time.Now())
		err := store.DeleteClient(ctx, c.ID, event)
		if errors.Is(err, storage.ErrNotFound) {
			return noClient(c.ID)
		}
		if err != nil {
			return err
		}
		return p.printRevocation(c.JSON, event, fmt.Sprintf("deleted client %s; ", c.ID))
	})
}

// clientRevocation revokes the tokens of a client that is refused from now on,
// those too that a server issues before it has heard of that.
func clientRevocation(id string, now time.Time) storage.Event {
	event := authserver.BroadRevocation(storage.EventClientRevoked, id, now)
	event.IssuedBefore = now.Add(authserver.MaxStaleness)
	return event
}

func findClient(ctx context.Context, store storage.Clients, id string) (storage.Client, error) {
	client, err := store.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return client, noClient(id)
	}
	return client, err
}

func noClient(id string) error {
	return fmt.Errorf("there is no client %q; see gatehouse client list", id)
}

// newSecret returns 256 random bits behind a prefix that secret scanners find.
func newSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails (crypto/rand)
	return secretPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

const secretPrefix = "ghs_"

func hashSecret(secret string) []byte {
	hash := sha256.Sum256([]byte(secret))
	return hash[:]
}
