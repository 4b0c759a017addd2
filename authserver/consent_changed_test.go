package authserver_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// AS-20: consent is to what the client is. Allowing a little to what it has
// become does not bring back all that was allowed to what it was before.
func TestConsent_AS20_WhatWasAllowedBeforeAChange(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://elsewhere.example/"
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	b.connect(ask("app", "scope", "mcp:read mcp:write"), "")
	w.changeClient("app", func(c *storage.Client) { c.RedirectURIs = []string{elsewhere} })
	eventually(t, "the change is seen", func() bool {
		return b.authorize(ask("app", "redirect_uri", elsewhere, "scope", "mcp:read"), "").Code == http.StatusOK
	})
	b.connect(ask("app", "redirect_uri", elsewhere, "scope", "mcp:read"), "")
	if a := b.authorize(ask("app", "redirect_uri", elsewhere, "scope", "mcp:read mcp:write"), ""); a.Code != http.StatusOK {
		t.Errorf("not asked for what was allowed at another address: %d %v", a.Code, a.Header())
	}
	if a := b.authorize(ask("app", "redirect_uri", elsewhere, "scope", "mcp:read"), ""); a.Code != http.StatusSeeOther {
		t.Errorf("asked again for what is allowed here: %d", a.Code)
	}
}

// A client that was deleted takes the consent to it along: one that gets its
// client_id later is somebody else.
func TestConsent_AS28_OfADeletedClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	b := w.as("ann")
	b.connect(ask("app"), "")
	if a := b.authorize(ask("app"), ""); a.Code != http.StatusSeeOther {
		t.Fatalf("asked again before: %d", a.Code)
	}
	now := time.Now()
	err := w.store.DeleteClient(t.Context(), "app", storage.Event{
		Kind: storage.EventClientRevoked, Target: "app", IssuedBefore: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return b.authorize(ask("app"), "").Code == http.StatusBadRequest })
	w.app("app")
	if a := b.authorize(ask("app"), ""); a.Code != http.StatusOK {
		t.Errorf("nobody is asked about the new client: %d %v", a.Code, a.Header())
	}
}
