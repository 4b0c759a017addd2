package keys

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// skew is how far ahead of ours the clock may be of the replica that created a
// key: when no other key signs, a key may begin so long before its time.
const skew = time.Minute

// snapshot is what the store held at one moment. It is never changed.
type snapshot struct {
	redacted
	keys []key // by generation; withdrawn and dead ones included

	// last is the highest generation in the store.
	last int64

	// jwks and algs are right until the moment until; zero means always.
	jwks  []byte
	algs  []string
	until time.Time
}

// newSnapshot lays out rows, which are in the order of their generations. Keys
// that prev holds are not opened again. A key that does not open is left out
// and makes newSnapshot return its error beside the snapshot of the others.
func newSnapshot(rows []storage.Key, prev *snapshot, s sealer, lifetime time.Duration, now time.Time) (*snapshot, error) {
	var broken error
	snap := &snapshot{}
	var takeover time.Time // when the first of the younger keys takes over
	for _, row := range slices.Backward(rows) {
		snap.last = max(snap.last, row.Generation)
		k := key{Key: row}
		if !takeover.IsZero() {
			k.end = takeover.Add(lifetime)
		}
		if k.published(now) {
			if err := prev.reuse(&k, s); err != nil {
				broken = cmp.Or(broken, fmt.Errorf("keys: signing key %s: %w", k.KID, err))
				continue
			}
		}
		if k.served() && (takeover.IsZero() || k.ActivateAt.Before(takeover)) {
			takeover = k.ActivateAt
		}
		snap.keys = append(snap.keys, k)
	}
	slices.Reverse(snap.keys)
	snap.jwks, snap.algs, snap.until = snap.document(now)
	return snap, broken
}

// reuse opens k, or takes it from s when the same row was opened before.
func (s *snapshot) reuse(k *key, with sealer) error {
	if s != nil {
		for _, old := range s.keys {
			if old.private != nil && old.KID == k.KID && old.Alg == k.Alg && bytes.Equal(old.Sealed, k.Sealed) {
				k.private, k.jwk = old.private, old.jwk
				return nil
			}
		}
	}
	return k.open(with)
}

// holder returns the key whose turn it is at the given moment, withdrawn or
// not: the youngest that has been activated. Nil when there is none.
func (s *snapshot) holder(at time.Time) *key {
	for i := len(s.keys) - 1; i >= 0; i-- {
		if k := &s.keys[i]; k.served() && !k.ActivateAt.After(at) {
			return k
		}
	}
	return nil
}

// signing returns the key that signs now. It never falls back to an older
// key, whose end is settled already. Nil when there is none.
func (s *snapshot) signing(now time.Time) *key {
	for _, at := range [...]time.Time{now, now.Add(skew)} {
		if k := s.holder(at); k != nil && k.private != nil && k.published(now) {
			return k
		}
	}
	return nil
}

// newest returns the key of the highest generation that is not withdrawn, nil
// when there is none.
func (s *snapshot) newest() *key {
	for i := len(s.keys) - 1; i >= 0; i-- {
		if !s.keys[i].retired() {
			return &s.keys[i]
		}
	}
	return nil
}

// find returns the published key with that kid, nil when there is none.
func (s *snapshot) find(kid string, now time.Time) *key {
	for i := range s.keys {
		if k := &s.keys[i]; k.KID == kid && k.private != nil && k.published(now) {
			return k
		}
	}
	return nil
}

// public returns the document of the keys published at now, and the algorithms
// in it: the one that is at hand, unless a key ended since.
func (s *snapshot) public(now time.Time) (jwks []byte, algs []string) {
	if s.until.IsZero() || now.Before(s.until) {
		return s.jwks, s.algs
	}
	jwks, algs, _ = s.document(now)
	return jwks, algs
}

// document renders the JWK Set (RFC 7517 §5) of the keys published at now, the
// algorithms in it, and the moment from which it will hold one key too many.
func (s *snapshot) document(now time.Time) (jwks []byte, algs []string, until time.Time) {
	var members [][]byte
	for i := range s.keys {
		k := &s.keys[i]
		if k.private == nil || !k.published(now) {
			continue
		}
		members = append(members, k.jwk)
		if !slices.Contains(algs, k.Alg) {
			algs = append(algs, k.Alg)
		}
		if !k.end.IsZero() && (until.IsZero() || k.end.Before(until)) {
			until = k.end
		}
	}
	return slices.Concat([]byte(`{"keys":[`), bytes.Join(members, []byte(",")), []byte(`]}`)), algs, until
}
