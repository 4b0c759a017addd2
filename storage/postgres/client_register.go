package postgres

import (
	"context"
	"errors"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// RegisterClient implements [storage.Clients].
func (s *Store) RegisterClient(ctx context.Context, c storage.Client) (storage.Client, error) {
	const sql = createClient + `
		ON CONFLICT (fingerprint) DO UPDATE
		SET expires_at = CASE WHEN client.expires_at IS NOT NULL THEN excluded.expires_at END
		RETURNING ` + clientColumns
	var registered storage.Client
	err := s.do(ctx, "register client", func(ctx context.Context) error {
		return scan(s.pool.QueryRow(ctx, sql, clientArgs(c, c.CreatedAt, c.UpdatedAt)...), clientFields(&registered))
	})
	if err != nil {
		return storage.Client{}, err
	}
	return registered, nil
}

// SaveDocument implements [storage.Clients]. The older copy is locked before
// the new one meets it; an event is due if the revision has grown by that.
func (s *Store) SaveDocument(ctx context.Context, c storage.Client) (storage.Client, error) {
	const sql = `
		WITH older AS (
			SELECT revision FROM client WHERE client_id = $1 FOR UPDATE
		), saved AS (
			INSERT INTO client AS older (` + clientColumns + `)
			SELECT $1, ` + clientValues + `, $32, 1, $33, $34 FROM (SELECT count(*) FROM older) AS locked
			ON CONFLICT (client_id) DO UPDATE
			SET (` + clientReplaced + `, updated_at, revision) = (` + clientSaid + `,
				CASE WHEN older.expires_at IS NOT NULL THEN $29::timestamptz END, $30, $31, $34, older.revision +
				(to_jsonb(older) - $36::text[] IS DISTINCT FROM to_jsonb(excluded) - $36::text[])::int)
			WHERE older.registration = 'document'
			RETURNING ` + clientColumns + `
		), logged AS (
			INSERT INTO event (kind, target, audience, created_at, expires_at)
			SELECT 'client_changed', client_id, '{}', $34, $35 FROM saved
			WHERE revision > coalesce((SELECT revision FROM older), 1)
		)
		SELECT ` + clientColumns + ` FROM saved`
	same := []string{"expires_at", "fetched_at", "fresh_until", "disabled", "revision", "created_at", "updated_at"}
	expires := c.UpdatedAt.Add(storage.ChangeLifetime)
	var saved storage.Client
	err := s.do(ctx, "save client document", func(ctx context.Context) error {
		return scan(s.pool.QueryRow(ctx, sql, clientArgs(c, c.CreatedAt, c.UpdatedAt, expires, same)...), clientFields(&saved))
	}, expires)
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Client{}, storage.ErrExists // a client of another kind
	}
	if err != nil {
		return storage.Client{}, err
	}
	return saved, nil
}
