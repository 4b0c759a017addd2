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

	// ErrScope says that a scope was asked for that was not granted.
	ErrScope = errors.New("storage: scope was not granted")

	// ErrResource says the same of a resource.
	ErrResource = errors.New("storage: resource was not granted")

	// ErrPending says that nobody has decided on a device's request yet (RFC
	// 8628 §3.5, as the three that follow).
	ErrPending = errors.New("storage: not decided yet")

	// ErrSlowDown says that a device polled before its interval was over, which
	// is longer from now on.
	ErrSlowDown = errors.New("storage: polled too often")

	// ErrDenied says that the person refused a device's request.
	ErrDenied = errors.New("storage: denied")

	// ErrExpired says that a device's request was not decided, or its decision
	// not fetched, in time.
	ErrExpired = errors.New("storage: expired")

	// ErrUnavailable says that the engine could not be reached or could not
	// answer in time. It is the only error that is worth a retry; servers
	// answer it with 503 and Retry-After.
	ErrUnavailable = errors.New("storage: unavailable")

	// ErrSchema says that the database's schema is older than this binary
	// needs, missing, or left half migrated.
	ErrSchema = errors.New("storage: schema is not up to date")
)
