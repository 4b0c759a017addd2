package storage

import (
	"context"
	"slices"
	"time"
)

// EventKind says what an [Event] does.
type EventKind string

const (
	// EventTokenRevoked revokes one access token; Target is its jti (for an
	// opaque token the unpadded base64url of its SHA-256).
	EventTokenRevoked EventKind = "token"
	// EventGrantRevoked, EventClientRevoked and EventSubjectRevoked revoke
	// every token of the grant, client or subject named by Target that was
	// issued at or before IssuedBefore.
	EventGrantRevoked   EventKind = "grant"
	EventClientRevoked  EventKind = "client"
	EventSubjectRevoked EventKind = "subject"
	// EventAllRevoked revokes every token issued at or before IssuedBefore.
	EventAllRevoked EventKind = "all"

	// EventClientChanged and EventKeysChanged revoke nothing; they tell
	// caches that the client named by Target, or the key set, is out of date;
	// if a key was retired, Target is its kid.
	EventClientChanged EventKind = "client_changed"
	EventKeysChanged   EventKind = "keys_changed"
)

// CommitWindow bounds how long a committed event may become visible after one
// with a higher Seq. Sequence numbers are handed out before commit, so a
// reader that wants every event keeps re-reading that much of the past.
// Engines bound the duration of a statement well below it.
const CommitWindow = 10 * time.Second

// ChangeLifetime is how long the events that engines append by themselves
// live ([EventClientChanged], [EventKeysChanged]): ExpiresAt is CreatedAt plus
// it. Caches that lost the log for longer start empty.
const ChangeLifetime = time.Hour

// Event is one entry of the append-only event log: a revocation, or the news
// that something cached has changed. Applying an event twice is the same as
// applying it once.
type Event struct {
	Seq    int64 // assigned by the engine, ascending, unique, gaps allowed
	Kind   EventKind
	Target string // jti, grant id, client_id, sub, or kid of a retired key; empty for all and for a new key

	// Audience names the resources concerned; empty means all.
	Audience []string

	// IssuedBefore bounds the kinds that revoke more than one token.
	IssuedBefore time.Time

	CreatedAt time.Time
	// ExpiresAt is when the last token concerned has expired by itself; from
	// that instant on the event is no longer returned.
	ExpiresAt time.Time
}

// Clone returns a deep copy.
func (e Event) Clone() Event {
	e.Audience = slices.Clone(e.Audience)
	return e
}

// Events is the event log.
type Events interface {
	// AppendEvent stores e durably and returns its sequence number. Listeners
	// of every process are woken.
	AppendEvent(ctx context.Context, e Event) (seq int64, err error)

	// Events returns at most limit events with Seq > after, ascending, that
	// have not expired at now. Every event committed before the call is among
	// those with a Seq above the reader's cursor; see [CommitWindow].
	Events(ctx context.Context, after int64, limit int, now time.Time) ([]Event, error)

	// Listen calls wake soon after an event was appended by any process, and
	// at once when listening has begun (again). It is a hint that may be lost:
	// callers also poll. Listen returns only when ctx ends or listening broke;
	// the caller calls it again. wake must not block.
	Listen(ctx context.Context, wake func()) error
}
