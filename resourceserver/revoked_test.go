package resourceserver

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// identities remembers what a handler was told about each token's owner, as a
// server of sessions would.
type identities struct {
	mu    sync.Mutex // guards infos
	infos map[string]*auth.TokenInfo
}

func (i *identities) remember(_ http.ResponseWriter, r *http.Request) {
	info := auth.TokenInfoFromContext(r.Context())
	token, _ := TokenFromInfo(info)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.infos[token.Subject] = info
}

// end answers as CloseSessions does: it forgets whose token is revoked.
func (i *identities) end(revoked func(*auth.TokenInfo) bool) (ended int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for subject, info := range i.infos {
		if revoked(info) {
			delete(i.infos, subject)
			ended++
		}
	}
	return ended
}

func (i *identities) has(subject string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.infos[subject] != nil
}

// Sessions end with their token, whatever its format and however it is revoked,
// before the issuer hears that the revocation has arrived; others go on.
func TestSeed_S29_SessionsOfRevokedTokensEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	first, second := &identities{infos: map[string]*auth.TokenInfo{}}, &identities{infos: map[string]*auth.TokenInfo{"": nil}}
	w.handler = first.remember
	w.server.OnRevoked(first.end)
	w.server.OnRevoked(second.end)
	jwt, opaque := w.Token(rstest.Claims{"sub": "jwt", "jti": "j"}), w.Opaque(rstest.Claims{"sub": "opaque"})
	for _, token := range []string{jwt, opaque, w.Token(rstest.Claims{"sub": "other"}), w.Opaque(rstest.Claims{"sub": "another"})} {
		w.expect(t, token, ping, http.StatusOK, "")
	}
	w.settled(t, w.RevokeToken("unknown"))
	for _, subject := range []string{"jwt", "opaque", "other", "another"} {
		if !first.has(subject) {
			t.Errorf("the session of %s has ended for nothing", subject)
		}
	}
	w.settled(t, w.RevokeToken("j"))
	w.settled(t, w.RevokeToken(rstest.TokenHash(opaque)))
	if first.has("jwt") || first.has("opaque") || !first.has("other") || !first.has("another") {
		t.Errorf("sessions left: %v", first.infos)
	}
	w.settled(t, w.RevokeBefore("sub", "other", time.Now()))
	w.settled(t, w.RevokeBefore("", "", time.Now()))
	if first.has("other") || first.has("another") {
		t.Errorf("sessions left: %v", first.infos)
	}
	if logged := w.log.String(); !strings.Contains(logged, `"sessions":1`) {
		t.Errorf("the log does not tell: %s", logged)
	}
}

// Hundreds of streams run; those of revoked tokens end, and nobody else's.
func TestSeed_S29_ManyRunningStreams(t *testing.T) {
	t.Parallel()
	all, revoked := newRunning(), newRevocations()
	revoked.add(target{byClient, "revoked"}, mark{always, time.Now().Add(time.Hour).Unix()})
	streams := map[bool][]context.Context{}
	for i := range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		token := &verified{AccessToken: AccessToken{ClientID: []string{"revoked", "good"}[i%2]}}
		streams[i%2 == 0] = append(streams[i%2 == 0], ctx)
		all.begin(token, cancel)
	}
	if requests, sessions := all.cancelRevoked(revoked); requests != 500 || sessions != 0 {
		t.Errorf("%d requests and %d sessions ended", requests, sessions)
	}
	for dead, contexts := range streams {
		for _, ctx := range contexts {
			if (ctx.Err() != nil) != dead {
				t.Fatalf("a stream whose token is revoked: %v, has ended: %v", dead, ctx.Err())
			}
		}
	}
}

// Tokens of a retired key are refused when the event is acknowledged, also those
// that were verified before, and while a replica of the issuer still publishes
// the key; streams of theirs end.
func TestFeed_RetiredKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	kid, old, unseen := w.KeyID(), w.Token(), w.Token()
	w.expect(t, old, ping, http.StatusOK, "")
	started, ended := make(chan struct{}), make(chan struct{})
	w.handler = func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		close(ended)
	}
	go func() {
		if r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.resource, http.NoBody); err == nil {
			r.Header.Set("Authorization", "Bearer "+old)
			if answer, err := w.client.Do(r); err == nil {
				_ = answer.Body.Close()
			}
		}
	}()
	<-started
	fetched := w.Requests(rstest.JWKSPath)
	id := w.TellRetired(kid)
	w.settled(t, id)
	<-ended
	if w.Requests(rstest.JWKSPath) == fetched {
		t.Error("the keys were not fetched")
	}
	w.expect(t, old, ping, http.StatusUnauthorized, "invalid_token")
	w.expect(t, unseen, ping, http.StatusUnauthorized, "invalid_token")
	w.RotateKey()
	w.handler = nil
	w.expect(t, w.Token(), ping, http.StatusOK, "")
}

// While the keys cannot be fetched the event is not acknowledged, and the key is
// refused all the same.
func TestFeed_RetiredKeyWithoutKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	token := w.Token()
	w.expect(t, token, ping, http.StatusOK, "")
	w.Fail(rstest.JWKSPath, true)
	id := w.TellRetired(w.KeyID())
	eventually(t, func() bool {
		polls := w.Polls()
		return polls[len(polls)-1].Errors[id] != nil
	})
	w.expect(t, token, ping, http.StatusUnauthorized, "invalid_token")
	w.Fail(rstest.JWKSPath, false)
	w.settled(t, id)
}

// An event that does not say what it is about is an error, not a nothing.
func TestFeed_RetiredKeyIncomplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	for _, body := range []rstest.Claims{{"exp": time.Now().Unix()}, {"kid": "k"}, {"kid": 7, "exp": 7}} {
		id := w.Emit(rstest.KeyRetired, body)
		eventually(t, func() bool {
			polls := w.Polls()
			return polls[len(polls)-1].Errors[id] != nil
		})
		w.Withdraw(id)
	}
}

func TestSeed_S29_FeedLagIsMeasured(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		cfg.Metrics = registry
	}).ready(t)
	lag := func() float64 { return metric(t, registry, "mcp_revocation_feed_lag_seconds", "") }
	if got := lag(); got > 25 {
		t.Errorf("in sync, and %v s behind", got)
	}
	w.lose(t)
	if got := lag(); got < 31 {
		t.Errorf("lost, and only %v s behind", got)
	}
	w.Fail(rstest.EventsPath, false)
	eventually(t, func() bool { return lag() < 25 })
}
