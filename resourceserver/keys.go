package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// maxKeyAge is how long keys are used that the issuer has not confirmed: as
// long as the longest-lived token. Later a withdrawn key could live for ever.
const maxKeyAge = 24 * time.Hour

// keySet holds the issuer's public keys (RFC 7517). They are fetched at an
// interval; forged tokens cause at most one fetch a minute, and none if they
// name a known key.
type keySet struct {
	client    *issuerClient
	discovery *discovery
	clock     func() time.Time

	current atomic.Pointer[keyring]
	loaded  chan struct{} // closed when there have been keys
	once    sync.Once
	failing atomic.Bool // the last fetch failed
	loading sync.Mutex  // held during a fetch, so that an older answer never replaces a newer one
	flight  singleflight.Group
	unknown *rate.Limiter // fetches for an unknown kid
	absent  *rate.Limiter // fetches while there are no keys at all
}

// keyring is one fetched set. Several keys may share a kid if they differ in
// type (RFC 7517 §4.5). epoch grows when a key is withdrawn: what was verified
// in an earlier one has to be verified again.
type keyring struct {
	fetched time.Time
	epoch   int
	keys    map[string][]jose.JSONWebKey
}

func newKeySet(client *issuerClient, d *discovery, clock func() time.Time) *keySet {
	return &keySet{client: client, discovery: d, clock: clock,
		loaded:  make(chan struct{}),
		unknown: rate.NewLimiter(rate.Every(time.Minute), 1),
		absent:  rate.NewLimiter(rate.Every(time.Second), 1),
	}
}

var (
	errEmptySet   = errors.New("the issuer publishes no key that can be used")
	errNoKeys     = errors.New("the issuer's keys are not known")
	errStaleKeys  = errors.New("the key is unknown, and the issuer's keys cannot be refreshed")
	errUnknownKey = errors.New("the key is not one of the issuer's")
)

// find returns the keys with that kid. errUnknownKey means that the issuer has
// none; any other error that this cannot be told now.
func (s *keySet) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	ring := s.fresh()
	limiter := s.unknown
	if ring == nil {
		limiter = s.absent
	} else if keys := ring.keys[kid]; keys != nil {
		return keys, nil
	}
	err := s.refreshIf(ctx, limiter)
	switch ring = s.fresh(); {
	case ring == nil:
		return nil, errors.Join(errNoKeys, err)
	case ring.keys[kid] != nil:
		return ring.keys[kid], nil
	case err != nil || s.failing.Load():
		return nil, errors.Join(errStaleKeys, err)
	}
	return nil, errUnknownKey
}

// fresh returns the keys unless there are none or they are too old.
func (s *keySet) fresh() *keyring {
	ring := s.current.Load()
	if ring == nil || len(ring.keys) == 0 || s.clock().Sub(ring.fetched) > maxKeyAge {
		return nil
	}
	return ring
}

// refreshIf fetches the keys if limiter permits; callers at the same time
// share one fetch, which does not end with the request that began it.
func (s *keySet) refreshIf(ctx context.Context, limiter *rate.Limiter) error {
	done := s.flight.DoChan("", func() (any, error) {
		if !limiter.Allow() {
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		return nil, s.refresh(ctx)
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refresh replaces the keys by what the issuer publishes now. Keys that are
// not understood are skipped, symmetric and private ones too.
func (s *keySet) refresh(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	err := s.load(ctx)
	s.failing.Store(err != nil)
	return err
}

func (s *keySet) load(ctx context.Context) error {
	fetched := s.clock()
	if err := s.discovery.load(ctx); err != nil && s.discovery.current.Load() == nil {
		return err
	}
	endpoints, err := s.discovery.endpoints()
	if err != nil {
		return err
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.client.get(ctx, endpoints.JWKSURI, &document); err != nil {
		return err
	}
	if document.Keys == nil {
		return errors.New("the issuer's key set has no keys member")
	}
	ring := &keyring{fetched: fetched, keys: map[string][]jose.JSONWebKey{}}
	for _, raw := range document.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.IsPublic() || key.Use == "enc" {
			continue
		}
		ring.keys[key.KeyID] = append(ring.keys[key.KeyID], key)
	}
	if old := s.current.Load(); old != nil {
		ring.epoch = old.epoch
		if !ring.includes(old) {
			ring.epoch++
		}
	}
	empty := len(ring.keys) == 0
	s.current.Store(ring) // an empty one too: what was withdrawn stays so
	if empty {
		return errEmptySet
	}
	s.once.Do(func() { close(s.loaded) })
	return nil
}

// includes reports whether r has every key of old.
func (r *keyring) includes(old *keyring) bool {
	for kid, keys := range old.keys {
		for _, key := range keys {
			if !slices.ContainsFunc(r.keys[kid], func(k jose.JSONWebKey) bool { return reflect.DeepEqual(k.Key, key.Key) }) {
				return false
			}
		}
	}
	return true
}

// epoch returns that of the current keys.
func (s *keySet) epoch() int {
	if ring := s.current.Load(); ring != nil {
		return ring.epoch
	}
	return 0
}

// run refreshes the keys at the interval until ctx ends, sooner after a
// failure. It tells report of every change between working and failing.
func (s *keySet) run(ctx context.Context, interval time.Duration, report func(error)) {
	retry, failed := time.Duration(0), false
	for {
		err := s.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != failed {
			failed = err != nil
			report(err)
		}
		wait := interval
		if failed {
			retry = backoff(retry)
			wait = min(retry, interval)
		} else {
			retry = 0
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// backoff returns the next waiting time: doubled, from 200 ms to 5 s.
func backoff(last time.Duration) time.Duration {
	return min(max(2*last, 200*time.Millisecond), 5*time.Second)
}
