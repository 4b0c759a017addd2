package resourceserver

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
)

// maxCached bounds the cache of verified tokens, at roughly 1 KiB each.
const maxCached = 10_000

// Verifier verifies access tokens outside of a request that [Server.Protect]
// handles. Scopes are left to the caller.
type Verifier interface {
	// Verify returns the token, which must not be modified, or a [*Refusal]:
	// invalid_token, temporarily_unavailable when it cannot be judged now, or
	// what Config.Validate says.
	Verify(ctx context.Context, token string) (*AccessToken, error)
}

// verifier picks the way a token is verified, by its form, and remembers the
// tokens that were good by their SHA-256. What is not configured is nil.
type verifier struct {
	static     staticTokens
	jwt        *jwtVerifier
	introspect judge // of JWTs while the feed is lost
	opaque     judge // of all other tokens
	feed       *feed
	revoked    *revocations
	refuse     bool // on feed loss, do not introspect JWTs

	clock func() time.Time
	cache *otter.Cache[[sha256.Size]byte, *verified]
	hits  prometheus.Counter

	flight singleflight.Group // of questions to a judge, by token
}

// judge knows about tokens that cannot be verified here. key is the SHA-256 of
// the token; the error is a [*Refusal].
type judge interface {
	accessToken(ctx context.Context, token string, key [sha256.Size]byte, now time.Time) (*verified, error)
}

func newCache() (*otter.Cache[[sha256.Size]byte, *verified], error) {
	return otter.New(&otter.Options[[sha256.Size]byte, *verified]{
		MaximumSize: maxCached,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(entry otter.Entry[[sha256.Size]byte, *verified]) time.Duration {
			return max(time.Until(entry.Value.until), time.Nanosecond)
		}),
	})
}

// Verify implements [Verifier].
func (v *verifier) Verify(ctx context.Context, token string) (*AccessToken, error) {
	e, err := v.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	return &e.AccessToken, nil
}

// verify returns the token from the cache if it is still what it was: in its
// time, vouched for recently enough, not revoked.
func (v *verifier) verify(ctx context.Context, token string) (*verified, error) {
	now := v.clock()
	key := digest(token)
	if e := v.static.find(&key); e != nil {
		return e, nil
	}
	e, found := v.remembered(key, now)
	if found && v.vouched(e, now) {
		v.hits.Inc()
	} else {
		var err error
		if e, err = v.ask(ctx, token, key, e, now); err != nil {
			return nil, err
		}
		v.cache.Set(key, e)
	}
	if v.revoked.cover(e) {
		return nil, invalidToken(errRevoked)
	}
	return e, nil
}

// remembered returns the cached token unless it has expired or its key may
// have been withdrawn.
func (v *verifier) remembered(key [sha256.Size]byte, now time.Time) (*verified, bool) {
	e, found := v.cache.GetIfPresent(key)
	if !found || !now.Before(e.until) || e.local && e.epoch != v.jwt.keys.epoch() {
		return nil, false
	}
	return e, true
}

// vouched reports whether e may be believed without asking: a JWT while
// revocations are known (or nobody would tell them), anything for a short time
// after its judge said that it is good.
func (v *verifier) vouched(e *verified, now time.Time) bool {
	limit := activeAlone
	if v.feed == nil || v.feed.inSync(now) {
		if e.local {
			return true
		}
		limit = activeInSync
	}
	return !e.checked.IsZero() && now.Sub(e.checked) < limit
}

// ask verifies a token that the cache cannot vouch for; known is what it has
// of it, or nil. A JWT is verified locally before the issuer is troubled, so
// that forged ones cost it nothing.
func (v *verifier) ask(ctx context.Context, token string, key [sha256.Size]byte, known *verified, now time.Time) (*verified, error) {
	if known == nil && v.jwt != nil && isJWS(token) {
		var err error
		if known, err = v.jwt.accessToken(ctx, token, now); err != nil {
			return nil, err
		}
	}
	asked := v.opaque
	if known != nil && known.local {
		switch {
		case v.vouched(known, now):
			return known, nil
		case v.refuse:
			return nil, unavailable(errFeedLost)
		}
		asked = v.introspect
	}
	if asked == nil {
		return nil, invalidToken(errOpaque)
	}
	return v.askJudge(ctx, asked, token, key, known, now)
}

// askJudge asks about the token; requests that bring the same token at the
// same time share one question, which goes on when one of them leaves. The
// answer is remembered before the next question can be asked.
func (v *verifier) askJudge(ctx context.Context, asked judge, token string, key [sha256.Size]byte, known *verified, now time.Time) (*verified, error) {
	answer := v.flight.DoChan(string(key[:]), func() (any, error) {
		if e, found := v.remembered(key, now); found && v.vouched(e, now) {
			return e, nil // somebody has asked since this request looked
		}
		e, err := asked.accessToken(context.WithoutCancel(ctx), token, key, now)
		if err != nil {
			return nil, err
		}
		if known != nil && known.local {
			confirmed := *known
			confirmed.checked = e.checked
			e = &confirmed
		}
		v.cache.Set(key, e)
		return e, nil
	})
	patience, cancel := context.WithTimeout(ctx, fetchTimeout+time.Second) // a hook may not look at its context
	defer cancel()
	select {
	case result := <-answer:
		e, _ := result.Val.(*verified)
		return e, result.Err
	case <-patience.Done():
		return nil, unavailable(patience.Err())
	}
}

// isJWS tells the compact serialization from an opaque token: three parts, the
// first of which begins like a JSON object in base64url.
func isJWS(token string) bool {
	return strings.HasPrefix(token, "ey") && strings.Count(token, ".") == 2
}

// digest returns the SHA-256 of a token without copying it: the hash function
// reads its argument and keeps nothing.
func digest(token string) [sha256.Size]byte {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token))) //nolint:gosec // nobody writes to the bytes, nobody keeps them
}
