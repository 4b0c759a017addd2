package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// CreateClient implements [storage.Clients].
func (s *Store) CreateClient(ctx context.Context, c storage.Client) error {
	return s.change(ctx, "create client", func(ctx context.Context, tx *sql.Tx) error {
		return oneRow(storage.ErrExists)(tx.ExecContext(ctx, `
			INSERT INTO client (client_name, auth_method, secret_hash, previous_secret_hash,
				previous_secret_expires_at, jwks, grant_types, redirect_uris, scopes, default_scopes,
				resources, default_resource, token_format, introspect, disabled, updated_at,
				client_id, created_at, revision)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 1)
			ON CONFLICT DO NOTHING`,
			append(clientValues(c, c.UpdatedAt), c.ID, instant(c.CreatedAt))...))
	})
}

// clientValues are the columns that an update replaces, $1 to $16.
func clientValues(c storage.Client, updatedAt time.Time) []any {
	return []any{
		c.Name, c.AuthMethod, orNull(c.SecretHash), orNull(c.PreviousSecretHash),
		orNull(c.PreviousSecretExpiresAt), orNull(string(c.JWKS)), list(c.GrantTypes), list(c.RedirectURIs),
		list(c.Scopes), list(c.DefaultScopes), list(c.Resources), c.DefaultResource,
		orNull(string(c.TokenFormat)), c.Introspect, c.Disabled, instant(updatedAt),
	}
}

// clientColumns is what scanClient reads.
const clientColumns = `client_id, client_name, auth_method, secret_hash, previous_secret_hash,
	previous_secret_expires_at, jwks, grant_types, redirect_uris, scopes, default_scopes, resources,
	default_resource, coalesce(token_format, ''), introspect, disabled, revision, created_at, updated_at`

func scanClient(row scanner) (c storage.Client, err error) {
	err = row.Scan(&c.ID, &c.Name, &c.AuthMethod, &c.SecretHash, &c.PreviousSecretHash,
		(*instant)(&c.PreviousSecretExpiresAt), &c.JWKS, (*list)(&c.GrantTypes), (*list)(&c.RedirectURIs),
		(*list)(&c.Scopes), (*list)(&c.DefaultScopes), (*list)(&c.Resources),
		&c.DefaultResource, &c.TokenFormat, &c.Introspect, &c.Disabled, &c.Revision,
		(*instant)(&c.CreatedAt), (*instant)(&c.UpdatedAt))
	if errors.Is(err, sql.ErrNoRows) {
		err = storage.ErrNotFound
	}
	return c, err
}

// Client implements [storage.Clients].
func (s *Store) Client(ctx context.Context, id string) (c storage.Client, err error) {
	err = s.read(ctx, "read client", func(db *sql.DB) error {
		c, err = scanClient(db.QueryRowContext(ctx,
			`SELECT `+clientColumns+` FROM client WHERE client_id = $1`, id))
		return err
	})
	return c, err
}

// ListClients implements [storage.Clients].
func (s *Store) ListClients(ctx context.Context, after string, limit int) (clients []storage.Client, err error) {
	err = s.read(ctx, "list clients", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx,
			`SELECT `+clientColumns+` FROM client WHERE client_id > $1 ORDER BY client_id LIMIT $2`,
			after, max(limit, 0))
		clients, err = collect(rows, err, scanClient)
		return err
	})
	return clients, err
}

// UpdateClient implements [storage.Clients].
func (s *Store) UpdateClient(ctx context.Context, c storage.Client, now time.Time) (updated storage.Client, err error) {
	err = s.change(ctx, "update client", func(ctx context.Context, tx *sql.Tx) error {
		updated, err = scanClient(tx.QueryRowContext(ctx, `
			UPDATE client SET client_name = $1, auth_method = $2, secret_hash = $3, previous_secret_hash = $4,
				previous_secret_expires_at = $5, jwks = $6, grant_types = $7, redirect_uris = $8, scopes = $9,
				default_scopes = $10, resources = $11, default_resource = $12, token_format = $13,
				introspect = $14, disabled = $15, updated_at = $16, revision = revision + 1
			WHERE client_id = $17 AND revision = $18
			RETURNING `+clientColumns,
			append(clientValues(c, now), c.ID, c.Revision)...))
		if errors.Is(err, storage.ErrNotFound) {
			return whyNotUpdated(ctx, tx, c.ID)
		}
		if err != nil {
			return err
		}
		return appendChange(ctx, tx, storage.EventClientChanged, c.ID, now)
	})
	if err != nil {
		return storage.Client{}, err
	}
	s.appended.ring()
	return updated, nil
}

// whyNotUpdated tells a client that has changed from one that is gone. Nothing
// moves meanwhile: the transaction holds the write lock.
func whyNotUpdated(ctx context.Context, tx *sql.Tx, id string) error {
	var exists bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM client WHERE client_id = $1)`, id).Scan(&exists)
	switch {
	case err != nil:
		return err
	case exists:
		return storage.ErrConflict
	}
	return storage.ErrNotFound
}

// DeleteClient implements [storage.Clients].
func (s *Store) DeleteClient(ctx context.Context, id string, revoked storage.Event) error {
	err := s.change(ctx, "delete client", func(ctx context.Context, tx *sql.Tx) error {
		err := oneRow(storage.ErrNotFound)(tx.ExecContext(ctx, `DELETE FROM client WHERE client_id = $1`, id))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, insertEvent, eventValues(revoked)...)
		return err
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}
