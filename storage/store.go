package storage

import (
	"context"
	"time"
)

// Stats are an engine's connections.
type Stats struct {
	Open, InUse, Max int           // connections now, and at most
	Waits            int64         // calls that had to wait for a connection
	WaitDuration     time.Duration // in all
}

// Store is what an engine offers. Consumers name the part they need; only the
// wiring handles the whole.
type Store interface { //nolint:interfacebloat // the parts are the interfaces; this is their sum
	Clients
	AccessTokens
	Assertions
	Keys
	Events
	Users
	Passkeys
	Sessions
	Attempts
	Interactions
	PushedRequests
	Grants
	DeviceAuthorizations

	// Ready reports whether the engine answers and its schema is new enough:
	// nil, ErrUnavailable or ErrSchema.
	Ready(ctx context.Context) error

	// Maintain prepares room for records that expire up to horizon after now
	// and drops what expired before now. It is idempotent, cheap when there
	// is nothing to do, safe to run on several replicas at once, and never
	// sweeps a large table row by row.
	Maintain(ctx context.Context, now time.Time, horizon time.Duration) error

	// Stats tells of the engine's connections, now and since it was opened.
	Stats() Stats

	// Close releases the engine after running calls have ended.
	Close() error
}
