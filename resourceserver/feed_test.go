package resourceserver

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// lose breaks the feed and lets it count as lost.
func (w *world) lose(t *testing.T) {
	t.Helper()
	w.Fail(rstest.EventsPath, true)
	polls := w.Requests(rstest.EventsPath)
	eventually(t, func() bool { return w.Requests(rstest.EventsPath) > polls+1 })
	w.advance(31 * time.Second)
}

// settled waits until the server has acknowledged the event.
func (w *world) settled(t *testing.T, id string) {
	t.Helper()
	eventually(t, func() bool {
		return slices.ContainsFunc(w.Polls(), func(p rstest.Poll) bool { return slices.Contains(p.Ack, id) })
	})
}

func TestFeed_EveryKindOfRevocation(t *testing.T) {
	t.Parallel()
	now := time.Now()
	old, young := rstest.Claims{"iat": now.Unix()}, rstest.Claims{"iat": now.Unix() + 1}
	named := rstest.Claims{"jti": "j", "grant": "g", "client_id": "c", "sub": "s"}
	other := rstest.Claims{"jti": "k", "grant": "h", "client_id": "d", "sub": "t"}
	for name, revoke := range map[string]func(*world) string{
		"token":   func(w *world) string { return w.RevokeToken("j") },
		"grant":   func(w *world) string { return w.RevokeBefore("grant", "g", now) },
		"client":  func(w *world) string { return w.RevokeBefore("client_id", "c", now) },
		"subject": func(w *world) string { return w.RevokeBefore("sub", "s", now) },
		"all":     func(w *world) string { return w.RevokeBefore("", "", now) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, credentials).ready(t)
			cached, fresh := w.Token(named, old), w.Token(named, old)
			opaque := w.Opaque(named, old)
			w.expect(t, cached, ping, http.StatusOK, "")
			w.expect(t, opaque, ping, http.StatusOK, "")
			id := revoke(w)
			w.settled(t, id)
			w.expect(t, cached, ping, http.StatusUnauthorized, "invalid_token")
			w.expect(t, fresh, ping, http.StatusUnauthorized, "invalid_token")
			if name != "token" {
				w.expect(t, opaque, ping, http.StatusUnauthorized, "invalid_token")
				w.expect(t, w.Token(named, young), ping, http.StatusOK, "")
			}
			if name != "all" {
				w.expect(t, w.Token(other, old), ping, http.StatusOK, "")
				w.expect(t, w.Opaque(other, old), ping, http.StatusOK, "")
			}
		})
	}
}

func TestFeed_OpaqueTokenByItsHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	token := w.Opaque()
	w.expect(t, token, ping, http.StatusOK, "")
	w.settled(t, w.RevokeToken(rstest.TokenHash(token)))
	if _, err := w.server.Verifier().Verify(t.Context(), token); !errors.Is(err, errRevoked) {
		t.Errorf("%v", err)
	}
	w.expect(t, token, ping, http.StatusUnauthorized, "invalid_token")
}

func TestFeed_RestartLearnsWhatIsInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		w.RevokeToken("j")
	}).ready(t)
	w.expect(t, w.Token(rstest.Claims{"jti": "j"}), ping, http.StatusUnauthorized, "invalid_token")
	first := w.Polls()[0]
	if first.Cursor != "" || len(first.Ack) != 0 || !first.ReturnImmediately || first.MaxEvents != pollEvents {
		t.Errorf("first poll %+v", first)
	}
}

func TestFeed_RFC8936_AcknowledgesAtOnceAndMovesTheCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	eventually(t, func() bool { // from now on the issuer holds the poll
		polls := w.Polls()
		return !polls[len(polls)-1].ReturnImmediately
	})
	w.settled(t, w.RevokeToken("j"))
	eventually(t, func() bool { // the cursor covers the event, and later ones are asked for
		polls := w.Polls()
		return polls[len(polls)-1].Cursor == "1"
	})
}

// Forged tokens can use up the look-ups for unknown keys, and then the issuer
// withdraws its key in an emergency: the next event is signed by a key that is
// not known here. It came from the issuer itself, so the keys are fetched, and
// tokens of the withdrawn key are refused from then on.
func TestFeed_EventOfAnUnknownKeyBringsTheKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	old := w.Token()
	w.expect(t, old, ping, http.StatusOK, "")
	w.RotateKey()
	w.server.keys.unknown.SetLimit(0) // as after a forged token
	for w.server.keys.unknown.Allow() {
	}
	w.settled(t, w.RevokeToken("any"))
	w.expect(t, w.Token(), ping, http.StatusOK, "")
	w.expect(t, old, ping, http.StatusUnauthorized, "invalid_token")
}

