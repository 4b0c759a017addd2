package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

type userListCommand struct {
	jsonOutput
}

// Run lists all accounts.
func (c *userListCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(table, "USERNAME\tSUB\tNAME\tEMAIL\tSTATE")
		}
		for user, err := range listed(ctx, store.ListUsers, func(u storage.User) string { return u.Username }) {
			if err == nil {
				err = c.line(p.stdout, table, user)
			}
			if err != nil {
				return err
			}
		}
		return table.Flush()
	})
}

func (c *userListCommand) line(stdout, table io.Writer, user storage.User) error {
	if c.JSON {
		return printJSON(stdout, account(user, ""))
	}
	_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", user.Username, user.ID, user.Name, user.Email, state(user))
	return err
}

func state(u storage.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

type userShowCommand struct {
	Username string `arg:"" help:"Whom."`
	jsonOutput
}

// Run shows one account, without its secrets.
func (c *userShowCommand) Run(ctx context.Context, p *process) error {
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		user, err := findUser(ctx, store, c.Username)
		if err != nil {
			return err
		}
		return p.printUser(c.JSON, user, "")
	})
}

// userInformation is an account in the words of OpenID Connect Core §5.1; what
// that has no name for has ours.
type userInformation struct {
	Subject       string    `json:"sub"`
	Username      string    `json:"preferred_username"`
	Password      string    `json:"password,omitempty"`
	Name          string    `json:"name,omitempty"`
	Email         string    `json:"email,omitempty"`
	EmailVerified bool      `json:"email_verified,omitempty"`
	HasPassword   bool      `json:"has_password"`
	SecondFactor  bool      `json:"second_factor"`
	Disabled      bool      `json:"disabled"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

func account(u storage.User, password string) userInformation {
	return userInformation{
		Subject: u.ID, Username: u.Username, Password: password, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified,
		HasPassword: u.PasswordHash != "", SecondFactor: u.TOTPSecret != nil, Disabled: u.Disabled,
		CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
}

// printUser prints one account as JSON or as aligned lines.
func (p *process) printUser(asJSON bool, u storage.User, password string) error {
	info := account(u, password)
	if asJSON {
		return printJSON(p.stdout, info)
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	line("username", info.Username)
	if password != "" {
		line("password", password+"   (shown this once)")
	}
	line("sub", info.Subject)
	line("name", info.Name)
	line("email", info.Email)
	line("state", state(u))
	if info.SecondFactor {
		line("second factor", "on")
	}
	line("created", info.CreatedAt.Format(time.RFC3339))
	line("updated", info.UpdatedAt.Format(time.RFC3339))
	return table.Flush()
}
