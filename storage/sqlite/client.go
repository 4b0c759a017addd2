package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// clientColumns are the columns that an update replaces, in the order of
// clientValues.
const clientColumns = `client_name, auth_method, secret_hash, previous_secret_hash, previous_secret_expires_at,
	jwks, jwks_uri, grant_types, redirect_uris, scopes, default_scopes, resources, default_resource,
	token_format, introspect, disabled, access_token_lifetime, application_type, client_uri, logo_uri,
	policy_uri, tos_uri, contacts, software_id, software_version, registration, registration_token_hash,
	fingerprint, expires_at, fetched_at, fresh_until, updated_at`

func clientValues(c storage.Client) []any {
	if c.Registration == "" {
		c.Registration = storage.RegisteredByOperator
	}
	return []any{
		c.Name, c.AuthMethod, orNull(c.SecretHash), orNull(c.PreviousSecretHash), orNull(c.PreviousSecretExpiresAt),
		orNull(string(c.JWKS)), c.JWKSURI, list(c.GrantTypes), list(c.RedirectURIs),
		list(c.Scopes), list(c.DefaultScopes), list(c.Resources), c.DefaultResource,
		word(c.TokenFormat), c.Introspect, c.Disabled, c.AccessTokenLifetime, c.ApplicationType, c.ClientURI, c.LogoURI,
		c.PolicyURI, c.TOSURI, list(c.Contacts), c.SoftwareID, c.SoftwareVersion, c.Registration, orNull(c.RegistrationTokenHash),
		orNull(c.Fingerprint), orNull(c.ExpiresAt), orNull(c.FetchedAt), orNull(c.FreshUntil), instant(c.UpdatedAt),
	}
}

// clientRow is what scanClient reads.
const clientRow = `client_id, revision, created_at, ` + clientColumns

func scanClient(row scanner) (c storage.Client, err error) {
	err = row.Scan(&c.ID, &c.Revision, (*instant)(&c.CreatedAt),
		&c.Name, &c.AuthMethod, &c.SecretHash, &c.PreviousSecretHash, (*instant)(&c.PreviousSecretExpiresAt),
		&c.JWKS, &c.JWKSURI, (*list)(&c.GrantTypes), (*list)(&c.RedirectURIs),
		(*list)(&c.Scopes), (*list)(&c.DefaultScopes), (*list)(&c.Resources), &c.DefaultResource,
		(*word)(&c.TokenFormat), &c.Introspect, &c.Disabled, &c.AccessTokenLifetime, &c.ApplicationType, &c.ClientURI, &c.LogoURI,
		&c.PolicyURI, &c.TOSURI, (*list)(&c.Contacts), &c.SoftwareID, &c.SoftwareVersion, &c.Registration, &c.RegistrationTokenHash,
		&c.Fingerprint, (*instant)(&c.ExpiresAt), (*instant)(&c.FetchedAt), (*instant)(&c.FreshUntil), (*instant)(&c.UpdatedAt))
	return c, err
}

func insertClient(ctx context.Context, tx *sql.Tx, c storage.Client) error {
	return insert(ctx, tx, "client", clientColumns+`, client_id, created_at, revision`,
		append(clientValues(c), c.ID, instant(c.CreatedAt), 1)...)
}

func clientByID(ctx context.Context, q querier, id string) (storage.Client, error) {
	return scanClient(q.QueryRowContext(ctx, `SELECT `+clientRow+` FROM client WHERE client_id = $1`, id))
}

// CreateClient implements [storage.Clients].
func (s *Store) CreateClient(ctx context.Context, c storage.Client) error {
	return s.change(ctx, "create client", func(ctx context.Context, tx *sql.Tx) error {
		return insertClient(ctx, tx, c)
	})
}

// Client implements [storage.Clients].
func (s *Store) Client(ctx context.Context, id string) (c storage.Client, err error) {
	err = s.read(ctx, "read client", func(db *sql.DB) error {
		c, err = clientByID(ctx, db, id)
		return err
	})
	return c, err
}

// ListClients implements [storage.Clients].
func (s *Store) ListClients(ctx context.Context, after string, limit int) (clients []storage.Client, err error) {
	err = s.read(ctx, "list clients", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx,
			`SELECT `+clientRow+` FROM client WHERE client_id > $1 ORDER BY client_id LIMIT $2`,
			after, max(limit, 0))
		clients, err = collect(rows, err, scanClient)
		return err
	})
	return clients, err
}

// updateClient replaces what may change if the revision is c's, and returns
// what is stored then, or [sql.ErrNoRows].
func updateClient(ctx context.Context, tx *sql.Tx, c storage.Client) (storage.Client, error) {
	values := clientValues(c)
	return scanClient(tx.QueryRowContext(ctx, `
		UPDATE client SET (`+clientColumns+`, revision) = (`+marks(len(values))+`, revision + 1)
		WHERE client_id = ? AND revision = ? RETURNING `+clientRow,
		append(values, c.ID, c.Revision)...))
}

// UpdateClient implements [storage.Clients].
func (s *Store) UpdateClient(ctx context.Context, c storage.Client, now time.Time) (updated storage.Client, err error) {
	c.UpdatedAt = now
	err = s.change(ctx, "update client", func(ctx context.Context, tx *sql.Tx) error {
		updated, err = updateClient(ctx, tx, c)
		if errors.Is(err, sql.ErrNoRows) {
			return whyNotUpdated(ctx, tx, `SELECT EXISTS (SELECT 1 FROM client WHERE client_id = $1)`, c.ID)
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

// whyNotUpdated tells a record that has changed from one that is gone. Nothing
// moves meanwhile: the transaction holds the write lock.
func whyNotUpdated(ctx context.Context, tx *sql.Tx, exists, id string) error {
	var changed bool
	err := tx.QueryRowContext(ctx, exists, id).Scan(&changed)
	switch {
	case err != nil:
		return err
	case changed:
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
		return appendEvent(ctx, tx, revoked)
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}
