package authserver

import (
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// revocations is everything revoked that has not expired yet: the state that
// the event log's revocations add up to.
type revocations struct {
	mu     sync.RWMutex // guards the fields below
	tokens map[string]time.Time
	broad  map[broadKey]broadRevocation
}

// broadKey names a family of tokens: a grant, a client, a subject, or all.
type broadKey struct {
	kind   storage.EventKind
	target string
}

// broadRevocation revokes the tokens of its family that were issued at or
// before a second, until the last of them has expired.
type broadRevocation struct{ issuedBefore, expiresAt time.Time }

// revocationKinds are the kinds of events that revoke something.
func revocationKinds() []storage.EventKind {
	return []storage.EventKind{
		storage.EventTokenRevoked, storage.EventGrantRevoked, storage.EventClientRevoked, storage.EventSubjectRevoked, storage.EventAllRevoked,
	}
}

func newRevocations() *revocations {
	return &revocations{tokens: map[string]time.Time{}, broad: map[broadKey]broadRevocation{}}
}

// apply adds an event; applying it twice changes nothing.
func (v *revocations) apply(e storage.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Kind {
	case storage.EventTokenRevoked:
		v.tokens[e.Target] = e.ExpiresAt
	case storage.EventGrantRevoked, storage.EventClientRevoked, storage.EventSubjectRevoked, storage.EventAllRevoked:
		key := broadKey{e.Kind, e.Target}
		if known := v.broad[key]; e.IssuedBefore.After(known.issuedBefore) {
			v.broad[key] = broadRevocation{e.IssuedBefore, e.ExpiresAt}
		}
	case storage.EventClientChanged, storage.EventKeysChanged: // revoke nothing
	}
}

// covers reports whether t is revoked.
func (v *revocations) covers(t *accessToken) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if _, revoked := v.tokens[t.id]; revoked {
		return true
	}
	if len(v.broad) == 0 {
		return false
	}
	for _, key := range [...]broadKey{
		{storage.EventGrantRevoked, t.grantID},
		{storage.EventClientRevoked, t.clientID},
		{storage.EventSubjectRevoked, t.subject},
		{storage.EventAllRevoked, ""},
	} {
		if r, found := v.broad[key]; found && !t.issuedAt.After(r.issuedBefore) {
			return true
		}
	}
	return false
}

// forget drops what concerned only tokens that have expired at now.
func (v *revocations) forget(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, expiresAt := range v.tokens {
		if !now.Before(expiresAt) {
			delete(v.tokens, id)
		}
	}
	for key, r := range v.broad {
		if !now.Before(r.expiresAt) {
			delete(v.broad, key)
		}
	}
}
