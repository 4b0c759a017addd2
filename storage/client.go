package storage

import (
	"context"
	"slices"
	"time"
)

// TokenFormat is the form of the access tokens a client receives.
type TokenFormat string

const (
	// FormatJWT is a signed RFC 9068 token that is not stored.
	FormatJWT TokenFormat = "jwt"
	// FormatOpaque is a random reference that is stored by its hash.
	FormatOpaque TokenFormat = "opaque"
)

// Registration says how a client came to be known.
type Registration string

const (
	// RegisteredByOperator is a client that an operator created.
	RegisteredByOperator Registration = "operator"
	// RegisteredDynamically is a client that registered itself (RFC 7591).
	RegisteredDynamically Registration = "dynamic"
	// RegisteredByDocument is the last good copy of a client ID metadata
	// document; its id is the document's URL.
	RegisteredByDocument Registration = "document"
)

// Client is an OAuth client (RFC 7591 §2 vocabulary).
type Client struct {
	ID   string // client_id
	Name string // client_name

	// AuthMethod is token_endpoint_auth_method: "client_secret_basic",
	// "client_secret_post", "private_key_jwt" or "none". The two shared
	// secret methods are one class: either is accepted of both.
	AuthMethod string

	// SecretHash is the SHA-256 of the client secret (256 random bits, so no
	// slow hash is needed); nil for a client without one.
	SecretHash []byte
	// PreviousSecretHash stays valid until PreviousSecretExpiresAt, so that a
	// secret can be rotated without an outage.
	PreviousSecretHash      []byte
	PreviousSecretExpiresAt time.Time

	// JWKS is the client's public JSON Web Key Set (RFC 7517) for
	// private_key_jwt, as registered; nil without. JWKSURI is where the set is
	// fetched instead; never both.
	JWKS    []byte
	JWKSURI string

	GrantTypes   []string // grant_types
	RedirectURIs []string // redirect_uris, exact

	// Scopes is all the client may ask for; DefaultScopes what it gets when
	// it asks for none (all of Scopes when empty).
	Scopes        []string
	DefaultScopes []string

	// Resources are the audiences (RFC 8707) the client may get tokens for;
	// DefaultResource the one it gets when it names none and has several.
	Resources       []string
	DefaultResource string

	// TokenFormat overrides the resource's format; empty leaves it.
	TokenFormat TokenFormat

	// Introspect allows the client to introspect tokens whose audience is one
	// of Resources, and to follow their revocations.
	Introspect bool

	Disabled bool

	// AccessTokenLifetime overrides the server's; zero leaves it.
	AccessTokenLifetime time.Duration

	// What a client says about itself (RFC 7591 §2); all may be empty.
	ApplicationType string // web or native
	ClientURI       string
	LogoURI         string
	PolicyURI       string
	TOSURI          string
	Contacts        []string
	SoftwareID      string
	SoftwareVersion string

	Registration Registration // empty is stored as RegisteredByOperator
	// RegistrationTokenHash is the SHA-256 of the registration access token
	// (RFC 7592); nil for a client that cannot change itself.
	RegistrationTokenHash []byte
	// Fingerprint identifies the metadata of a public client that registered
	// itself: the same metadata is the same client. Unique; nil for none.
	Fingerprint []byte
	// ExpiresAt is when a client that registered itself and was never used
	// goes; zero for never.
	ExpiresAt time.Time
	// FetchedAt is when a metadata document was fetched, FreshUntil until when
	// it need not be fetched again.
	FetchedAt  time.Time
	FreshUntil time.Time

	// Revision counts changes, from 1; it guards UpdateClient.
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Clone returns a deep copy.
func (c Client) Clone() Client {
	c.SecretHash = slices.Clone(c.SecretHash)
	c.PreviousSecretHash = slices.Clone(c.PreviousSecretHash)
	c.JWKS = slices.Clone(c.JWKS)
	c.GrantTypes = slices.Clone(c.GrantTypes)
	c.RedirectURIs = slices.Clone(c.RedirectURIs)
	c.Scopes = slices.Clone(c.Scopes)
	c.DefaultScopes = slices.Clone(c.DefaultScopes)
	c.Resources = slices.Clone(c.Resources)
	c.Contacts = slices.Clone(c.Contacts)
	c.RegistrationTokenHash = slices.Clone(c.RegistrationTokenHash)
	c.Fingerprint = slices.Clone(c.Fingerprint)
	return c
}

// Clients keeps registered clients.
type Clients interface {
	// CreateClient stores c with Revision 1. ErrExists when the id is taken;
	// of concurrent callers with one id exactly one succeeds.
	CreateClient(ctx context.Context, c Client) error

	// RegisterClient stores c like CreateClient, unless a client with its
	// Fingerprint exists: then that one is returned, its ExpiresAt moved to
	// c.ExpiresAt if it had one. Of concurrent callers with one fingerprint all
	// get the same client. ErrExists when the id is taken.
	RegisterClient(ctx context.Context, c Client) (Client, error)

	// SaveDocument stores c, of kind RegisteredByDocument, whether or not there
	// was such a client; CreatedAt and Disabled of an older copy stay, and one
	// that was used and so no longer expires stays that way. When the
	// copy differs from the older one in anything but ExpiresAt, FetchedAt,
	// FreshUntil and UpdatedAt it counts as a change: Revision increases and an
	// [EventClientChanged] is appended. It returns what is stored then.
	// ErrExists when a client of another kind has the id, which stays.
	SaveDocument(ctx context.Context, c Client) (Client, error)

	// Client returns the client, or ErrNotFound.
	Client(ctx context.Context, id string) (Client, error)

	// ListClients returns at most limit clients with id > after, by id.
	ListClients(ctx context.Context, after string, limit int) ([]Client, error)

	// UpdateClient replaces every field but ID and CreatedAt if the stored
	// revision still is c.Revision, and increments it; UpdatedAt becomes now.
	// ErrConflict when someone else was faster, ErrNotFound when it is gone.
	// The same statement appends an [EventClientChanged].
	UpdateClient(ctx context.Context, c Client, now time.Time) (Client, error)

	// DeleteClient removes the client and, in the same statement, appends
	// revoked (of kind [EventClientRevoked]), so that no token outlives its
	// client. ErrNotFound when there is none.
	DeleteClient(ctx context.Context, id string, revoked Event) error
}
