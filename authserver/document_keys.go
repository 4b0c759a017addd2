package authserver

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/cimd"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
)

const (
	keySetsSize = 1000
	// keySetRetry is how long a key set is not fetched again for a kid that it
	// does not have, or because it could not be had anew: whoever forges
	// assertions causes no more than that. One that was never had is asked for
	// after documentRetry.
	keySetRetry = time.Minute
	// keySetFresh bounds how long a key that was withdrawn still counts, and
	// keySetStale how long while its host cannot be reached.
	keySetFresh = time.Hour
	keySetStale = 24 * time.Hour
)

// keySets are the key sets that clients have at their jwks_uri (RFC 7517), kept
// by this process only.
type keySets struct {
	fetcher *cimd.Fetcher
	logger  *slog.Logger
	sets    *otter.Cache[string, *keySet]
}

func newKeySets(fetcher *cimd.Fetcher, logger *slog.Logger) *keySets {
	return &keySets{fetcher: fetcher, logger: logger, sets: otter.Must(&otter.Options[string, *keySet]{
		MaximumSize: keySetsSize,
	})}
}

// keySet is one of them.
type keySet struct {
	fetching sync.Mutex // held while the set is fetched: once at a time

	mu         sync.Mutex // guards what follows
	keys       []jose.JSONWebKey
	fetchedAt  time.Time
	freshUntil time.Time
	triedAt    time.Time
}

// find returns the keys at uri, of which one has the kid if any has; none when
// they cannot be had.
func (k *keySets) find(ctx context.Context, uri, kid string, now time.Time) []jose.JSONWebKey {
	set, _ := k.sets.SetIfAbsent(uri, &keySet{})
	if keys, done := set.read(kid, now); done {
		return keys
	}
	set.fetching.Lock()
	defer set.fetching.Unlock()
	if keys, done := set.read(kid, now); done {
		return keys
	}
	document, freshFor, err := k.fetcher.KeySet(context.WithoutCancel(ctx), uri)
	if err != nil {
		k.logger.WarnContext(ctx, "client's keys could not be fetched", "jwks_uri", uri, "error", err)
	}
	return set.write(document, freshFor, time.Now())
}

// read returns the keys that count at now, and whether they need not be
// fetched: they are fresh and have the kid, or somebody has just tried.
func (s *keySet) read(kid string, now time.Time) (keys []jose.JSONWebKey, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.fetchedAt.Add(keySetStale)) {
		keys = s.keys
	}
	has := kid == "" || slices.ContainsFunc(keys, func(key jose.JSONWebKey) bool { return key.KeyID == kid })
	if len(keys) > 0 && has && now.Before(s.freshUntil) {
		return keys, true
	}
	if len(keys) == 0 {
		return nil, now.Before(s.triedAt.Add(documentRetry))
	}
	return keys, now.Before(s.triedAt.Add(keySetRetry))
}

// write keeps what a fetch has brought; nothing keeps what there was.
func (s *keySet) write(document []byte, freshFor time.Duration, now time.Time) []jose.JSONWebKey {
	fetched := clientmetadata.Keys(document)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.triedAt = now
	if document != nil {
		s.keys, s.fetchedAt, s.freshUntil = fetched, now, now.Add(min(freshFor, keySetFresh))
	}
	if now.Before(s.fetchedAt.Add(keySetStale)) {
		return s.keys
	}
	return nil
}
