package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/demo"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
)

type demoCommand struct{}

// Help is the detailed help.
func (demoCommand) Help() string {
	return "Starts both servers on free ports with a store of their own, shows each step as the curl command a person would type, with its real answer, and fails if one does not do what it should. Leaves nothing behind. With --database-url postgres://... the store is a schema of its own in that database."
}

// Run starts a pair like dev's in a temporary directory, registers clients by
// the command line, runs the demonstration and removes everything.
func (demoCommand) Run(ctx context.Context, p *process) (err error) {
	own := *p
	own.ConfigFile, own.LogLevel, own.DatabaseURL = "", "error", ""
	if strings.HasPrefix(p.DatabaseURL, "postgres") {
		scratch, drop, err := postgres.Scratch(ctx, postgres.Config{URL: p.DatabaseURL})
		if err != nil {
			return storeError(err)
		}
		own.DatabaseURL = scratch.URL
		defer func() { err = errors.Join(err, drop(context.WithoutCancel(ctx))) }()
	}
	if own.Data, err = os.MkdirTemp("", "gatehouse-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(own.Data)) }()
	return own.demonstrate(ctx, &devCommand{IssuerAddr: "localhost:0", ResourceAddr: "localhost:0", demonstration: true})
}

// demonstrate runs the servers while the demonstration does.
func (p *process) demonstrate(ctx context.Context, command *devCommand) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	d, err := command.start(serving, p)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- d.run(serving) }()
	err = p.demonstrateOn(ctx, d)
	stop()
	return errors.Join(err, <-served, d.close())
}

func (p *process) demonstrateOn(ctx context.Context, d *development) error {
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	cfg, err := p.demoConfig(ctx, d)
	if err != nil {
		return err
	}
	if err := demo.Run(ctx, cfg); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, "\n# Every step did what it should.")
	return err
}

// demoConfig registers the clients of the demonstration.
func (p *process) demoConfig(ctx context.Context, d *development) (cfg demo.Config, err error) {
	resource, other := d.settings.Audience(), d.settings.Resources[1].Identifier
	cfg = demo.Config{Issuer: d.settings.Issuer, Resource: resource, Other: other, Out: p.stdout}
	fmt.Fprintf(p.stdout, "# Both servers run: authorization server %s, MCP endpoint %s\n", cfg.Issuer, cfg.Resource)
	for _, registration := range []struct {
		into  *demo.Client
		flags []string
	}{
		{&cfg.JWT, []string{"--name", "Agent", "--scope", "mcp:read mcp:tools", "--token-format", "jwt", "--resource", other}},
		{&cfg.Opaque, []string{"--name", "Agent with opaque tokens", "--scope", "mcp:read mcp:tools", "--token-format", "opaque"}},
		{&cfg.Reader, []string{"--name", "Reader", "--scope", "mcp:read"}},
		{&cfg.Introspect, []string{"--name", "Resource server", "--introspect"}},
	} {
		*registration.into, err = p.registerShown(ctx, append(registration.flags, "--resource", resource))
		if err != nil {
			return cfg, fmt.Errorf("registering a client: %w", err)
		}
	}
	return cfg, nil
}

// fromNowhere is an environment without variables.
func fromNowhere(string) string { return "" }

// registerShown registers a client by the command line itself and prints the
// command, without the database's password, and its answer.
func (p *process) registerShown(ctx context.Context, flags []string) (demo.Client, error) {
	args := append([]string{"client", "create", "--json"}, flags...)
	at, shown := []string{"--data", p.Data}, p.Data
	if p.DatabaseURL != "" {
		u, err := url.Parse(p.DatabaseURL)
		if err != nil {
			return demo.Client{}, err
		}
		at, shown = []string{"--database-url", p.DatabaseURL}, u.Redacted()
	}
	fmt.Fprint(p.stdout, "\n$ gatehouse")
	for _, arg := range append(slices.Clone(args), at[0], shown) {
		fmt.Fprint(p.stdout, " ", shellWord(arg))
	}
	var out bytes.Buffer
	if err := run(ctx, append(args, at...), fromNowhere, p.stdin, &out, p.stderr); err != nil {
		return demo.Client{}, err
	}
	fmt.Fprintf(p.stdout, "\n  %s", out.Bytes())
	var client clientInformation
	err := json.Unmarshal(out.Bytes(), &client)
	return demo.Client{ID: client.ClientID, Secret: client.ClientSecret}, err
}
