package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// attempts bounds how often a rotation that lost against another replica looks
// again. Each loss means that somebody else made progress.
const attempts = 8

// Config is all a [Ring] needs; everything but Logger is required.
type Config struct {
	redacted

	Store storage.Keys

	// Seal are the keys that private keys are sealed under at rest, 32 bytes
	// each: the first seals, all open. To replace one, put the new one in
	// front and drop the old one when no key sealed under it is left, that is
	// after Rotation, Overlap and Lifetime have passed.
	Seal [][]byte

	// Alg is the algorithm of new keys, one of [Algorithms].
	Alg string

	// Rotation is how long a key signs, and Overlap how long before that it
	// is published, so that every verifier knows it in time; Overlap is
	// shorter than Rotation.
	Rotation time.Duration
	Overlap  time.Duration

	// Lifetime is the longest life of a token, clock skew and the time until
	// a replica notices a rotation included. A key stays published that long
	// after its successor has taken over.
	Lifetime time.Duration

	// Logger receives the creation and removal of keys; nil discards.
	Logger *slog.Logger
}

func (c Config) check() error {
	switch {
	case c.Store == nil:
		return errors.New("keys: a store is required")
	case !Supported(c.Alg):
		return fmt.Errorf("keys: algorithm %q is not one of %v", c.Alg, Algorithms())
	case c.Overlap <= 0 || c.Rotation <= c.Overlap:
		return fmt.Errorf("keys: overlap %s is not between 0 and the rotation %s", c.Overlap, c.Rotation)
	case c.Lifetime <= 0:
		return fmt.Errorf("keys: lifetime %s is not positive", c.Lifetime)
	}
	return nil
}

// Ring is the server's view of its signing keys. Its methods are safe for
// concurrent use; signing, verifying and publishing take no lock and make no
// call to the store.
type Ring struct {
	redacted
	cfg    Config // without Seal, which sealer has taken over
	sealer sealer

	// mu orders reading the store and installing what was read, so that an
	// older view never replaces a newer one. Keys are generated outside of it.
	mu   sync.Mutex
	snap atomic.Pointer[snapshot]
}

// Open loads the keys and creates the first one, active at once, when there is
// none. It fails with [ErrSealKey] or [ErrSealBroken] when a key that is still
// needed does not open, and with the errors of [storage.Keys].
func Open(ctx context.Context, cfg Config, now time.Time) (*Ring, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s, err := newSealer(cfg.Seal)
	if err != nil {
		return nil, err
	}
	cfg.Seal = nil
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Ring{cfg: cfg, sealer: s}
	if err := r.Refresh(ctx, now); err != nil {
		return nil, err
	}
	return r, nil
}

// Refresh loads the keys, creates the successor when it is due and removes
// keys whose last token is dead. It is idempotent: every replica calls it each
// minute and whenever the keys have changed.
//
// A successor is due when no key can sign (it is then active at once), when the
// newest key has signed for Rotation less Overlap, and when the newest key's
// algorithm is not Alg. While a successor waits for its turn no other is
// created, so that replicas configured differently during an upgrade do not
// outbid each other.
//
// When a key does not open, Refresh returns [ErrSealKey] or [ErrSealBroken],
// changes nothing in the store, and goes on with the other keys.
func (r *Ring) Refresh(ctx context.Context, now time.Time) error {
	for range attempts {
		s, err := r.load(ctx, now)
		if err != nil {
			return err
		}
		activateAt, due := r.due(s, now)
		if !due {
			return r.bury(ctx, s, now)
		}
		if _, err := r.add(ctx, s.last+1, now, activateAt); err != nil && !errors.Is(err, storage.ErrExists) {
			return err
		}
	}
	return fmt.Errorf("keys: no agreement on the next key after %d attempts", attempts)
}

