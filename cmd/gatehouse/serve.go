package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/migrations"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
)

const (
	roleAuthserver     = "authserver"
	roleResourceserver = "resourceserver"
	roleAll            = "all"
)

type serveCommand struct {
	sealKeyFlags
	Role    string `env:"GATEHOUSE_ROLE" enum:"authserver,resourceserver,all" default:"all" help:"What to run: authserver, resourceserver or all."`
	Migrate bool   `help:"Bring the schema up to date first."`
}

// Help is the detailed help.
func (*serveCommand) Help() string {
	return "The resource server hosts the built-in notebook, a demo; to protect a server of your own, use the Go package resourceserver."
}

// Run serves until a signal comes.
func (c *serveCommand) Run(ctx context.Context, p *process) error {
	if p.ConfigFile == "" {
		return usagef("--config is missing; begin with: gatehouse config example > gatehouse.yaml")
	}
	s, err := p.settings()
	if err != nil {
		return err
	}
	tuneMemory(s.Memory, p.getenv)
	r, err := p.newPair(s, false)
	if err != nil {
		return err
	}
	err = c.assemble(ctx, p, r, s)
	if err == nil {
		err = r.run(ctx)
	}
	return errors.Join(err, r.close())
}

func (c *serveCommand) assemble(ctx context.Context, p *process, r *pair, s settings.Settings) error {
	if c.Role != roleResourceserver {
		if err := c.authserver(ctx, p, r, s); err != nil {
			return err
		}
	}
	if c.Role != roleAuthserver {
		return c.resourceserver(ctx, p, r, s)
	}
	return nil
}

func (c *serveCommand) authserver(ctx context.Context, p *process, r *pair, s settings.Settings) error {
	seal, err := c.sealKeys(p, s)
	if err != nil {
		return err
	}
	at, err := p.place(s)
	if err != nil {
		return err
	}
	if c.Migrate {
		if err := at.migrateUp(ctx, func(step migrations.Migration) {
			r.log.Info("migration applied", "version", step.Version, "name", step.Name)
		}); err != nil {
			return err
		}
	}
	store, err := at.open(ctx, r.log)
	if err != nil {
		return err
	}
	listeners, _, err := listen(ctx, s.Listen)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	if err := r.addAuthserver(ctx, s, store, seal, listeners); err != nil {
		closeAll(listeners)
		return err
	}
	r.log.Info("authorization server listens", "address", s.Listen, "issuer", s.Issuer)
	return nil
}

func (c *serveCommand) resourceserver(ctx context.Context, p *process, r *pair, s settings.Settings) error {
	own, err := ownCredentials(s.ResourceServer.Introspection, p.getenv)
	if err != nil {
		return err
	}
	listeners, _, err := listen(ctx, s.ResourceServer.Listen)
	if err != nil {
		return err
	}
	if err := r.addResourceserver(ctx, s, own, listeners); err != nil {
		closeAll(listeners)
		return err
	}
	r.log.Info("resource server listens", "address", s.ResourceServer.Listen, "resource", s.Audience())
	return nil
}

// ownCredentials reads the resource server's secret from where the settings
// say; nil when it has none.
func ownCredentials(i settings.Introspection, getenv func(string) string) (*resourceserver.ClientCredentials, error) {
	if i.ClientID == "" {
		return nil, nil
	}
	secret := getenv(i.ClientSecretEnv)
	if i.ClientSecretFile != "" {
		data, err := os.ReadFile(i.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("resource_server.introspection.client_secret_file: %w", err)
		}
		secret = strings.TrimSpace(string(data))
	}
	if secret == "" {
		return nil, fmt.Errorf("the secret of %s is empty; set %s", i.ClientID, i.ClientSecretEnv+i.ClientSecretFile)
	}
	return &resourceserver.ClientCredentials{ClientID: i.ClientID, ClientSecret: secret}, nil
}

// pathOf returns the path of a URL as it stands in a request.
func pathOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.EscapedPath() == "" {
		return "/"
	}
	return u.EscapedPath()
}
