package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/gatehouse-mcp/gatehouse/migrations"
)

type migrateCommand struct {
	Up     migrateUpCommand     `cmd:"" help:"Apply every pending migration."`
	Status migrateStatusCommand `cmd:"" help:"Show where the schema stands."`
	Down   migrateDownCommand   `cmd:"" help:"Revert the newest migrations. Data in what they added is lost."`
}

type migrateUpCommand struct{}

// Run migrates and shows how far it is.
func (migrateUpCommand) Run(ctx context.Context, p *process) error {
	return p.withMigrator(ctx, true, func(m *migrations.Migrator) error {
		status, err := m.Status(ctx)
		if err != nil {
			return err
		}
		progress := progress{out: p.stdout, terminal: isTerminal(p.stdout), total: len(status.Pending)}
		err = m.Up(ctx, func(step migrations.Migration) {
			progress.step(fmt.Sprintf("%d %s", step.Version, step.Name))
		})
		progress.end()
		if err == nil && progress.done == 0 {
			fmt.Fprintln(p.stdout, "the schema is up to date")
		}
		return err
	})
}

type migrateStatusCommand struct {
	jsonOutput
}

// Run shows the schema's version and what is pending.
func (c *migrateStatusCommand) Run(ctx context.Context, p *process) error {
	return p.withMigrator(ctx, false, func(m *migrations.Migrator) error {
		status, err := m.Status(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			pending := []uint{}
			for _, step := range status.Pending {
				pending = append(pending, step.Version)
			}
			return printJSON(p.stdout, map[string]any{
				"version": status.Version, "newest": status.Newest, "dirty": status.Dirty, "pending": pending,
			})
		}
		table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "version\t%d\nnewest\t%d\n", status.Version, status.Newest)
		if status.Dirty {
			fmt.Fprintf(table, "dirty\ta migration is running or was left half done\n")
		}
		for _, step := range status.Pending {
			fmt.Fprintf(table, "pending\t%d %s\n", step.Version, step.Name)
		}
		return table.Flush()
	})
}

type migrateDownCommand struct {
	N int `arg:"" help:"How many migrations to revert."`
}

// Run reverts.
func (c *migrateDownCommand) Run(ctx context.Context, p *process) error {
	if c.N < 1 {
		return usagef("say how many migrations to revert: gatehouse migrate down 1")
	}
	return p.withMigrator(ctx, false, func(m *migrations.Migrator) error {
		if err := m.Down(ctx, c.N); err != nil {
			return err
		}
		status, err := m.Status(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "the schema is at version %d\n", status.Version)
		return err
	})
}

// withMigrator opens the migrator of the store that is meant; only when create
// is set may the store be new.
func (p *process) withMigrator(ctx context.Context, create bool, do func(*migrations.Migrator) error) error {
	_, at, err := p.storePlace()
	if err != nil {
		return err
	}
	if !create {
		if err := at.exists(); err != nil {
			return err
		}
	}
	m, err := at.migrator(ctx)
	if err != nil {
		return storeError(err)
	}
	return storeError(errors.Join(do(m), m.Close()))
}

// migrateUp brings the schema up to date, for dev and serve --migrate.
func (at place) migrateUp(ctx context.Context, progress func(migrations.Migration)) error {
	m, err := at.migrator(ctx)
	if err != nil {
		return storeError(err)
	}
	return storeError(errors.Join(m.Up(ctx, progress), m.Close()))
}
