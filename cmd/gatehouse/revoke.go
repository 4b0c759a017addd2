package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

type revokeCommand struct {
	jsonOutput
	Token  string `xor:"what" placeholder:"TOKEN" help:"One access token; - reads it from stdin."`
	Grant  string `xor:"what" placeholder:"ID" help:"Every token of a grant."`
	Client string `xor:"what" placeholder:"ID" help:"Every token of a client; the client stays."`
	User   string `xor:"what" placeholder:"SUB" help:"Every token of a subject or username, and its browser sessions."`
	All    bool   `xor:"what" help:"Every token and every browser session there is."`
}

// Help is the detailed help.
func (*revokeCommand) Help() string {
	return "The revocation is written to the store, from where every running server learns of it within a second. No server need run now. The clock of this machine says what was issued until now, so it must be right."
}

// Run revokes; with grants go their refresh tokens, so that nobody gets new
// tokens without asking a person again.
func (c *revokeCommand) Run(ctx context.Context, p *process) error {
	now := time.Now()
	event, err := c.event(p.stdin, now)
	if err != nil {
		return err
	}
	return p.withStore(ctx, func(_ settings.Settings, store storage.Store) error {
		if c.User != "" {
			if event.Target, err = authserver.Sub(ctx, store, c.User); err != nil {
				return err
			}
		}
		known, err := authserver.Known(ctx, store, event)
		if err != nil {
			return err
		}
		if event, err = authserver.Revoke(ctx, store, event); err != nil {
			return fmt.Errorf("the revocation is not complete; repeat the command: %w", err)
		}
		if !known {
			p.warnOfNobody(event)
		}
		if c.JSON {
			answer := authserver.NewRevoked(event)
			answer.Known = &known
			return printJSON(p.stdout, answer)
		}
		return p.printRevocation(false, event, "")
	})
}

// warnOfNobody tells a mistyped name from that of what is gone, whose tokens
// may live on and are revoked too.
func (p *process) warnOfNobody(event storage.Event) {
	what := map[storage.EventKind]string{
		storage.EventGrantRevoked:   fmt.Sprintf("grant %q; what it may have had is revoked all the same", event.Target),
		storage.EventClientRevoked:  fmt.Sprintf("client %q; what it may have had is revoked all the same, see gatehouse client list", event.Target),
		storage.EventSubjectRevoked: fmt.Sprintf("user or client with the sub %q; what it may have had is revoked all the same, see gatehouse user list", event.Target),
	}[event.Kind]
	fmt.Fprintf(p.stderr, "gatehouse: there is no %s\n", what)
}

func (c *revokeCommand) event(stdin io.Reader, now time.Time) (storage.Event, error) {
	switch {
	case c.Token != "":
		return tokenRevocation(c.Token, stdin, now)
	case c.Grant != "":
		return authserver.BroadRevocation(storage.EventGrantRevoked, c.Grant, now), nil
	case c.Client != "":
		return authserver.BroadRevocation(storage.EventClientRevoked, c.Client, now), nil
	case c.User != "":
		return authserver.BroadRevocation(storage.EventSubjectRevoked, c.User, now), nil
	case c.All:
		return authserver.BroadRevocation(storage.EventAllRevoked, "", now), nil
	}
	return storage.Event{}, usagef("say what to revoke: --token, --grant, --client, --user or --all")
}

func tokenRevocation(token string, stdin io.Reader, now time.Time) (storage.Event, error) {
	token, err := argumentOrStdin(token, stdin)
	if err != nil {
		return storage.Event{}, err
	}
	return authserver.TokenRevocation(token, now)
}

// argumentOrStdin reads a secret from stdin when the argument is "-", so that
// it need not stand in the process list.
func argumentOrStdin(argument string, stdin io.Reader) (string, error) {
	if argument != "-" {
		return argument, nil
	}
	data, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}

// printRevocation says what was revoked.
func (p *process) printRevocation(asJSON bool, e storage.Event, done string) error {
	if asJSON {
		return printJSON(p.stdout, authserver.NewRevoked(e))
	}
	what := map[storage.EventKind]string{
		storage.EventTokenRevoked:   "token " + e.Target,
		storage.EventGrantRevoked:   "every token of grant " + e.Target,
		storage.EventClientRevoked:  "every token of client " + e.Target,
		storage.EventSubjectRevoked: "every token of subject " + e.Target,
		storage.EventAllRevoked:     "every token",
	}[e.Kind]
	if !e.IssuedBefore.IsZero() {
		what += " issued up to " + e.IssuedBefore.UTC().Format(time.RFC3339)
	}
	what += map[storage.EventKind]string{
		storage.EventSubjectRevoked: " and ended its browser sessions",
		storage.EventAllRevoked:     " and ended every browser session",
	}[e.Kind]
	_, err := fmt.Fprintf(p.stdout, "%srevoked %s; running servers refuse it within a second\n", done, what)
	return err
}
