package resourceserver

import (
	"math"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// kind is what a revocation names.
type kind byte

const (
	byToken kind = iota
	byGrant
	byClient
	bySubject
	byKey
	everything
)

// target is one token, grant, client or subject, or the key of some, or
// everything (without id).
type target struct {
	kind kind
	id   string
}

// mark revokes the tokens of its target that were issued at or before
// issuedBefore; it can be forgotten at expires. Both are Unix seconds.
type mark struct{ issuedBefore, expires int64 }

// always is the issuedBefore of a mark that does not depend on it.
const always = math.MaxInt64

// revocations are those in force. Adding one twice changes nothing.
type revocations struct {
	mu    sync.RWMutex
	marks map[target]mark
}

func newRevocations() *revocations { return &revocations{marks: map[target]mark{}} }

func (r *revocations) add(t target, m mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.marks[t]
	r.marks[t] = mark{max(known.issuedBefore, m.issuedBefore), max(known.expires, m.expires)}
}

// cover reports whether e is revoked. A token whose time of issue is unknown
// counts as old; one that is not of the issuer does not concern it.
func (r *revocations) cover(e *verified) bool {
	if e.foreign {
		return false
	}
	issued := int64(0)
	if !e.IssuedAt.IsZero() {
		issued = e.IssuedAt.Unix()
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.marks) > 0 && (r.has(byToken, e.event, issued) ||
		e.GrantID != "" && r.has(byGrant, e.GrantID, issued) ||
		r.has(byClient, e.ClientID, issued) ||
		r.has(bySubject, e.Subject, issued) ||
		e.kid != "" && r.has(byKey, e.kid, issued) ||
		r.has(everything, "", issued))
}

func (r *revocations) has(kind kind, id string, issued int64) bool {
	m, found := r.marks[target{kind, id}]
	return found && issued <= m.issuedBefore
}

// coverInfo reports whether the token behind info is revoked.
func (r *revocations) coverInfo(info *auth.TokenInfo) bool {
	if info == nil {
		return false
	}
	e, ok := info.Extra[infoKey].(*verified)
	return ok && r.cover(e)
}

// forget drops the marks that have expired at now (Unix seconds).
func (r *revocations) forget(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t, m := range r.marks {
		if m.expires <= now {
			delete(r.marks, t)
		}
	}
}
