package storage

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// User is a person who can sign in: the subject of tokens that clients get on
// their behalf.
type User struct {
	ID       string // sub: random, never reused, shown to clients
	Username string // what the person types, in canonical form; unique
	Name     string // OpenID Connect Core §5.1 name; may be empty
	Email    string // email; may be empty, need not be unique
	// EmailVerified says that an upstream provider or an operator vouches for it.
	EmailVerified bool

	// PasswordHash is a PHC string (argon2id); empty for a user who signs in
	// by other means only.
	PasswordHash string

	// TOTPSecret is the secret of the second factor (RFC 6238), sealed by the
	// server's key; nil without one.
	TOTPSecret []byte
	// RecoveryCodes are the SHA-256 of the codes not used yet that stand in
	// for the second factor.
	RecoveryCodes [][]byte

	Disabled bool

	// Revision counts changes, from 1; it guards UpdateUser.
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Clone returns a deep copy.
func (u User) Clone() User {
	u.TOTPSecret = slices.Clone(u.TOTPSecret)
	u.RecoveryCodes = slices.Clone(u.RecoveryCodes)
	for i, code := range u.RecoveryCodes {
		u.RecoveryCodes[i] = bytes.Clone(code)
	}
	return u
}

// Identity is who an upstream OpenID provider says a user is.
type Identity struct {
	Issuer  string // iss of the provider
	Subject string // sub there
}

// Users keeps the people who can sign in.
type Users interface {
	// CreateUser stores u with Revision 1 and, unless identity is zero, who it
	// is at an upstream provider. ErrExists when the id, the username or the
	// identity is taken; of concurrent callers exactly one succeeds.
	CreateUser(ctx context.Context, u User, identity Identity) error

	// User, UserByUsername and UserByIdentity return the user, disabled or
	// not, or ErrNotFound.
	User(ctx context.Context, id string) (User, error)
	UserByUsername(ctx context.Context, username string) (User, error)
	UserByIdentity(ctx context.Context, identity Identity) (User, error)

	// ListUsers returns at most limit users with username > after, by username
	// (compared as bytes).
	ListUsers(ctx context.Context, after string, limit int) ([]User, error)

	// UpdateUser replaces every field but ID and CreatedAt if the stored
	// revision still is u.Revision, and increments it; UpdatedAt becomes now.
	// ErrConflict when someone else was faster, ErrNotFound when there is no
	// such user, ErrExists when the username is another's. The same statement
	// appends revoked unless it is nil, so that a user who is disabled loses
	// every token.
	UpdateUser(ctx context.Context, u User, revoked *Event, now time.Time) (User, error)

	// SpendRecoveryCode removes the code whose SHA-256 is hash from the user's.
	// ErrSpent when the user has no such code (any more); of concurrent
	// callers exactly one succeeds. It changes the revision.
	SpendRecoveryCode(ctx context.Context, userID string, hash [32]byte, now time.Time) error
}

// Passkey is a WebAuthn credential of a user.
type Passkey struct {
	ID     []byte // credential id
	UserID string
	Name   string // how the person calls it

	PublicKey       []byte // COSE key
	AttestationType string
	Transports      []string
	Flags           uint8  // authenticator data flags at registration or last use
	AAGUID          []byte // model of the authenticator; 16 bytes
	SignCount       uint32

	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

// Clone returns a deep copy.
func (p Passkey) Clone() Passkey {
	p.ID = slices.Clone(p.ID)
	p.PublicKey = slices.Clone(p.PublicKey)
	p.Transports = slices.Clone(p.Transports)
	p.AAGUID = slices.Clone(p.AAGUID)
	return p
}

// Passkeys keeps WebAuthn credentials.
type Passkeys interface {
	// CreatePasskey stores p. ErrExists when the credential id is taken,
	// ErrNotFound when there is no such user.
	CreatePasskey(ctx context.Context, p Passkey) error

	// Passkeys returns the user's passkeys, oldest first.
	Passkeys(ctx context.Context, userID string) ([]Passkey, error)

	// UsePasskey records a successful use. ErrNotFound when it is gone.
	UsePasskey(ctx context.Context, id []byte, signCount uint32, flags uint8, now time.Time) error

	// DeletePasskey removes one passkey of the user; ErrNotFound when the user
	// has no such one.
	DeletePasskey(ctx context.Context, userID string, id []byte) error
}
