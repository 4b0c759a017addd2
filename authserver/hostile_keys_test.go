package authserver_test

import (
	"encoding/base64"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func encode(segment string) string { return base64.RawURLEncoding.EncodeToString([]byte(segment)) }

// A withdrawn key is forgotten soon although the store failed when the news
// arrived, and with it what it verified meanwhile.
func TestKeys_WithdrawalSurvivesAStoreFailure(t *testing.T) {
	t.Parallel()
	store := &troubled{Store: migratedStore(t)}
	w := newWorld(t, trouble(store))
	rs, app := w.client("rs", introspecting), w.client("app")
	token := w.token("app", app)
	store.keysDown.Store(true)
	keys, err := store.Store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.RetireKey(t.Context(), keys[0].KID, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the news arrives", func() bool { return store.failed.Load() > 0 })
	w.active("rs", rs, token) // verified, perhaps, by what is about to go
	store.keysDown.Store(false)
	eventually(t, "the token is refused", func() bool { return !w.active("rs", rs, token) })
}

// Housekeeping may take as long as it needs: nobody waits for it.
func TestKeys_WithdrawalDoesNotWaitForMaintenance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &troubled{Store: migratedStore(t)}
		w := newWorld(t, trouble(store))
		rs, app := w.client("rs", introspecting), w.client("app")
		store.maintainHangs.Store(true)
		<-time.After(61 * time.Second)
		token := w.token("app", app)
		w.retire()
		<-time.After(time.Second)
		if w.active("rs", rs, token) {
			t.Error("a second later the token of a withdrawn key is active")
		}
	})
}

// Without a signing key the server is not ready and says so; it does not
// pretend to be broken, and recovers as soon as a key can be made.
func TestToken_NoSigningKeyIs503(t *testing.T) {
	t.Parallel()
	store := &troubled{Store: migratedStore(t)}
	w := newWorld(t, trouble(store))
	app := w.client("app")
	store.createDown.Store(true)
	w.retire()
	ask := func() answer { return w.post("/oauth/token", "app", app, "grant_type", "client_credentials") }
	eventually(t, "no key is left", func() bool { return ask().Code != http.StatusOK })
	if a := ask(); a.Code != http.StatusServiceUnavailable || a.str("error") != "temporarily_unavailable" || a.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if w.server.Ready(t.Context()) == nil {
		t.Error("ready without a signing key")
	}
	store.createDown.Store(false)
	eventually(t, "a new key signs", func() bool { return ask().Code == http.StatusOK })
}

// A poll that was held while the log could not be read must not tell its
// receiver that there is nothing new.
func TestFeed_StaleLogIsNotNoNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &troubled{Store: migratedStore(t)}
		w := newWorld(t, trouble(store))
		rs := w.client("rs", introspecting)
		w.poll(t.Context(), "rs", rs, map[string]any{"returnImmediately": true})
		store.eventsDown.Store(true)
		if a := w.poll(t.Context(), "rs", rs, map[string]any{}); a.Code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	})
}

// After a backup was restored the numbers begin lower: a receiver that knows
// higher ones gets everything in force instead of nothing for a long time.
func TestFeed_CursorOfALogThatIsNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs, app := w.client("rs", introspecting), w.client("app")
	w.revoke("app", app, w.token("app", app))
	for _, cursor := range []string{"1000000", "9223372036854775807"} {
		a := w.poll(t.Context(), "rs", rs, map[string]any{"cursor": cursor, "ack": []string{"1", "2", "3"}, "returnImmediately": true})
		if len(a.sets()) != 1 || a.str("cursor") == cursor {
			t.Errorf("cursor %s: %s", cursor, a.Body)
		}
	}
}

// Client ids may hold spaces: whatever it calls itself, a client cannot pass
// for another's receiver and have nobody wait for that.
func TestFeed_ReceiverIsItsClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		rs, app := w.client("rs x", introspecting), w.client("app")
		evil := w.client("rs", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
		token := w.token("app", app)
		w.poll(t.Context(), "rs x", rs, map[string]any{"receiver": "y", "returnImmediately": true})
		w.poll(t.Context(), "rs", evil, map[string]any{"receiver": "x y", "returnImmediately": true})
		began := time.Now()
		w.revoke("app", app, token)
		if time.Since(began) == 0 {
			t.Error("the revocation did not wait for the receiver it concerns")
		}
	})
}
