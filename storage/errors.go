package storage

import "errors"

var (
	// ErrNotFound says that no such record exists (or that it has expired
	// where a method says so).
	ErrNotFound = errors.New("storage: not found")

	// ErrExists says that a record with the same key exists already.
	ErrExists = errors.New("storage: already exists")

	// ErrConflict says that the record was changed by somebody else since it
	// was read (optimistic concurrency by revision).
	ErrConflict = errors.New("storage: changed by someone else")

	// ErrSpent says that a single-use value was used before.
	ErrSpent = errors.New("storage: already used")

	// ErrScope and ErrResource say that more was asked for than was granted.
	ErrScope    = errors.New("storage: scope was not granted")
	ErrResource = errors.New("storage: resource was not granted")

	// ErrPending, ErrSlowDown, ErrDenied and ErrExpired are the states of a
	// device's request (RFC 8628 §3.5).
	ErrPending  = errors.New("storage: not decided yet")
	ErrSlowDown = errors.New("storage: polled too often")
	ErrDenied   = errors.New("storage: denied")
	ErrExpired  = errors.New("storage: expired")

	// ErrUnavailable says that the engine could not be reached or could not
	// answer in time. It is the only error that is worth a retry; servers
	// answer it with 503 and Retry-After.
	ErrUnavailable = errors.New("storage: unavailable")

	// ErrSchema says that the database's schema is older than this binary
	// needs, missing, or left half migrated.
	ErrSchema = errors.New("storage: schema is not up to date")
)
