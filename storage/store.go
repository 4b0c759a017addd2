package storage

import (
	"context"
	"time"
)

// Store is what an engine offers. Consumers name the part they need; only the
// wiring handles the whole.
type Store interface {
	Clients
	AccessTokens
	Assertions
	Keys
	Events

	// Ready reports whether the engine answers and its schema is new enough:
	// nil, ErrUnavailable or ErrSchema.
	Ready(ctx context.Context) error

	// Maintain prepares room for records that expire up to horizon after now
	// and drops what expired before now. It is idempotent, cheap when there
	// is nothing to do, safe to run on several replicas at once, and never
	// sweeps a large table row by row.
	Maintain(ctx context.Context, now time.Time, horizon time.Duration) error

	// Close releases the engine after running calls have ended.
	Close() error
}
