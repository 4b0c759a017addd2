package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// ErrBusy says that too many passwords wait to be hashed already.
var ErrBusy = errors.New("password: too many are being checked")

// queuePerSlot bounds who waits: about a second's work.
const queuePerSlot = 32

// Hasher hashes passwords, as many at once as there are processors; so much
// memory it needs times 19 MiB. It is safe for concurrent use.
type Hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	limit   int64
	count   atomic.Uint64
	derive  func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
}

// NewHasher returns a Hasher for this machine.
func NewHasher() *Hasher {
	slots := runtime.GOMAXPROCS(0)
	return &Hasher{slots: make(chan struct{}, slots), limit: int64(slots) * queuePerSlot, derive: argon2.IDKey}
}

// Count is how many passwords were hashed since the start.
func (h *Hasher) Count() uint64 { return h.count.Load() }

// Hash returns the PHC string of a password under a new salt. [ErrBusy], or the
// error of ctx when it ended while waiting.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	fresh := hashed{cost: current, salt: make([]byte, saltSize)}
	rand.Read(fresh.salt)
	var err error
	if fresh.key, err = h.run(ctx, password, fresh.cost, fresh.salt, keySize); err != nil {
		return "", err
	}
	return fresh.String(), nil
}

// Verify compares a password with a stored hash. An empty hash is nobody's: it
// costs the same and is never right. old says that the right password should be
// hashed again. [ErrEncoded], [ErrBusy], or the error of ctx when it ended while
// waiting.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (right, old bool, err error) {
	stored := hashed{cost: current, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	if encoded != "" {
		if stored, err = parse(encoded); err != nil {
			return false, false, err
		}
	}
	key, err := h.run(ctx, password, stored.cost, stored.salt, uint32(len(stored.key))) //nolint:gosec // parse bounds it
	if err != nil {
		return false, false, err
	}
	right = subtle.ConstantTimeCompare(key, stored.key) == 1 && encoded != ""
	return right, right && stored.old(), nil
}

// run waits for a slot and hashes.
func (h *Hasher) run(ctx context.Context, password string, c cost, salt []byte, size uint32) ([]byte, error) {
	if len(password) > MaxLength {
		password = "" // no such password was ever accepted; the cost stays the same
	}
	if h.waiting.Add(1) > h.limit {
		h.waiting.Add(-1)
		return nil, ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		h.waiting.Add(-1)
	case <-ctx.Done():
		h.waiting.Add(-1)
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	h.count.Add(1)
	return h.derive([]byte(password), salt, c.passes, c.memory, c.lanes, size), nil
}
