package authserver_test

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func TestSeed_S29_OneCallRevokes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body     func(jwt string) string
		kind     string
		opaque   bool // is revoked too
		survivor bool // a token of another client stays active
	}{
		"token":  {func(jwt string) string { return `{"token":"` + jwt + `"}` }, "token", false, true},
		"client": {func(string) string { return `{"client":"app"}` }, "client", true, true},
		"user":   {func(string) string { return `{"user":"app"}` }, "subject", true, true},
		"all":    {func(string) string { return `{"all":true}` }, "all", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			w := newWorld(t, func(c *authserver.Config) { c.Metrics = registry })
			both := func(c *storage.Client) { c.Resources = append(c.Resources, rootURL) }
			rs, app, other := w.client("rs", introspecting, both), w.client("app", both), w.client("other")
			jwt, opaque, foreign := w.token("app", app, "resource", notesURL), w.token("app", app, "resource", rootURL), w.token("other", other)
			admin := w.adminToken()
			a := w.admin(http.MethodPost, pathRevocations, admin, test.body(jwt))
			if a.Code != http.StatusOK || a.str("revoked") != test.kind || a.str("expires_at") == "" || a.json["known"] != true ||
				(a.str("issued_before") == "") != (name == "token") {
				t.Fatalf("%d %s", a.Code, a.Body)
			}
			if w.active("rs", rs, jwt) || w.active("rs", rs, opaque) == test.opaque || w.active("rs", rs, foreign) != test.survivor {
				t.Errorf("active after the answer: jwt %v opaque %v other client %v", w.active("rs", rs, jwt), w.active("rs", rs, opaque), w.active("rs", rs, foreign))
			}
			if again := w.admin(http.MethodPost, pathRevocations, admin, test.body(jwt)); (again.Code == http.StatusOK) != (name != "all") {
				t.Errorf("again, with the same token: %d %s", again.Code, again.Body)
			}
			if got := revocationsCounted(t, registry, test.kind); got == 0 {
				t.Error("oauth_revocations_total has not grown")
			}
			if logged := w.logs.String(); !strings.Contains(logged, `"revoked by an operator"`) || !strings.Contains(logged, `"kind":"`+test.kind+`"`) {
				t.Errorf("the security log does not tell: %s", logged)
			}
		})
	}
}

