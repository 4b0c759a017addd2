package storage

import (
	"context"
	"time"
)

// Key is a signing key of the server. Its life is told by times, so that
// replicas agree without talking: it is published from CreatedAt, signs from
// ActivateAt until the next generation's ActivateAt, and stays published until the last
// token it signed has expired (or RetiredAt, when it was withdrawn by hand).
type Key struct {
	KID string
	Alg string // JWS alg: ES256, EdDSA, PS256, RS256

	// Generation counts keys from 1 without gaps; its uniqueness makes
	// concurrent rotation by several replicas have one winner.
	Generation int64

	Public []byte // public JWK
	Sealed []byte // private JWK, sealed (AEAD) by the server's key; the engine never sees it in the clear

	CreatedAt  time.Time
	ActivateAt time.Time
	// RetiredAt withdraws the key at once; zero for none.
	RetiredAt time.Time
}

// Keys keeps signing keys.
type Keys interface {
	// CreateKey stores k and appends an [EventKeysChanged] in one statement.
	// ErrExists when its KID or its Generation is taken.
	CreateKey(ctx context.Context, k Key) error

	// Keys returns all keys by generation, retired ones included.
	Keys(ctx context.Context) ([]Key, error)

	// RetireKey sets RetiredAt to now, if not set yet, and appends an
	// [EventKeysChanged] that names it. ErrNotFound when there is no such key;
	// retiring twice is no error and keeps the first time.
	RetireKey(ctx context.Context, kid string, now time.Time) error

	// RemoveKey deletes the key, once no token signed by it can be alive.
	// Removing one that is gone is no error.
	RemoveKey(ctx context.Context, kid string) error
}
