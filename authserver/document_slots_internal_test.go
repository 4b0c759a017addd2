package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// A slow host keeps only those waiting who want something of it, and not for
// long; nothing is kept of hosts that nobody wants.
func TestDocument_AS20_SlotsPerHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots()
		var releases []func()
		take := func(host string) {
			t.Helper()
			release, err := s.take(t.Context(), host)
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
		}
		refused := func(host string) {
			t.Helper()
			before := time.Now()
			if _, err := s.take(t.Context(), host); errorFor(err).status != http.StatusServiceUnavailable || time.Since(before) != slotWait {
				t.Errorf("%s: %v after %s", host, err, time.Since(before))
			}
		}
		for range maxHostFetches {
			take("slow.example")
		}
		refused("slow.example")
		for i := range maxFetches - maxHostFetches {
			take(fmt.Sprint(i, ".example"))
		}
		refused("other.example")
		go func() { <-time.After(slotWait / 2); releases[0]() }()
		take("other.example")
		for _, release := range releases[1:] {
			release()
		}
		if len(s.hosts) != 0 || len(s.all) != 0 {
			t.Errorf("left: %d hosts, %d slots", len(s.hosts), len(s.all))
		}
	})
}

// A fetch that ran out of time is an answer of 503 that nobody remembers.
func TestDocument_AS20_TimeoutIsNotRemembered(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	var hits atomic.Int64
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hits.Add(1) == 1 {
			leave()
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"client_id":"http://%s/c","client_name":"App","redirect_uris":["https://app.example/cb"]}`, r.Host)
	}))
	t.Cleanup(host.Close)
	cfg := Config{Logger: slog.New(slog.DiscardHandler), RateLimits: RateLimits{DocumentsPerHour: 10}}
	cfg.Registration.Documents = ClientDocuments{Enabled: true, AllowLoopback: true}
	d := newDocuments(cfg, newFetcher(cfg.Registration.Documents))
	_, err := d.fetch(ctx, host.URL+"/c", storage.Client{})
	if errorFor(err).status != http.StatusServiceUnavailable || errors.Is(err, storage.ErrNotFound) {
		t.Errorf("out of time: %v", err)
	}
	if c, err := d.fetch(t.Context(), host.URL+"/c", storage.Client{}); err != nil || c.Name != "App" || len(d.slots.all) != 0 {
		t.Errorf("the next: %v", err)
	}
}
