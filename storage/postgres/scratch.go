package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Scratch makes an empty schema of its own in c's database, for a store that is
// to leave nothing behind: a demonstration beside whatever else lives there.
// It returns the configuration of a store in it, and what drops it with all it
// holds. The role needs the right to create a schema; c.URL must be a URL.
func Scratch(ctx context.Context, c Config) (in Config, drop func(context.Context) error, err error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" && u.Path == "" {
		return c, nil, errors.New("postgres: a scratch schema needs a connection URL")
	}
	schema := "gatehouse_scratch_" + strings.ToLower(rand.Text()[:13])
	if err := c.execute(ctx, "create schema", "CREATE SCHEMA "+schema); err != nil {
		return c, nil, err
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	in = c
	in.URL = u.String()
	return in, func(ctx context.Context) error {
		return c.execute(ctx, "drop schema", "DROP SCHEMA "+schema+" CASCADE")
	}, nil
}

// execute runs one statement on a connection of its own.
func (c Config) execute(ctx context.Context, what, sql string) error {
	config, err := c.parse()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*c.statementTimeout()+10*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return translate(ctx, what, err)
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(translate(ctx, what, err), conn.Close(context.WithoutCancel(ctx)))
}
