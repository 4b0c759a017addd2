package authserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// ErrNothingToRevoke says that a token has expired.
var ErrNothingToRevoke = errors.New("there is nothing to revoke")

// TokenRevocation is the revocation of one access token of either format at
// now. The token is not verified, because whoever may revoke may do so by name;
// it only has to be one that a server of ours could have issued. The error wraps
// [ErrNothingToRevoke] when it has expired.
func TokenRevocation(token string, now time.Time) (storage.Event, error) {
	jti, expiresAt, err := TokenID(token)
	if err != nil {
		return storage.Event{}, err
	}
	if expiresAt.Add(MaxVerifierSkew).Before(now) {
		return storage.Event{}, fmt.Errorf("the token expired at %s; %w", expiresAt.UTC().Format(time.RFC3339), ErrNothingToRevoke)
	}
	// A forged expiry must not keep the event for ever.
	if latest := now.Add(MaxAccessTokenLifetime); expiresAt.After(latest) {
		expiresAt = latest
	}
	return storage.Event{
		Kind: storage.EventTokenRevoked, Target: jti, CreatedAt: now, ExpiresAt: expiresAt.Add(MaxVerifierSkew),
	}, nil
}

// BroadRevocation is the revocation of everything of the target, a grant, client
// or subject, or of all there is, that was issued up to now: by the clock of this
// machine, so that it should agree with those of the servers.
func BroadRevocation(kind storage.EventKind, target string, now time.Time) storage.Event {
	if kind == storage.EventGrantRevoked { // which is over for good
		return grantRevocation(target, nil, now)
	}
	return storage.Event{
		Kind: kind, Target: target, IssuedBefore: now, CreatedAt: now,
		ExpiresAt: now.Add(MaxAccessTokenLifetime + MaxVerifierSkew),
	}
}

// RevocationStore is what [Revoke] and [Known] need of a store.
type RevocationStore interface {
	storage.Clients
	storage.Users
	storage.Sessions
	storage.Grants
}

// Revoke revokes in the store what event covers, from where every running server
// learns of it within a second. With grants go their refresh tokens, so that
// nobody gets new tokens without asking a person again. Of a person, or of
// everybody, it first ends the browser sessions, because a stolen cookie would
// consent again. The event, which it returns, covers what was issued until that
// moment. After an error it may be half done and is to be repeated.
func Revoke(ctx context.Context, store RevocationStore, event storage.Event) (storage.Event, error) {
	if event.Kind == storage.EventSubjectRevoked || event.Kind == storage.EventAllRevoked {
		if err := store.DeleteSessions(ctx, event.Target, [32]byte{}); err != nil {
			return event, err
		}
	}
	if event.Kind != storage.EventTokenRevoked {
		event = BroadRevocation(event.Kind, event.Target, time.Now())
	}
	return event, store.RevokeGrants(ctx, event, event.CreatedAt)
}

// Sub returns the subject of what an operator names to revoke a person: a sub,
// or a username if no person has such a sub. What is neither stays as it is: a
// client that acts for itself, or a person who is gone.
func Sub(ctx context.Context, store storage.Users, named string) (string, error) {
	_, err := store.User(ctx, named)
	if !errors.Is(err, storage.ErrNotFound) {
		return named, err
	}
	username, err := CanonicalUsername(named)
	if err != nil {
		return named, nil //nolint:nilerr // it is no username
	}
	user, err := store.UserByUsername(ctx, username)
	if errors.Is(err, storage.ErrNotFound) {
		return named, nil
	}
	return user.ID, err
}

// Known reports whether the store knows what event revokes. What it does not
// know may have been deleted while tokens of it live on, or be mistyped. A
// subject is a user, or a client that acts for itself. Single tokens, which are
// not stored, and everything are always known.
func Known(ctx context.Context, store RevocationStore, event storage.Event) (bool, error) {
	var err error
	switch event.Kind {
	case storage.EventGrantRevoked:
		_, err = store.Grant(ctx, event.Target)
	case storage.EventClientRevoked:
		_, err = store.Client(ctx, event.Target)
	case storage.EventSubjectRevoked:
		if _, err = store.User(ctx, event.Target); errors.Is(err, storage.ErrNotFound) {
			_, err = store.Client(ctx, event.Target)
		}
	case storage.EventTokenRevoked, storage.EventAllRevoked, storage.EventClientChanged, storage.EventKeysChanged:
	}
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Revoked tells in JSON what was revoked.
type Revoked struct {
	Revoked storage.EventKind `json:"revoked"`
	Target  string            `json:"target,omitempty"`
	// IssuedBefore is the last moment of issue of tokens that are revoked;
	// times in tokens are whole seconds, of which this one is revoked as well.
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
	// ExpiresAt is when the last of them has expired by itself.
	ExpiresAt time.Time `json:"expires_at"`
	// Known is false when the store does not know the target, see [Known].
	Known *bool `json:"known,omitempty"`
}

// NewRevoked describes a revocation.
func NewRevoked(event storage.Event) Revoked {
	r := Revoked{Revoked: event.Kind, Target: event.Target, ExpiresAt: event.ExpiresAt.UTC()}
	if !event.IssuedBefore.IsZero() {
		before := event.IssuedBefore.UTC()
		r.IssuedBefore = &before
	}
	return r
}
