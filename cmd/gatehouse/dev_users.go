package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// demoUser makes the demo account, or gives it back its password. Name and
// password are the same at every start on the same data.
func demoUser(ctx context.Context, store storage.Users, username string, sealKey []byte) ([]variable, error) {
	secret, err := derivedSecret(sealKey, "user "+username)
	if err != nil {
		return nil, err
	}
	password := strings.TrimPrefix(secret, secretPrefix)[:20]
	now := time.Now()
	user := storage.User{
		ID: authserver.NewUserID(), Username: username, Name: "Demo Person", Email: "demo@example.com", EmailVerified: true,
		Revision: 1, CreatedAt: now, UpdatedAt: now,
	}
	if user.PasswordHash, err = authserver.HashPassword(ctx, password); err != nil {
		return nil, err
	}
	err = store.CreateUser(ctx, user, storage.Identity{})
	if errors.Is(err, storage.ErrExists) {
		err = restore(ctx, store, user, now)
	}
	return []variable{{"USERNAME", username}, {"PASSWORD", password}}, err
}

// restore lets the demo account in by its password alone, whatever has become
// of it since. Another process that does the same at the same time is as good.
func restore(ctx context.Context, store storage.Users, user storage.User, now time.Time) error {
	stored, err := store.UserByUsername(ctx, user.Username)
	if err != nil {
		return err
	}
	stored.PasswordHash, stored.Disabled = user.PasswordHash, false
	stored.TOTPSecret, stored.RecoveryCodes = nil, nil
	_, err = store.UpdateUser(ctx, stored, nil, now)
	if errors.Is(err, storage.ErrConflict) {
		return nil
	}
	return err
}
