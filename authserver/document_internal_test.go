package authserver

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const oneKey = `{"keys":[{"kty":"EC","kid":"%s","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

// A new key is found within a minute, a withdrawn one is refused after an hour
// at most, and the last known ones serve a day while their host is down.
func TestKeySet_CLIENTS3_RotationByTheClock(t *testing.T) {
	t.Parallel()
	var kid atomic.Value
	var hits atomic.Int64
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		if kid.Load() == "" {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "max-age=86400")
		fmt.Fprintf(w, oneKey, kid.Load())
	}))
	t.Cleanup(host.Close)
	synctest.Test(t, func(t *testing.T) {
		k := newKeySets(newFetcher(ClientDocuments{AllowLoopback: true}), slog.New(slog.DiscardHandler))
		has := func(id string) bool {
			keys := k.find(t.Context(), host.URL+"/jwks", id, time.Now())
			return len(keys) == 1 && keys[0].KeyID == id
		}
		for _, step := range []struct {
			after   time.Duration
			serves  string // what the host has; nothing: it is down
			ask     string
			found   bool
			fetches int64
		}{
			{0, "", "a", false, 1},
			{time.Second, "a", "a", false, 1},
			{10 * time.Second, "a", "a", true, 2},
			{30 * time.Second, "b", "b", false, 2},
			{31 * time.Second, "b", "b", true, 3},
			{time.Second, "b", "a", false, 3},
			{59 * time.Minute, "c", "b", true, 3},
			{2 * time.Minute, "c", "b", false, 4},
			{20 * time.Hour, "", "c", true, 5},
			{time.Second, "", "c", true, 5},
			{5 * time.Hour, "", "c", false, 6},
		} {
			time.Sleep(step.after)
			kid.Store(step.serves)
			if found := has(step.ask); found != step.found || hits.Load() != step.fetches {
				t.Errorf("%+v: found %v, %d fetches", step, found, hits.Load())
			}
		}
	})
}

// until waits for what another goroutine brings about.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !condition(); {
		if now := <-tick.C; now.After(deadline) {
			t.Fatal("it never happened")
		}
	}
}

// A page never waits for a logo: it is there the next time, or not.
func TestLogo_IsFetchedAhead(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if r.URL.Path == "/logo" {
			fmt.Fprint(w, "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
		}
	}))
	t.Cleanup(host.Close)
	l := newLogos(newFetcher(ClientDocuments{AllowLoopback: true}), slog.New(slog.DiscardHandler))
	t.Cleanup(l.cancel)
	s := &Server{clients: &clients{logos: l}}
	of := func(path string, how storage.Registration) string {
		return s.logo(&client{Client: storage.Client{LogoURI: host.URL + path, Registration: how}})
	}
	if of("/logo", storage.RegisteredByDocument) != "" {
		t.Error("the page has waited")
	}
	until(t, func() bool {
		return strings.HasPrefix(of("/logo", storage.RegisteredByDocument), "data:image/png;base64,iVBOR")
	})
	if of("/logo", storage.RegisteredDynamically) != "" || s.logo(&client{}) != "" {
		t.Error("anybody gets any logo")
	}
	of("/none", storage.RegisteredByDocument)
	until(t, func() bool { return hits.Load() == 2 && len(l.slots) == 0 })
	if of("/none", storage.RegisteredByDocument) != "" || hits.Load() != 2 {
		t.Errorf("what is no logo is shown or fetched again: %d", hits.Load())
	}
}
