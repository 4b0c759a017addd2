package main

import (
	"context"
	"errors"
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
	User   string `xor:"what" placeholder:"SUB" help:"Every token of a subject, and its browser sessions."`
	All    bool   `xor:"what" help:"Every token and every browser session there is."`
}

// Help is the detailed help.
func (*revokeCommand) Help() string {
	return "The revocation is written to the store, from where every running server learns of it within a second. No server need run now."
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
		event, err := revokeNow(ctx, store, event)
		if err != nil {
			return fmt.Errorf("the revocation is not complete; repeat the command: %w", err)
		}
		p.warnOfNobody(ctx, store, c.Client)
		return p.printRevocation(c.JSON, event, "")
	})
}

// revokeNow revokes what event covers. Of a person, or of everybody, it first
// ends the browser sessions, because a stolen cookie would consent again; the
// event, which it returns, then covers what they consented to until that moment.
func revokeNow(ctx context.Context, store storage.Store, event storage.Event) (storage.Event, error) {
	if event.Kind == storage.EventSubjectRevoked || event.Kind == storage.EventAllRevoked {
		if err := store.DeleteSessions(ctx, event.Target, [32]byte{}); err != nil {
			return event, err
		}
		event = broadRevocation(event.Kind, event.Target, time.Now())
	}
	return event, store.RevokeGrants(ctx, event, event.CreatedAt)
}

// warnOfNobody tells a mistyped client_id from that of a client that is gone,
// whose tokens may live on and are revoked too.
func (p *process) warnOfNobody(ctx context.Context, store storage.Clients, client string) {
	if client == "" {
		return
	}
	if _, err := store.Client(ctx, client); errors.Is(err, storage.ErrNotFound) {
		fmt.Fprintf(p.stderr, "gatehouse: there is no client %q; what it may have had is revoked all the same, see gatehouse client list\n", client)
	}
}

func (c *revokeCommand) event(stdin io.Reader, now time.Time) (storage.Event, error) {
	switch {
	case c.Token != "":
		return tokenRevocation(c.Token, stdin, now)
	case c.Grant != "":
		return broadRevocation(storage.EventGrantRevoked, c.Grant, now), nil
	case c.Client != "":
		return broadRevocation(storage.EventClientRevoked, c.Client, now), nil
	case c.User != "":
		return broadRevocation(storage.EventSubjectRevoked, c.User, now), nil
	case c.All:
		return broadRevocation(storage.EventAllRevoked, "", now), nil
	}
	return storage.Event{}, usagef("say what to revoke: --token, --grant, --client, --user or --all")
}

// tokenRevocation does not verify the token: whoever holds the store may
// revoke by name. It only has to be one that our servers could have issued.
func tokenRevocation(token string, stdin io.Reader, now time.Time) (storage.Event, error) {
	token, err := argumentOrStdin(token, stdin)
	if err != nil {
		return storage.Event{}, err
	}
	jti, expiresAt, err := authserver.TokenID(token)
	if err != nil {
		return storage.Event{}, err
	}
	if expiresAt.Add(authserver.MaxVerifierSkew).Before(now) {
		return storage.Event{}, fmt.Errorf("the token expired at %s; there is nothing to revoke", expiresAt.UTC().Format(time.RFC3339))
	}
	// A forged expiry must not keep the event for ever.
	latest := now.Add(authserver.MaxAccessTokenLifetime)
	if expiresAt.After(latest) {
		expiresAt = latest
	}
	return storage.Event{
		Kind: storage.EventTokenRevoked, Target: jti, CreatedAt: now, ExpiresAt: expiresAt.Add(authserver.MaxVerifierSkew),
	}, nil
}

// broadRevocation revokes all that was issued up to now.
func broadRevocation(kind storage.EventKind, target string, now time.Time) storage.Event {
	return storage.Event{
		Kind: kind, Target: target, IssuedBefore: now, CreatedAt: now,
		ExpiresAt: now.Add(authserver.MaxAccessTokenLifetime + authserver.MaxVerifierSkew),
	}
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
		out := struct {
			Revoked      string     `json:"revoked"`
			Target       string     `json:"target,omitempty"`
			IssuedBefore *time.Time `json:"issued_before,omitempty"`
			ExpiresAt    time.Time  `json:"expires_at"`
		}{Revoked: string(e.Kind), Target: e.Target, ExpiresAt: e.ExpiresAt.UTC()}
		if !e.IssuedBefore.IsZero() {
			before := e.IssuedBefore.UTC()
			out.IssuedBefore = &before
		}
		return printJSON(p.stdout, out)
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
