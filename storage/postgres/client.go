package postgres

import (
	"context"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// The columns of a client in the order of [clientFields]. Those of
// clientReplaced are also the parameters $2 to $31 of [clientArgs], disabled is
// $32.
const (
	clientColumns = `client_id, ` + clientReplaced + `, disabled, revision, created_at, updated_at`

	clientReplaced = `client_name, auth_method,
		secret_hash, previous_secret_hash, previous_secret_expires_at, jwks,
		grant_types, redirect_uris, scopes, default_scopes, resources, default_resource,
		token_format, introspect, jwks_uri, access_token_lifetime,
		application_type, client_uri, logo_uri, policy_uri, tos_uri, contacts, software_id, software_version,
		registration, registration_token_hash, fingerprint, expires_at, fetched_at, fresh_until`

	clientValues = clientSaid + `, $29, $30, $31`
	clientSaid   = `$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
		$18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28`

	// createClient may be followed by ON CONFLICT.
	createClient = `INSERT INTO client (` + clientColumns + `) VALUES ($1, ` + clientValues + `, $32, 1, $33, $34)`
)

func clientArgs(c storage.Client, more ...any) []any {
	if c.Registration == "" {
		c.Registration = storage.RegisteredByOperator
	}
	return append([]any{
		c.ID, c.Name, text(c.AuthMethod),
		orNull(c.SecretHash), orNull(c.PreviousSecretHash), instant(c.PreviousSecretExpiresAt), orNull(c.JWKS),
		orEmpty(c.GrantTypes), orEmpty(c.RedirectURIs), orEmpty(c.Scopes), orEmpty(c.DefaultScopes), orEmpty(c.Resources),
		c.DefaultResource, text(c.TokenFormat), c.Introspect, c.JWKSURI, c.AccessTokenLifetime,
		c.ApplicationType, c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI, orEmpty(c.Contacts), c.SoftwareID, c.SoftwareVersion,
		string(c.Registration), orNull(c.RegistrationTokenHash), orNull(c.Fingerprint),
		instant(c.ExpiresAt), instant(c.FetchedAt), instant(c.FreshUntil), c.Disabled,
	}, more...)
}

func clientFields(c *storage.Client) []any {
	return []any{
		&c.ID, &c.Name, (*text)(&c.AuthMethod),
		&c.SecretHash, &c.PreviousSecretHash, (*instant)(&c.PreviousSecretExpiresAt), &c.JWKS,
		(*list)(&c.GrantTypes), (*list)(&c.RedirectURIs), (*list)(&c.Scopes), (*list)(&c.DefaultScopes), (*list)(&c.Resources),
		&c.DefaultResource, (*text)(&c.TokenFormat), &c.Introspect, &c.JWKSURI, &c.AccessTokenLifetime,
		&c.ApplicationType, &c.ClientURI, &c.LogoURI, &c.PolicyURI, &c.TOSURI, (*list)(&c.Contacts), &c.SoftwareID, &c.SoftwareVersion,
		&c.Registration, &c.RegistrationTokenHash, &c.Fingerprint,
		(*instant)(&c.ExpiresAt), (*instant)(&c.FetchedAt), (*instant)(&c.FreshUntil), &c.Disabled,
		&c.Revision, &c.CreatedAt, &c.UpdatedAt,
	}
}

// CreateClient implements [storage.Clients].
func (s *Store) CreateClient(ctx context.Context, c storage.Client) error {
	const sql = createClient + ` ON CONFLICT (client_id) DO NOTHING`
	return s.do(ctx, "create client", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, clientArgs(c, c.CreatedAt, c.UpdatedAt)...)
		return orElse(tag, err, storage.ErrExists)
	})
}

// Client implements [storage.Clients].
func (s *Store) Client(ctx context.Context, id string) (storage.Client, error) {
	const sql = `SELECT ` + clientColumns + ` FROM client WHERE client_id = $1`
	var c storage.Client
	err := s.do(ctx, "look up client", func(ctx context.Context) error {
		return scan(s.pool.QueryRow(ctx, sql, id), clientFields(&c))
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
		clients, err = collect(rows, err, clientFields)
		return err
	})
	return clients, err
}

// UpdateClient implements [storage.Clients]. The statement answers with the
// new row, or with the present one when the revision is another, or with none.
func (s *Store) UpdateClient(ctx context.Context, c storage.Client, now time.Time) (storage.Client, error) {
	const sql = `
		WITH updated AS (
			UPDATE client SET (` + clientReplaced + `, disabled, revision, updated_at) = (` + clientValues + `, $32, revision + 1, $34)
			WHERE client_id = $1 AND revision = $33
			RETURNING ` + clientColumns + `
		), logged AS (
			INSERT INTO event (kind, target, audience, created_at, expires_at)
			SELECT 'client_changed', client_id, '{}', $34, $35 FROM updated
		)
		SELECT ` + clientColumns + `, true FROM updated
		UNION ALL
		SELECT ` + clientColumns + `, false FROM client WHERE client_id = $1 AND NOT EXISTS (SELECT FROM updated)`
	expires := now.Add(storage.ChangeLifetime)
	var updated storage.Client
	err := s.do(ctx, "update client", func(ctx context.Context) error {
		var won bool
		err := scan(s.pool.QueryRow(ctx, sql, clientArgs(c, c.Revision, now, expires)...), clientFields(&updated), []any{&won})
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
		tag, err := s.pool.Exec(ctx, sql, append([]any{id}, eventArgs(revoked)...)...)
		return orElse(tag, err, storage.ErrNotFound)
	}, revoked.ExpiresAt)
}