// revocationsCounted returns oauth_revocations_total of a kind.
func revocationsCounted(t *testing.T, registry *prometheus.Registry, kind string) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "oauth_revocations_total" && m.GetLabel()[0].GetValue() == kind {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// A person's revocation ends browser sessions and grants with the tokens.
func TestSeed_S29_SessionsAndGrantsEnd(t *testing.T) {
	t.Parallel()
	for body, both := range map[string]bool{`{"user":"ada"}`: false, `{"user":"Ada@example.com"}`: false, `{"all":true}`: true} {
		w := newWorld(t)
		now := time.Now()
		for _, who := range []string{"ada", "bob"} {
			hash := sha256.Sum256([]byte(who))
			if err := w.store.CreateUser(t.Context(), storage.User{ID: who, Username: who + "@example.com", CreatedAt: now, UpdatedAt: now}, storage.Identity{}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.store.SignIn(t.Context(), storage.Session{
				Hash: hash, UserID: who, AuthTime: now, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(time.Hour),
			}, [32]byte{}, [32]byte{}); err != nil {
				t.Fatal(err)
			}
			connect(t, w.store, who, now)
		}
		if a := w.admin(http.MethodPost, pathRevocations, w.adminToken(), body); a.Code != http.StatusOK {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
		for who, out := range map[string]bool{"ada": true, "bob": both} {
			if _, _, err := w.store.Session(t.Context(), sha256.Sum256([]byte(who)), time.Now()); errors.Is(err, storage.ErrNotFound) != out {
				t.Errorf("%s: the session of %s: %v", body, who, err)
			}
			if g, err := w.store.Grant(t.Context(), who); err != nil || (g.RevokeReason == "operator") != out {
				t.Errorf("%s: the grant of %s: %q %v", body, who, g.RevokeReason, err)
			}
		}
	}
}

// connect makes a grant named like its user.
func connect(t *testing.T, store storage.Store, who string, now time.Time) {
	t.Helper()
	hash, end := sha256.Sum256([]byte("code "+who)), now.Add(time.Hour)
	if err := store.CreateInteraction(t.Context(), storage.Interaction{Hash: hash, ClientID: "app", CreatedAt: now, ExpiresAt: end}); err != nil {
		t.Fatal(err)
	}
	if err := store.IssueCode(t.Context(), storage.Code{
		Hash: hash, GrantID: who, ClientID: "app", UserID: who, Scopes: []string{"mcp:read"}, TokenFormat: storage.FormatJWT,
		Refresh: true, AuthTime: now, CreatedAt: now, ExpiresAt: end,
	}, hash); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.RedeemCode(t.Context(), storage.Redemption{CodeHash: hash, ClientID: "app", Secret: hash, GrantExpiresAt: end, Now: now}); err != nil {
		t.Fatal(err)
	}
}

// What a person has allowed a device is over before the device has collected it.
func TestSeed_S29_DevicesCollectNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"user":"ada"}`, `{"client":"tv"}`, `{"all":true}`} {
		w := newWorld(t)
		w.app("tv", onDevices)
		ada := w.as("ada")
		begun := w.device("tv")
		if done := ada.decide(ada.enter(begun.str("user_code")), "allow"); done.Code != http.StatusOK {
			t.Fatalf("decision: %d %s", done.Code, done.Body)
		}
		if a := w.admin(http.MethodPost, pathRevocations, w.adminToken(), body); a.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", body, a.Code, a.Body)
		}
		w.polls(begun.str("device_code"), "invalid_grant")
	}
}

func TestAdmin_RevocationsAreReadStrictly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.adminToken()
	expired := w.token("app", w.client("app", func(c *storage.Client) { c.AccessTokenLifetime = time.Second }))
	for _, body := range []string{
		``, `[]`, `"all"`, `null`, `{}`, `{"all":false}`, `{"all":"true"}`, `{"all":1}`, `{"All":true}`, `{"all":true,"user":"a"}`,
		`{"user":"a","user":"b"}`, `{"user":""}`, `{"user":null}`, `{"user":["a"]}`, `{"user":"a\u0000"}`, `{"users":"a"}`, `{"USER":"a"}`,
		`{"token":"nonsense"}`, `{"token":"a.b.c"}`, `{"user":"a"}{}`, `{"user":"a"`, `{"user":"a","reason":"b"}`,
		`{"user":"` + strings.Repeat("a", 17<<10) + `"}`,
	} {
		if a := w.admin(http.MethodPost, pathRevocations, admin, body); a.Code != http.StatusBadRequest || a.str("error") != "invalid_request" || a.str("error_description") == "" {
			t.Errorf("%.40q: %d %s", body, a.Code, a.Body)
		}
	}
	if a := w.admin(http.MethodPost, pathRevocations, admin, `{"user":"`+strings.Repeat("a", 65<<10)+`"}`); a.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge body: %d", a.Code)
	}
	if _, err := authserver.TokenRevocation(expired, time.Now().Add(time.Hour)); !errors.Is(err, authserver.ErrNothingToRevoke) {
		t.Errorf("an expired token: %v", err)
	}
	events, err := w.store.Events(t.Context(), 0, 100, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if revoked := slices.ContainsFunc(events, func(e storage.Event) bool { return e.Kind != storage.EventKeysChanged }); revoked {
		t.Errorf("something was revoked: %v", events)
	}
}

// The answer waits for the resource servers that are connected.
func TestSeed_S29_TheAnswerWaitsForResourceServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		rs, admin := w.client("rs", introspecting), w.adminToken()
		answered := make(chan int, 1)
		w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one", "returnImmediately": true})
		go func() { answered <- w.admin(http.MethodPost, pathRevocations, admin, `{"all":true}`).Code }()
		sets := w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one"}).sets()
		if len(sets) != 1 || len(answered) != 0 {
			t.Fatalf("%d events delivered, %d answers before they were confirmed", len(sets), len(answered))
		}
		began := time.Now()
		for id := range sets {
			w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one", "ack": []string{id}, "returnImmediately": true})
		}
		if code := <-answered; code != http.StatusOK || time.Since(began) != 0 {
			t.Errorf("%d after %s", code, time.Since(began))
		}
	})
}

// A retired key is told to every resource server, whatever its audience, and a
// new one to nobody.
func TestFeed_RetiredKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs := w.client("rs", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	if a := w.poll(t.Context(), "rs", rs, map[string]any{"returnImmediately": true}); len(a.sets()) != 0 {
		t.Fatalf("the first key is told: %s", a.Body)
	}
	keys, err := w.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.RetireKey(t.Context(), keys[0].KID, time.Now()); err != nil {
		t.Fatal(err)
	}
	var sets map[string]any
	eventually(t, "resource servers are told", func() bool { // while a new key is made nothing can be signed
		sets = w.poll(t.Context(), "rs", rs, map[string]any{"returnImmediately": true}).sets()
		return len(sets) == 1
	})
	for id, set := range sets {
		claims := decodeSegment(t, strings.Split(set.(string), ".")[1])
		event, _ := claims["events"].(map[string]any)["https://github.com/gatehouse-mcp/gatehouse/event-type/key-retired"].(map[string]any)
		if event["kid"] != keys[0].KID || event["exp"] == nil || claims["jti"] != id {
			t.Errorf("%s: %v", id, claims)
		}
	}
}
