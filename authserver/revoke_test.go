package authserver_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Revoking a refresh token ends its whole grant, at once, and no other.
func TestRevoke_RFC7009_2_1_RefreshTokenEndsItsGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("opaque-app", func(c *storage.Client) { c.TokenFormat = storage.FormatOpaque })
	rs := w.client("rs", introspecting)
	ada := w.as("ada")
	for _, id := range []string{"app", "opaque-app"} {
		first, sibling := ada.connect(ask(id), ""), ada.connect(ask(id), "")
		second := w.refresh(id, first.str("refresh_token"))
		for range 2 { // §2.2: again is no error
			a := w.do(form("/oauth/revoke", values("client_id", id, "token", second.str("refresh_token"), "token_type_hint", "access_token")))
			if a.Code != http.StatusOK || a.Body.Len() != 0 {
				t.Errorf("%s: %d %s", id, a.Code, a.Body)
			}
		}
		for name, token := range map[string]string{"first": first.str("access_token"), "second": second.str("access_token")} {
			if w.active("rs", rs, token) {
				t.Errorf("%s: %s access token is still good", id, name)
			}
		}
		if a := w.refresh(id, second.str("refresh_token")); a.str("error") != "invalid_grant" {
			t.Errorf("%s: refresh: %d %s", id, a.Code, a.Body)
		}
		if !w.active("rs", rs, sibling.str("access_token")) || w.refresh(id, sibling.str("refresh_token")).Code != http.StatusOK {
			t.Errorf("%s: the sibling went too", id)
		}
	}
	if log := w.logs.String(); !strings.Contains(log, "grant revoked") || strings.Contains(log, "ghr_") {
		t.Error("the security log")
	}
}

// A client that gives up a grant which its user has just disconnected ends it
// for good: there is nothing to undo any more.
func TestRevoke_RFC7009_2_1_DisconnectedBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("other")
	ada := w.as("ada")
	token := ada.connect(ask("app"), "").str("refresh_token")
	id := ada.grants()[0]
	ada.did("/account/disconnect", "grant", id)
	if a := w.do(form("/oauth/revoke", values("client_id", "other", "token", token))); a.Code != http.StatusBadRequest {
		t.Errorf("another client: %d %s", a.Code, a.Body)
	}
	if g, err := w.store.Grant(t.Context(), id); err != nil || g.RevokeReason != "user" {
		t.Errorf("%q %v", g.RevokeReason, err)
	}
	for range 2 {
		if a := w.do(form("/oauth/revoke", values("client_id", "app", "token", token))); a.Code != http.StatusOK || a.Body.Len() != 0 {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	}
	if g, err := w.store.Grant(t.Context(), id); err != nil || g.RevokeReason != "client" {
		t.Errorf("%q %v", g.RevokeReason, err)
	}
	if a := ada.submit("/account/restore", "grant", id); a.Code != http.StatusNotFound || !a.has("cannot be undone any more") {
		t.Errorf("undo: %d %s", a.Code, a.Body)
	}
	if a := w.refresh("app", token); a.str("error") != "invalid_grant" {
		t.Errorf("refresh: %d %s", a.Code, a.Body)
	}
}

// A client that lost track of rotations disconnects with an old token, too.
func TestRevoke_RFC7009_2_1_RotatedRefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	rs := w.client("rs", introspecting)
	first := w.as("ada").connect(ask("app"), "")
	second := w.refresh("app", first.str("refresh_token"))
	if a := w.do(form("/oauth/revoke", values("client_id", "app", "token", first.str("refresh_token")))); a.Code != http.StatusOK {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if w.active("rs", rs, second.str("access_token")) {
		t.Error("the grant goes on")
	}
}

// Nobody ends the grant of another client, nor one whose token they made up;
// a refresh token is no access token and says nothing at introspection.
func TestRevoke_RFC7009_2_1_ForeignAndForged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	w.app("other")
	rs := w.client("rs", introspecting)
	tokens := w.as("ada").connect(ask("app"), "")
	refresh, access := tokens.str("refresh_token"), tokens.str("access_token")
	if a := w.do(form("/oauth/revoke", values("client_id", "other", "token", refresh))); a.Code != http.StatusBadRequest || a.str("error") != "invalid_request" {
		t.Errorf("another client: %d %s", a.Code, a.Body)
	}
	neighbour := newWorld(t, func(c *authserver.Config) { c.SealKeys = [][]byte{[]byte("another seal key of thirty-two b")} })
	neighbour.app("app")
	foreign := neighbour.as("ada").connect(ask("app"), "").str("refresh_token")
	for name, token := range map[string]string{
		"forged": forged(t, refresh), "cut off": refresh[:40], "of another server": foreign, "prefix": "ghr_",
	} {
		if a := w.do(form("/oauth/revoke", values("client_id", "app", "token", token))); a.Code != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	if !w.active("rs", rs, access) {
		t.Error("the grant has ended")
	}
	if a := w.post("/oauth/introspect", "rs", rs, "token", refresh, "token_type_hint", "refresh_token"); a.Code != http.StatusOK || a.Body.String() != "{\"active\":false}\n" {
		t.Errorf("introspection: %d %s", a.Code, a.Body)
	}
}

// forged is a refresh token with another tag and a checksum that is right.
func forged(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "ghr_"))
	if err != nil {
		t.Fatal(err)
	}
	covered := raw[:len(raw)-4]
	covered[len(covered)-1] ^= 1
	return "ghr_" + base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(covered, crc32.ChecksumIEEE(covered)))
}

// The answer waits until the resource servers that follow the feed have
// confirmed the end of the grant.
func TestRevoke_RFC8936_RefreshTokenReachesResourceServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		rs := w.client("rs", introspecting)
		tokens := w.as("ada").connect(ask("app"), "")
		answered := make(chan int, 1)
		w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one", "returnImmediately": true})
		go func() {
			answered <- w.do(form("/oauth/revoke", values("client_id", "app", "token", tokens.str("refresh_token")))).Code
		}()
		sets := w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one"}).sets()
		if len(sets) != 1 || len(answered) != 0 {
			t.Fatalf("%d events delivered, %d revocations answered before they were confirmed", len(sets), len(answered))
		}
		began := time.Now()
		w.poll(t.Context(), "rs", rs, map[string]any{"receiver": "one", "ack": slices.Collect(maps.Keys(sets)), "returnImmediately": true})
		if status := <-answered; status != http.StatusOK || time.Since(began) != 0 {
			t.Errorf("%d, %s after it was confirmed", status, time.Since(began))
		}
	})
}

// grantBroken is a store whose grants cannot be reached.
type grantBroken struct{ storage.Store }

func (grantBroken) RevokeGrant(context.Context, string, string, string, storage.Event, time.Time) error {
	return storage.ErrUnavailable
}

// A revocation that was not stored is never answered 200 (RFC 7009 §2.2.1).
func TestRevoke_RFC7009_2_2_1_StoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Store = grantBroken{migratedStore(t)} })
	w.app("app")
	tokens := w.as("ada").connect(ask("app"), "")
	if a := w.do(form("/oauth/revoke", values("client_id", "app", "token", tokens.str("refresh_token")))); a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}
