package sqlite_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func sum(text string) [32]byte { return sha256.Sum256([]byte(text)) }

func interactionOf(name string) storage.Interaction {
	return storage.Interaction{
		Hash: sum("interaction " + name), Browser: sum("browser"), ClientID: "c1", RedirectURI: "http://127.0.0.1/cb",
		Scopes: []string{"mcp:read", "mcp:write"}, Resource: "r", Audience: "R", TokenFormat: storage.FormatOpaque, MaxAge: -1,
		CreatedAt: moment(), ExpiresAt: moment().Add(10 * time.Minute),
	}
}

func codeOf(name string) storage.Code {
	return storage.Code{
		Hash: sum("code " + name), GrantID: "g " + name, ClientID: "c1", UserID: "u " + name,
		RedirectURI: "http://127.0.0.1/cb", CodeChallenge: "challenge",
		Scopes: []string{"mcp:read", "mcp:write"}, Resource: "r", Audience: "R", TokenFormat: storage.FormatOpaque,
		AuthTime: moment(), Methods: []string{"pwd"}, Refresh: true,
		CreatedAt: moment(), ExpiresAt: moment().Add(time.Minute),
	}
}

// settle makes a grant of a new user in the way that a person and a client do.
func settle(ctx context.Context, s storage.Store, name string) error {
	u := storage.User{ID: "u " + name, Username: name, CreatedAt: moment(), UpdatedAt: moment()}
	for _, step := range []func() error{
		func() error { return s.CreateUser(ctx, u, storage.Identity{}) },
		func() error { return s.CreateInteraction(ctx, interactionOf(name)) },
		func() error { return s.IssueCode(ctx, codeOf(name), interactionOf(name).Hash) },
		func() error { _, _, err := s.RedeemCode(ctx, redemption(name)); return err },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func tokenOf(name string) storage.TokenToStore {
	return storage.TokenToStore{Hash: sum("token " + name), IssuedAt: moment(), ExpiresAt: moment().Add(time.Hour)}
}

func redemption(name string) storage.Redemption {
	return storage.Redemption{
		CodeHash: codeOf(name).Hash, ClientID: "c1", CodeChallenge: "challenge",
		Secret: sum("secret"), GrantExpiresAt: moment().Add(24 * time.Hour), AccessToken: tokenOf(name),
		Revoked: revoked(), Now: moment(),
	}
}

func revoked() storage.Event {
	return storage.Event{Kind: storage.EventGrantRevoked, IssuedBefore: moment(), CreatedAt: moment(), ExpiresAt: moment().Add(time.Hour)}
}

func rotation(name string, generation int64) storage.Rotation {
	secret, inner := sum("secret"), sum(fmt.Sprint("inner", generation))
	tag := sha256.Sum256(append(secret[:], inner[:]...))
	return storage.Rotation{
		GrantID: "g " + name, Generation: generation, Inner: inner, TagHash: sha256.Sum256(tag[:]), ClientID: "c1",
		Allowed: []string{"r"}, GrantExpiresAt: moment().Add(48 * time.Hour),
		AccessToken: tokenOf(fmt.Sprint(name, " refreshed ", generation)), Revoked: revoked(), Now: moment(),
	}
}

// What a killed process had answered about a grant holds: the code stays
// spent, the refresh token rotated, the access tokens known.
func wantSettled(t *testing.T, s storage.Store, name string) {
	t.Helper()
	g, err := s.Grant(t.Context(), "g "+name)
	if err != nil || g.Generation != 2 || !g.RevokedAt.IsZero() {
		t.Errorf("grant %s is %+v (%v)", name, g, err)
	}
	for _, tok := range []storage.TokenToStore{redemption(name).AccessToken, rotation(name, 1).AccessToken} {
		if _, err := s.AccessToken(t.Context(), tok.Hash, tok.ExpiresAt); err != nil {
			t.Errorf("token of grant %s: %v", name, err)
		}
	}
	if _, _, err := s.RedeemCode(t.Context(), redemption(name)); !errors.Is(err, storage.ErrSpent) {
		t.Errorf("code of grant %s again: %v", name, err)
	}
	if err := s.EndInteraction(t.Context(), interactionOf(name).Hash); !errors.Is(err, storage.ErrSpent) {
		t.Errorf("interaction of grant %s again: %v", name, err)
	}
}
