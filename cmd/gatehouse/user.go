package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

type userCommand struct {
	Create      userCreateCommand   `cmd:"" help:"Make an account."`
	List        userListCommand     `cmd:"" help:"List accounts."`
	Show        userShowCommand     `cmd:"" help:"Show an account."`
	SetPassword userPasswordCommand `cmd:"" name:"set-password" help:"Give an account a new password and sign it out everywhere."`
	Disable     userDisableCommand  `cmd:"" help:"Refuse the account, sign it out everywhere and disconnect its apps."`
	Enable      userEnableCommand   `cmd:"" help:"Let the account in again."`
}

// passwordFlags say where a password comes from. It is no flag: other people
// of the machine can read command lines.
type passwordFlags struct {
	PasswordStdin bool `help:"Read the password from standard input; without it a random one is made and shown once."`
}

// password returns the password, and whether it was made here.
func (f passwordFlags) password(p *process) (password string, made bool, err error) {
	if !f.PasswordStdin {
		return rand.Text(), true, nil
	}
	const most = 4 << 10
	text, err := io.ReadAll(io.LimitReader(p.stdin, most))
	if err != nil {
		return "", false, fmt.Errorf("standard input: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), false, nil
}

type userCreateCommand struct {
	Username string `arg:"" help:"What the person types to sign in; upper case counts as lower case."`
	Name     string `placeholder:"TEXT" help:"Name that apps may be told."`
	Email    string `placeholder:"ADDRESS" help:"E-mail address that apps may be told; you vouch for it."`
	passwordFlags
	jsonOutput
}

// Run makes the account.
func (c *userCreateCommand) Run(ctx context.Context, p *process) error {
	username, err := authserver.CanonicalUsername(c.Username)
	if err != nil {
		return usageError{err}
	}
	if c.Email != "" && !strings.Contains(c.Email, "@") {
		return usagef("--email %q is not an e-mail address", c.Email)
	}
	password, made, err := c.password(p)
	if err != nil {
		return err
	}
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		now := time.Now()
		user := storage.User{
			ID: authserver.NewUserID(), Username: username, Name: c.Name, Email: c.Email, EmailVerified: c.Email != "",
			Revision: 1, CreatedAt: now, UpdatedAt: now,
		}
		if err := setPassword(ctx, &user, password); err != nil {
			return err
		}
		err := store.CreateUser(ctx, user, storage.Identity{})
		if errors.Is(err, storage.ErrExists) {
			return fmt.Errorf("there is an account %q already; choose another name, or use gatehouse user set-password", username)
		}
		if err != nil {
			return err
		}
		return p.printUser(c.JSON, user, shown(password, made))
	})
}

// setPassword checks and hashes a password.
func setPassword(ctx context.Context, user *storage.User, password string) error {
	err := authserver.CheckPassword(user.Username, password)
	if err != nil {
		return usageError{err}
	}
	user.PasswordHash, err = authserver.HashPassword(ctx, password)
	return err
}

// shown is what is printed of a password: nothing that somebody has typed.
func shown(password string, made bool) string {
	if made {
		return password
	}
	return ""
}

type userPasswordCommand struct {
	Username string `arg:"" help:"Whose."`
	passwordFlags
	jsonOutput
}

// Run replaces the password. Sessions end, because whoever knew the old one
// may have them; connected apps stay.
func (c *userPasswordCommand) Run(ctx context.Context, p *process) error {
	password, made, err := c.password(p)
	if err != nil {
		return err
	}
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		user, err := findUser(ctx, store, c.Username)
		if err != nil {
			return err
		}
		if err := setPassword(ctx, &user, password); err != nil {
			return err
		}
		if user, err = store.UpdateUser(ctx, user, nil, time.Now()); err != nil {
			return err
		}
		if err := store.DeleteSessions(ctx, user.ID, [32]byte{}); err != nil {
			return fmt.Errorf("the password is changed, but the account is still signed in; repeat the command: %w", err)
		}
		return p.printUser(c.JSON, user, shown(password, made))
	})
}

type userDisableCommand struct {
	Username string `arg:"" help:"Whom."`
	jsonOutput
}

// Run refuses the account; the same statement revokes its tokens everywhere.
// Its sessions and grants end then, so that enabling it revives nothing.
func (c *userDisableCommand) Run(ctx context.Context, p *process) error {
	return c.set(ctx, p, true)
}

func (c *userDisableCommand) set(ctx context.Context, p *process, disabled bool) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		user, err := findUser(ctx, store, c.Username)
		if err != nil {
			return err
		}
		now := time.Now()
		user.Disabled = disabled
		var revoked *storage.Event
		if disabled {
			event := authserver.BroadRevocation(storage.EventSubjectRevoked, user.ID, now)
			revoked = &event
		}
		if user, err = store.UpdateUser(ctx, user, revoked, now); err != nil {
			return err
		}
		if disabled {
			if _, err := authserver.Revoke(ctx, store, *revoked); err != nil {
				return fmt.Errorf("the account is disabled, but enabling it would revive what it had; repeat the command: %w", err)
			}
		}
		return p.printUser(c.JSON, user, "")
	})
}

type userEnableCommand struct{ userDisableCommand }

// Run lets the account in again. The person signs in and connects apps anew.
func (c *userEnableCommand) Run(ctx context.Context, p *process) error {
	return c.set(ctx, p, false)
}

func findUser(ctx context.Context, store storage.Users, typed string) (storage.User, error) {
	username, err := authserver.CanonicalUsername(typed)
	if err != nil {
		return storage.User{}, usageError{err}
	}
	user, err := store.UserByUsername(ctx, username)
	if errors.Is(err, storage.ErrNotFound) {
		return user, fmt.Errorf("there is no account %q; see gatehouse user list", username)
	}
	return user, err
}
