package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

// database is one of this run's own, with the current schema.
type database struct {
	url      string
	settings string // what a reader must know about the server
	server   *pgtest.Server
	drop     func(context.Context) error
}

// openDatabase makes a database on the server of TEST_DATABASE_URL, or on one
// that it starts.
func openDatabase(ctx context.Context) (*database, error) {
	d := &database{drop: func(context.Context) error { return nil }}
	maintenance := os.Getenv("TEST_DATABASE_URL")
	if maintenance == "" {
		server, err := pgtest.Launch(ctx)
		if err != nil {
			return nil, err
		}
		d.server, maintenance = server, server.URL("")
	}
	if err := d.create(ctx, maintenance); err != nil {
		return nil, errors.Join(err, d.close(ctx))
	}
	return d, nil
}

func (d *database) create(ctx context.Context, maintenance string) error {
	u, err := url.Parse(maintenance)
	if err != nil || u.Scheme == "" {
		return errors.New("TEST_DATABASE_URL must be a URL, postgres://user@host:port/database")
	}
	name := "gatehouse_bench_" + strings.ToLower(rand.Text())
	if err := execute(ctx, maintenance, "CREATE DATABASE "+name); err != nil {
		return err
	}
	d.drop = func(ctx context.Context) error {
		return execute(ctx, maintenance, "DROP DATABASE "+name+" WITH (FORCE)")
	}
	u.Path = "/" + name
	d.url = u.String()
	m, err := postgres.Migrator(ctx, postgres.Config{URL: d.url})
	if err != nil {
		return err
	}
	if err := errors.Join(m.Up(ctx, nil), m.Close()); err != nil {
		return err
	}
	d.settings, err = describe(ctx, d.url)
	return err
}

// describe says how durable a commit of the server is.
func describe(ctx context.Context, at string) (string, error) {
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return "", err
	}
	var version, fsync, commit string
	err = conn.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')").
		Scan(&version, &fsync, &commit)
	version, _, _ = strings.Cut(version, " ")
	return fmt.Sprintf("Postgres %s, fsync=%s, synchronous_commit=%s", version, fsync, commit), errors.Join(err, conn.Close(ctx))
}

func execute(ctx context.Context, at, sql string) error {
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// pool is one for the limits; the store has its own.
func (d *database) pool(ctx context.Context) (*pgxpool.Pool, error) { return pgxpool.New(ctx, d.url) }

// close drops the database, also after an interrupt.
func (d *database) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := d.drop(ctx)
	if d.server != nil {
		err = errors.Join(err, d.server.Close())
	}
	return err
}
