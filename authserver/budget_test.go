package authserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// counted counts the steps that the way of a person takes.
type counted struct {
	storage.Store
	steps atomic.Int64
}

func (c *counted) CreateInteraction(ctx context.Context, i storage.Interaction) error {
	c.steps.Add(1)
	return c.Store.CreateInteraction(ctx, i)
}

func (c *counted) Progress(ctx context.Context, hash, session [32]byte, now time.Time) (storage.Progress, error) {
	c.steps.Add(1)
	return c.Store.Progress(ctx, hash, session, now)
}

func (c *counted) Session(ctx context.Context, hash [32]byte, now time.Time) (storage.Session, storage.User, error) {
	c.steps.Add(1)
	return c.Store.Session(ctx, hash, now)
}

func (c *counted) IssueCode(ctx context.Context, code storage.Code, interaction [32]byte) error {
	c.steps.Add(1)
	return c.Store.IssueCode(ctx, code, interaction)
}

func (c *counted) RedeemCode(ctx context.Context, r storage.Redemption) (storage.Grant, storage.User, error) {
	c.steps.Add(1)
	return c.Store.RedeemCode(ctx, r)
}

func (c *counted) RotateRefreshToken(ctx context.Context, r storage.Rotation) (storage.Grant, storage.User, error) {
	c.steps.Add(1)
	return c.Store.RotateRefreshToken(ctx, r)
}

func (c *counted) User(ctx context.Context, id string) (storage.User, error) {
	c.steps.Add(1)
	return c.Store.User(ctx, id)
}

func (c *counted) Grant(ctx context.Context, id string) (storage.Grant, error) {
	c.steps.Add(1)
	return c.Store.Grant(ctx, id)
}

func (c *counted) CreateAccessToken(ctx context.Context, t storage.AccessToken) error {
	c.steps.Add(1)
	return c.Store.CreateAccessToken(ctx, t)
}

// Each request of a person's way costs the statements that it needs and no
// more: 6 beside the sign-in itself, 4 when there is nothing to ask.
func TestAuthorize_D3_StatementBudget(t *testing.T) {
	t.Parallel()
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		store := &counted{Store: migratedStore(t)}
		w := newWorld(t, func(c *authserver.Config) { c.Store = store })
		w.app("app", func(c *storage.Client) { c.TokenFormat = format })
		w.user("ann")
		b, request := w.browser(), ask("app", "scope", "openid mcp:read")
		cost := func(step string, want int64) {
			t.Helper()
			if got := store.steps.Swap(0); got != want {
				t.Errorf("%s: %s: %d statements, want %d", format, step, got, want)
			}
		}
		a := b.authorize(request, "")
		cost("authorize", 1)
		login := a.Header().Get("Location")
		if page := b.get(login); page.Code != http.StatusOK {
			t.Fatalf("sign-in page: %d %s", page.Code, page.Body)
		}
		cost("GET /login", 1)
		b.signIn("ann", strings.TrimPrefix(login, "/login?interaction="))
		page := b.get("/consent?" + strings.TrimPrefix(login, "/login?"))
		cost("GET /consent", 1)
		code := b.decide(page, "allow").arrived(t, appURL).Get("code")
		cost("POST /consent", 2)
		tokens := w.exchange(request, code)
		cost("token", 1)
		if w.refresh("app", tokens.str("refresh_token")).Code != http.StatusOK {
			t.Error("refresh failed")
		}
		cost("refresh", 1)
		b.connect(request, "")
		cost("once more", 4)
		w.refresh("app", "ghr_garbage")
		w.exchange(request, "ghc_garbage")
		cost("garbage", 0)
	}
}
