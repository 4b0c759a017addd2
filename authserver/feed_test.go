package authserver_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// poll asks the feed of revocations (RFC 8936 §2.2).
func (w *world) poll(ctx context.Context, id, secret string, request map[string]any) answer {
	w.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, issuer+"/oauth/events", strings.NewReader(string(body)))
	r.SetBasicAuth(id, secret)
	return w.do(r)
}

func (a answer) sets() map[string]any { sets, _ := a.json["sets"].(map[string]any); return sets }

// securityEvent revokes a token and returns the SET that tells of it.
func securityEvent(t *testing.T, w *world, id, secret, token string) string {
	t.Helper()
	owner := decodeSegment(t, strings.Split(token, ".")[1])["client_id"].(string)
	hash, err := w.store.Client(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	claims := decodeSegment(t, strings.Split(token, ".")[1])
	if _, err := w.store.AppendEvent(t.Context(), storage.Event{
		Kind: storage.EventTokenRevoked, Target: claims["jti"].(string), Audience: hash.Resources,
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	for _, set := range w.poll(t.Context(), id, secret, map[string]any{}).sets() {
		return set.(string)
	}
	t.Fatal("no security event token")
	return ""
}

func (w *world) revoke(id, secret, token string) {
	w.t.Helper()
	if a := w.post("/oauth/revoke", id, secret, "token", token); a.Code != http.StatusOK {
		w.t.Fatalf("revoke: %d %s", a.Code, a.Body)
	}
}

func TestFeed_RFC8417_2_2_SecurityEventToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs, app := w.client("rs", introspecting), w.client("app")
	token := w.token("app", app)
	parts := strings.Split(securityEvent(t, w, "rs", rs, token), ".")
	header, claims := decodeSegment(t, parts[0]), decodeSegment(t, parts[1])
	if header["typ"] != "secevent+jwt" || claims["iss"] != issuer || claims["aud"] != "rs" || claims["jti"] == nil || claims["iat"] == nil {
		t.Errorf("header %v claims %v", header, claims)
	}
	events := claims["events"].(map[string]any)
	event, _ := events["https://schemas.openid.net/secevent/oauth/event-type/token-revoked"].(map[string]any)
	if jti := decodeSegment(t, strings.Split(token, ".")[1])["jti"]; len(events) != 1 || event["jti"] != jti || event["exp"] == nil {
		t.Errorf("events: %v", events)
	}
}

func TestFeed_RFC8936_2_PollAcknowledgeCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs, app := w.client("rs", introspecting), w.client("app")
	empty := w.poll(t.Context(), "rs", rs, map[string]any{"returnImmediately": true})
	if empty.Code != http.StatusOK || len(empty.sets()) != 0 || empty.str("cursor") == "" {
		t.Fatalf("empty: %d %s", empty.Code, empty.Body)
	}
	for range 3 {
		w.revoke("app", app, w.token("app", app))
	}
	first := w.poll(t.Context(), "rs", rs, map[string]any{"maxEvents": 2})
	if len(first.sets()) != 2 || first.json["moreAvailable"] != true {
		t.Fatalf("a page: %s", first.Body)
	}
	ack := slices.Collect(maps.Keys(first.sets()))
	second := w.poll(t.Context(), "rs", rs, map[string]any{"ack": ack, "cursor": first.json["cursor"]})
	if len(second.sets()) != 1 || second.json["moreAvailable"] != nil {
		t.Fatalf("the rest: %s", second.Body)
	}
	ack = append(ack, slices.Collect(maps.Keys(second.sets()))...)
	if rest := w.poll(t.Context(), "rs", rs, map[string]any{"ack": ack, "cursor": second.json["cursor"], "returnImmediately": true}); len(rest.sets()) != 0 {
		t.Errorf("delivered again: %s", rest.Body)
	}
	if restarted := w.poll(t.Context(), "rs", rs, map[string]any{}); len(restarted.sets()) != 3 {
		t.Errorf("a receiver that lost its memory gets everything: %s", restarted.Body)
	}
}

// A revocation is answered when the resource servers that are connected have
// confirmed it, so that nobody accepts the token after the answer; one that
// does not confirm delays it only for a moment.
func TestFeed_RevocationWaitsForConfirmation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		rs, app := w.client("rs", introspecting), w.client("app")
		token, second := w.token("app", app), w.token("app", app)
		answered := make(chan string, 2)
		revoke := func(token string) { w.revoke("app", app, token); answered <- token }

		w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one", "returnImmediately": true})
		go revoke(token)
		sets := w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one"}).sets()
		if len(sets) != 1 || len(answered) != 0 {
			t.Fatalf("%d events delivered, %d revocations answered before they were confirmed", len(sets), len(answered))
		}
		ack := map[string]any{"receiver": "one", "ack": slices.Collect(maps.Keys(sets)), "returnImmediately": true}
		began := time.Now()
		w.poll(t.Context(), "rs", rs, ack)
		if <-answered; time.Since(began) != 0 {
			t.Errorf("answered %s after it was confirmed", time.Since(began))
		}
		revoke(second)
		if waited := time.Since(began); waited == 0 || waited > 2*time.Second {
			t.Errorf("an absent resource server delays a revocation by %s", waited)
		}
	})
}