// Rotate creates a key by hand that signs from activateAt on (at once when that
// has passed, at most Rotation from now) and returns its record. The key that
// signs until then is not withdrawn. A record beside an error means that the
// key was stored but not loaded yet; the next [Ring.Refresh] does that.
func (r *Ring) Rotate(ctx context.Context, now, activateAt time.Time) (storage.Key, error) {
	if activateAt.Before(now) {
		activateAt = now
	}
	if activateAt.Sub(now) > r.cfg.Rotation {
		return storage.Key{}, fmt.Errorf("keys: a key cannot be scheduled more than a rotation of %s ahead", r.cfg.Rotation)
	}
	for range attempts {
		s, err := r.load(ctx, now)
		if err != nil {
			return storage.Key{}, err
		}
		k, err := r.add(ctx, s.last+1, now, activateAt)
		if errors.Is(err, storage.ErrExists) {
			continue
		}
		if err != nil {
			return storage.Key{}, err
		}
		_, err = r.load(ctx, now)
		return k, err
	}
	return storage.Key{}, fmt.Errorf("keys: no agreement on the next key after %d attempts", attempts)
}

// load reads the store and installs what it read. The snapshot of the keys
// that open is installed even when another does not, so that a withdrawal
// takes effect beside a broken key.
func (r *Ring) load(ctx context.Context, now time.Time) (*snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.cfg.Store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys: load: %w", err)
	}
	s, err := newSnapshot(rows, r.snap.Load(), r.sealer, r.cfg.Lifetime, now)
	r.snap.Store(s)
	return s, err
}

// due tells whether a successor must be created, and when it is to sign.
func (r *Ring) due(s *snapshot, now time.Time) (activateAt time.Time, due bool) {
	if s.signing(now) == nil {
		return now, true
	}
	newest := s.newest()
	if newest.ActivateAt.After(now) {
		return time.Time{}, false
	}
	published := now.Add(r.cfg.Overlap)
	if newest.Alg != r.cfg.Alg {
		return published, true
	}
	turn := newest.ActivateAt.Add(r.cfg.Rotation)
	if turn.After(published) {
		return time.Time{}, false
	}
	return published, true
}

// add creates a key. ErrExists when another replica took the generation.
func (r *Ring) add(ctx context.Context, generation int64, now, activateAt time.Time) (storage.Key, error) {
	k, err := create(r.cfg.Alg, r.sealer)
	if err != nil {
		return k, err
	}
	k.Generation = generation
	k.CreatedAt = now.UTC().Truncate(time.Microsecond) // as the store keeps it
	k.ActivateAt = activateAt.UTC().Truncate(time.Microsecond)
	if err := r.cfg.Store.CreateKey(ctx, k); err != nil {
		return k, fmt.Errorf("keys: create generation %d: %w", generation, err)
	}
	r.cfg.Logger.InfoContext(ctx, "signing key created", "kid", k.KID, "alg", k.Alg,
		"generation", k.Generation, "activate_at", k.ActivateAt)
	return k, nil
}

// bury removes the keys that no living token was signed by.
func (r *Ring) bury(ctx context.Context, s *snapshot, now time.Time) error {
	for i := range s.keys {
		k := &s.keys[i]
		if !k.dead(now) {
			continue
		}
		if err := r.cfg.Store.RemoveKey(ctx, k.KID); err != nil {
			return fmt.Errorf("keys: remove %s: %w", k.KID, err)
		}
		r.cfg.Logger.InfoContext(ctx, "signing key removed", "kid", k.KID, "generation", k.Generation)
	}
	return nil
}

// Published reports whether tokens signed by the key with that kid still verify.
func (r *Ring) Published(kid string, now time.Time) bool {
	return r.snap.Load().find(kid, now) != nil
}

// Ready returns [ErrNoKey] when no key can sign.
func (r *Ring) Ready(now time.Time) error {
	if r.snap.Load().signing(now) == nil {
		return ErrNoKey
	}
	return nil
}

// JWKS returns the JWK Set (RFC 7517 §5) of the published keys, oldest first,
// each with kid, use and alg. The caller must not change it.
func (r *Ring) JWKS(now time.Time) []byte {
	jwks, _ := r.snap.Load().public(now)
	return jwks
}

// Algs returns the algorithms of the published keys, the oldest key's first,
// for the server's metadata. The caller must not change it.
func (r *Ring) Algs(now time.Time) []string {
	_, algs := r.snap.Load().public(now)
	return algs
}
