package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

const (
	soakClients  = 64
	soakDuration = 30 * time.Second
)

// 64 clients get, use, introspect and revoke tokens at once: nothing answers
// 5xx, and no token is accepted anywhere after its revocation was answered.
func TestSoak_NoRevokedTokenIsAccepted(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() storage.Store{
		"postgres": func() storage.Store { return world.Postgres(t, nil) },
		"sqlite":   func() storage.Store { return world.SQLite(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			soak(t, world.Start(t, open()))
		})
	}
}

func soak(t *testing.T, w *world.World) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soakDuration)
	defer cancel()
	var rounds atomic.Int64
	var clients sync.WaitGroup
	for n := range soakClients {
		id, format := fmt.Sprintf("client-%d", n), storage.FormatJWT
		if n%2 == 1 {
			format = storage.FormatOpaque
		}
		secret := w.Client(id, func(c *storage.Client) { c.TokenFormat = format })
		clients.Go(func() {
			for ctx.Err() == nil {
				if err := lifeOfAToken(t.Context(), w, id, secret); err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	clients.Wait()
	t.Logf("%d tokens lived and died", rounds.Load())
	if rounds.Load() < soakClients {
		t.Errorf("only %d rounds", rounds.Load())
	}
}

// lifeOfAToken gets, uses, introspects and revokes one token, and tries to use
// it again.
func lifeOfAToken(ctx context.Context, w *world.World, id, secret string) error {
	status, body, err := w.Post(ctx, "/oauth/token", id, secret, url.Values{"grant_type": {"client_credentials"}})
	var issued struct {
		AccessToken string `json:"access_token"`
	}
	if err := errors.Join(err, json.Unmarshal(body, &issued)); err != nil || status != http.StatusOK {
		return fmt.Errorf("token: %d %s %w", status, body, err)
	}
	use := func() (int, []byte, error) {
		return w.Call(ctx, issued.AccessToken, "tools/call", "list_notes", `"name":"list_notes","arguments":{}`)
	}
	introspect := func() (active bool, err error) {
		var answer struct{ Active bool }
		status, body, err := w.Post(ctx, "/oauth/introspect", w.IntrospectID, w.IntrospectSecret, url.Values{"token": {issued.AccessToken}})
		if err := errors.Join(err, json.Unmarshal(body, &answer)); err != nil || status != http.StatusOK {
			return false, fmt.Errorf("introspect: %d %s %w", status, body, err)
		}
		return answer.Active, nil
	}
	if status, body, err = use(); err != nil || status != http.StatusOK {
		return fmt.Errorf("use: %d %s %w", status, body, err)
	}
	if active, err := introspect(); err != nil || !active {
		return fmt.Errorf("a good token is inactive, or %w", err)
	}
	if status, body, err = w.Post(ctx, "/oauth/revoke", id, secret, url.Values{"token": {issued.AccessToken}}); err != nil || status != http.StatusOK {
		return fmt.Errorf("revoke: %d %s %w", status, body, err)
	}
	if status, body, err = use(); err != nil || status != http.StatusUnauthorized {
		return fmt.Errorf("use of a revoked token: %d %s %w", status, body, err)
	}
	if active, err := introspect(); err != nil || active {
		return fmt.Errorf("a revoked token is active, or %w", err)
	}
	return nil
}