func TestFeed_OnlyWhatConcernsTheAudience(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs, app := w.client("rs", introspecting), w.client("app")
	other := w.client("other-rs", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	w.revoke("app", app, w.token("app", app))
	if a := w.poll(t.Context(), "other-rs", other, map[string]any{"returnImmediately": true}); len(a.sets()) != 0 {
		t.Errorf("events of a foreign audience: %s", a.Body)
	}
	if a := w.poll(t.Context(), "rs", rs, map[string]any{"returnImmediately": true}); len(a.sets()) != 1 {
		t.Errorf("own events: %s", a.Body)
	}
	if a := w.poll(t.Context(), "app", app, map[string]any{}); a.Code != http.StatusForbidden || a.str("error") != "access_denied" {
		t.Errorf("client without the right: %d %s", a.Code, a.Body)
	}
	if a := w.poll(t.Context(), "rs", "wrong", map[string]any{}); a.Code != http.StatusUnauthorized {
		t.Errorf("wrong secret: %d %s", a.Code, a.Body)
	}
	for _, cursor := range []string{"x", "-1", "99999999999999999999"} {
		if a := w.poll(t.Context(), "rs", rs, map[string]any{"cursor": cursor}); a.str("error") != "invalid_request" {
			t.Errorf("cursor %q: %d %s", cursor, a.Code, a.Body)
		}
	}
}

// Revocations of every kind reach a running server through the store alone, as
// another replica or an operator's command would send them.
func TestRevocation_D7_EveryKindThroughTheEventLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind     storage.EventKind
		target   string
		survivor bool // a token of another client stays active
	}{
		{storage.EventClientRevoked, "app", true},
		{storage.EventSubjectRevoked, "app", true},
		{storage.EventAllRevoked, "", false},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			rs, app, other := w.client("rs", introspecting), w.client("app"), w.client("other", opaque)
			token, foreign := w.token("app", app), w.token("other", other)
			if !w.active("rs", rs, token) || !w.active("rs", rs, foreign) {
				t.Fatal("tokens are not active to begin with")
			}
			if _, err := w.store.AppendEvent(t.Context(), storage.Event{
				Kind: test.kind, Target: test.target, IssuedBefore: time.Now(), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
			}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "token is refused", func() bool { return !w.active("rs", rs, token) })
			if w.active("rs", rs, foreign) != test.survivor {
				t.Errorf("token of another client: active = %v", !test.survivor)
			}
		})
	}
}

// A resource server that takes events and never confirms one delays the first
// revocation and no other, until it has confirmed it.
func TestFeed_SilentReceiverDelaysOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		rs, app := w.client("rs", introspecting), w.client("app")
		poll := func(ack ...string) answer {
			return w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one", "returnImmediately": true, "ack": ack})
		}
		revoke := func() time.Duration {
			token, began := w.token("app", app), time.Now()
			w.revoke("app", app, token)
			return time.Since(began)
		}
		poll()
		if waited := revoke(); waited == 0 || waited > 2*time.Second {
			t.Errorf("the first revocation waited %s", waited)
		}
		sets := poll().sets()
		if waited := revoke(); waited != 0 || len(sets) != 1 {
			t.Errorf("the second revocation waited %s for one that is silent", waited)
		}
		poll(slices.Collect(maps.Keys(sets))...)
		if waited := revoke(); waited == 0 {
			t.Error("nobody waits for one that confirms again")
		}
	})
}
