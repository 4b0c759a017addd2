package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// clientColumns in the order of [scanClient]. The first sixteen are also the
// parameters $1 to $16 of [clientArgs].
const clientColumns = `client_id, client_name, auth_method,
	secret_hash, previous_secret_hash, previous_secret_expires_at, jwks,
	grant_types, redirect_uris, scopes, default_scopes, resources, default_resource,
	token_format, introspect, disabled, revision, created_at, updated_at`

func clientArgs(c storage.Client, more ...any) []any {
	return append([]any{
		c.ID, c.Name, zeronull.Text(c.AuthMethod),
		orNull(c.SecretHash), orNull(c.PreviousSecretHash), zeronull.Timestamptz(c.PreviousSecretExpiresAt), orNull(c.JWKS),
		orEmpty(c.GrantTypes), orEmpty(c.RedirectURIs), orEmpty(c.Scopes), orEmpty(c.DefaultScopes), orEmpty(c.Resources),
		c.DefaultResource, zeronull.Text(c.TokenFormat), c.Introspect, c.Disabled,
	}, more...)
}

// orNull makes an empty byte string NULL.
func orNull(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// scanClient reads clientColumns, and into more what a statement returns
// besides.
func scanClient(row pgx.Row, more ...any) (storage.Client, error) {
	var c storage.Client
	err := row.Scan(append([]any{
		&c.ID, &c.Name, (*zeronull.Text)(&c.AuthMethod),
		&c.SecretHash, &c.PreviousSecretHash, (*zeronull.Timestamptz)(&c.PreviousSecretExpiresAt), &c.JWKS,
		&c.GrantTypes, &c.RedirectURIs, &c.Scopes, &c.DefaultScopes, &c.Resources, &c.DefaultResource,
		(*zeronull.Text)(&c.TokenFormat), &c.Introspect, &c.Disabled, &c.Revision, &c.CreatedAt, &c.UpdatedAt,
	}, more...)...)
	nilIfEmpty(&c.GrantTypes, &c.RedirectURIs, &c.Scopes, &c.DefaultScopes, &c.Resources)
	return c, err
}

// CreateClient implements [storage.Clients].
func (s *Store) CreateClient(ctx context.Context, c storage.Client) error {
	const sql = `
		INSERT INTO client (` + clientColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, $17, $18)
		ON CONFLICT (client_id) DO NOTHING`
	return s.do(ctx, "create client", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, clientArgs(c, c.CreatedAt, c.UpdatedAt)...)
		if err == nil && tag.RowsAffected() == 0 {
			return storage.ErrExists
		}
		return err
	})
}

// Client implements [storage.Clients].
func (s *Store) Client(ctx context.Context, id string) (storage.Client, error) {
	const sql = `SELECT ` + clientColumns + ` FROM client WHERE client_id = $1`
	var c storage.Client
	err := s.do(ctx, "look up client", func(ctx context.Context) (err error) {
		c, err = scanClient(s.pool.QueryRow(ctx, sql, id))
		return err
	})
	if err != nil {
		return storage.Client{}, err
	}
	return c, nil
}

// ListClients implements [storage.Clients].
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]storage.Client, error) {
	const sql = `SELECT ` + clientColumns + ` FROM client WHERE client_id > $1 ORDER BY client_id LIMIT $2`
	var clients []storage.Client
	err := s.do(ctx, "list clients", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, after, max(limit, 0))
		if err != nil {
			return err
		}
		clients, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.Client, error) { return scanClient(row) })
		return err
	})
	return clients, err
}

// UpdateClient implements [storage.Clients]. The statement answers with the
// new row, or with the present one when the revision is another, or with none.
func (s *Store) UpdateClient(ctx context.Context, c storage.Client, now time.Time) (storage.Client, error) {
	const sql = `
		WITH updated AS (
			UPDATE client SET (client_name, auth_method,
				secret_hash, previous_secret_hash, previous_secret_expires_at, jwks,
				grant_types, redirect_uris, scopes, default_scopes, resources, default_resource,
				token_format, introspect, disabled, revision, updated_at)
			= ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, revision + 1, $18)
			WHERE client_id = $1 AND revision = $17
			RETURNING ` + clientColumns + `
		), logged AS (
			INSERT INTO event (kind, target, audience, created_at, expires_at)
			SELECT 'client_changed', client_id, '{}', $18, $19 FROM updated
		)
		SELECT ` + clientColumns + `, true FROM updated
		UNION ALL
		SELECT ` + clientColumns + `, false FROM client WHERE client_id = $1 AND NOT EXISTS (SELECT FROM updated)`
	expires := now.Add(storage.ChangeLifetime)
	var updated storage.Client
	err := s.do(ctx, "update client", func(ctx context.Context) (err error) {
		var won bool
		updated, err = scanClient(s.pool.QueryRow(ctx, sql, clientArgs(c, c.Revision, now, expires)...), &won)
		if err == nil && !won {
			return storage.ErrConflict
		}
		return err
	}, expires)
	if err != nil {
		return storage.Client{}, err
	}
	return updated, nil
}

// DeleteClient implements [storage.Clients].
func (s *Store) DeleteClient(ctx context.Context, id string, revoked storage.Event) error {
	const sql = `
		WITH deleted AS (DELETE FROM client WHERE client_id = $1 RETURNING client_id)
		INSERT INTO event (kind, target, audience, issued_before, created_at, expires_at)
		SELECT $2, $3, $4, $5, $6, $7 FROM deleted`
	return s.do(ctx, "delete client", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, id, string(revoked.Kind), revoked.Target, orEmpty(revoked.Audience),
			zeronull.Timestamptz(revoked.IssuedBefore), revoked.CreatedAt, revoked.ExpiresAt)
		if err == nil && tag.RowsAffected() == 0 {
			return storage.ErrNotFound
		}
		return err
	}, revoked.ExpiresAt)
}