// A 200 without sets is from something that is no revocation feed: to believe
// it would mean to accept revoked tokens.
func TestFeed_RFC8936_2_3_AnswerWithoutSetsIsNoSync(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"empty object": `{}`, "null": `null`, "sets is null": `{"sets":null}`, "an error": `{"error":"no"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var polls atomic.Int64
			other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				polls.Add(1)
				_, _ = io.WriteString(rw, body)
			}))
			t.Cleanup(func() {
				other.CloseClientConnections()
				other.Close()
			})
			w := newWorld(t, func(w *world, cfg *Config) {
				credentials(w, cfg)
				cfg.Introspection.EventsEndpoint = other.URL
			})
			eventually(t, func() bool { return polls.Load() > 1 })
			if err := w.server.Ready(t.Context()); err == nil || w.server.feed.inSync(w.now()) {
				t.Errorf("in sync with something else: %v", err)
			}
		})
	}
}

func TestFeed_UnknownCursorBeginsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	id := w.RevokeToken("j")
	eventually(t, func() bool { polls := w.Polls(); return polls[len(polls)-1].Cursor == "1" })
	w.Withdraw(id)
	w.advance(31 * time.Second) // also forgets what was acknowledged
	w.ready(t)
	w.settled(t, w.RevokeToken("k"))
	w.expect(t, w.Token(rstest.Claims{"jti": "k"}), ping, http.StatusUnauthorized, "invalid_token")
	w.expect(t, w.Token(rstest.Claims{"jti": "j"}), ping, http.StatusUnauthorized, "invalid_token") // what was revoked stays so
}

func TestFeed_RFC8936_MoreAvailableIsNotYetInSync(t *testing.T) {
	t.Parallel()
	const all = pollEvents + 200
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		for i := range all {
			w.RevokeToken(strconv.Itoa(i))
		}
	}).ready(t)
	w.server.revoked.mu.RLock()
	defer w.server.revoked.mu.RUnlock()
	if n := len(w.server.revoked.marks); n != all {
		t.Errorf("ready with %d of %d revocations", n, all)
	}
}

func TestFeed_LossIntrospectsJWTs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	revoked, active := w.Token(), w.Token()
	for _, token := range []string{revoked, active} {
		w.expect(t, token, ping, http.StatusOK, "")
	}
	if n := w.Requests(rstest.IntrospectPath); n != 0 {
		t.Errorf("%d introspections in sync", n)
	}
	w.lose(t)
	w.Activate(active, rstest.Claims{})
	w.expect(t, revoked, ping, http.StatusUnauthorized, "invalid_token")
	w.expect(t, active, ping, http.StatusOK, "")
	asked := w.Requests(rstest.IntrospectPath)
	w.expect(t, "ey.a.b", ping, http.StatusUnauthorized, "invalid_token") // forged ones cost the issuer nothing
	if n := w.Requests(rstest.IntrospectPath); n != asked {
		t.Error("a forged token was introspected")
	}
	w.Fail(rstest.IntrospectPath, true)
	w.advance(activeAlone)
	if a := w.post(t, active, ping); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("nobody can tell, yet %d", a.StatusCode)
	}
	if w.server.Ready(t.Context()) == nil {
		t.Error("ready without the feed")
	}
	w.Fail(rstest.EventsPath, false)
	w.ready(t)
	w.expect(t, active, ping, http.StatusOK, "")
}

func TestFeed_NotYetInSyncIsNotTrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		w.Fail(rstest.EventsPath, true)
	})
	eventually(t, func() bool { return w.server.keys.fresh() != nil })
	token := w.Token()
	w.expect(t, token, ping, http.StatusUnauthorized, "invalid_token")
	w.Activate(token, rstest.Claims{})
	w.expect(t, token, ping, http.StatusOK, "")
}

func TestFeed_LossRefusesIfSoConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		cfg.OnFeedLoss = RefuseOnFeedLoss
	}).ready(t)
	token := w.Token()
	w.expect(t, token, ping, http.StatusOK, "")
	w.lose(t)
	w.Activate(token, rstest.Claims{})
	if a := w.post(t, token, ping); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", a.StatusCode)
	}
	w.expect(t, w.Opaque(), ping, http.StatusOK, "")
}

// TestFeed_EventThatIsNotTheIssuersLosesTheFeed: what it meant is unknown.
func TestFeed_EventThatIsNotTheIssuersLosesTheFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	header := map[string]any{"typ": "secevent+jwt"}
	claims := func(id string, change rstest.Claims) rstest.Claims {
		c := rstest.Claims{"iss": w.URL, "aud": rstest.ClientID, "jti": id,
			"events": map[string]any{rstest.TokenRevoked: rstest.Claims{"jti": "j", "exp": time.Now().Unix() + 60}}}
		maps.Copy(c, change)
		return c
	}
	nothing := func(event string) rstest.Claims {
		return rstest.Claims{"events": map[string]any{event: rstest.Claims{}}}
	}
	bad := map[string][2]string{ // by jti: the error code and the event
		"issuer":   {"invalid_issuer", w.Sign(header, claims("issuer", rstest.Claims{"iss": "x"}))},
		"audience": {"invalid_audience", w.Sign(header, claims("audience", rstest.Claims{"aud": "x"}))},
		"jti":      {"invalid_request", w.Sign(header, claims("jti", rstest.Claims{"jti": "x"}))},
		"typ":      {"invalid_request", w.Sign(nil, claims("typ", nil))},
		"subject":  {"invalid_request", w.Sign(header, claims("subject", nothing(rstest.TokenRevoked)))},
		"time":     {"invalid_request", w.Sign(header, claims("time", nothing(rstest.TokensRevoked)))},
		"forged": {"invalid_key", rstest.NewIssuer(t, "").Sign(
			map[string]any{"typ": "secevent+jwt", "kid": w.KeyID()}, claims("forged", nil))},
	}
	for id, c := range bad {
		w.EmitSET(id, c[1])
	}
	var errs map[string]map[string]any
	eventually(t, func() bool {
		polls := w.Polls()
		errs = polls[len(polls)-1].Errors
		return len(errs) == len(bad)
	})
	for id, c := range bad {
		if errs[id]["err"] != c[0] {
			t.Errorf("%s: %v, want %s", id, errs[id], c[0])
		}
	}
	w.settled(t, w.RevokeToken("good")) // is applied nonetheless
	w.expect(t, w.Token(rstest.Claims{"jti": "good"}), ping, http.StatusUnauthorized, "invalid_token")
	w.advance(31 * time.Second)
	if w.server.feed.inSync(w.now()) {
		t.Error("in sync with events that were not understood")
	}
	for id := range bad {
		w.Withdraw(id)
	}
	w.ready(t)
	w.expect(t, w.Token(rstest.Claims{"jti": "j"}), ping, http.StatusOK, "")
}

func TestFeed_UnknownEventTypesAreIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	w.settled(t, w.Emit("https://example.com/some-event", rstest.Claims{"x": 1}))
	w.expect(t, w.Token(), ping, http.StatusOK, "")
}

func TestRevocations_AreForgottenAfterTheClockSkew(t *testing.T) {
	t.Parallel()
	r := newRevocations()
	r.add(target{byToken, "j"}, mark{always, 100})
	r.add(target{byToken, "j"}, mark{always, 50}) // an older copy changes nothing
	e := &verified{event: "j"}
	r.forget(99)
	if !r.cover(e) {
		t.Error("forgotten too early")
	}
	r.forget(100)
	if r.cover(e) {
		t.Error("not forgotten")
	}
}

func TestRS23_StreamEndsWhenItsTokenIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, credentials).ready(t)
	stream(t, w, w.Token(rstest.Claims{"jti": "j"}), func() { w.RevokeToken("j") })
}

func TestRS23_StreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.ClockSkew = time.Second }).ready(t)
	stream(t, w, w.Token(rstest.Claims{"exp": time.Now().Unix() + 1}), func() {})
}

// stream opens an event stream and reads until end has closed it.
func stream(t *testing.T, w *world, token string, end func()) {
	t.Helper()
	w.handler = func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, "open\n")
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.resource, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	end()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 {
		t.Errorf("%q %v", rest, err)
	}
}
