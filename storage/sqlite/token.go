package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// tokenRow is an access token on its way into a shared transaction. It holds a
// copy: a caller whose context ends leaves while the row may yet be written.
type tokenRow struct {
	token storage.AccessToken
	taken bool // set by the write: hash and expiry exist already
}

// CreateAccessToken implements [storage.AccessTokens].
func (s *Store) CreateAccessToken(ctx context.Context, t storage.AccessToken) error {
	row := &tokenRow{token: t.Clone()}
	if err := share(ctx, s, "create access token", s.tokens, row); err != nil {
		return err
	}
	if row.taken {
		return storage.ErrExists
	}
	return nil
}

const tokenColumns = `token_hash, expires_at, client_id, subject, grant_id, scopes, audience, issued_at`

func tokenValues(t storage.AccessToken) []any {
	return []any{
		digest(t.Hash), instant(t.ExpiresAt), t.ClientID, t.Subject, t.GrantID,
		list(t.Scopes), list(t.Audience), instant(t.IssuedAt),
	}
}

// insertTokens writes a batch of tokens in one transaction.
func (s *Store) insertTokens(ctx context.Context, rows []*tokenRow) error {
	return s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx,
			`INSERT INTO access_token (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`)
		if err != nil {
			return err
		}
		defer func() { _ = insert.Close() }() // what counts is the commit
		for _, row := range rows {
			err := oneRow(storage.ErrExists)(insert.ExecContext(ctx, tokenValues(row.token)...))
			row.taken = errors.Is(err, storage.ErrExists)
			if err != nil && !row.taken {
				return err
			}
		}
		return nil
	})
}

// AccessToken implements [storage.AccessTokens].
func (s *Store) AccessToken(ctx context.Context, hash [32]byte, expiresAt time.Time) (storage.AccessToken, error) {
	t := storage.AccessToken{Hash: hash}
	err := s.read(ctx, "read access token", func(db *sql.DB) error {
		err := db.QueryRowContext(ctx, `
			SELECT expires_at, client_id, subject, grant_id, scopes, audience, issued_at
			FROM access_token WHERE token_hash = $1 AND expires_at = $2`,
			hash[:], instant(expiresAt),
		).Scan((*instant)(&t.ExpiresAt), &t.ClientID, &t.Subject, &t.GrantID,
			(*list)(&t.Scopes), (*list)(&t.Audience), (*instant)(&t.IssuedAt))
		if errors.Is(err, sql.ErrNoRows) {
			return storage.ErrNotFound
		}
		return err
	})
	if err != nil {
		return storage.AccessToken{}, err
	}
	return t, nil
}

// UseJTI implements [storage.Assertions]. One statement spends a jti that is
// new or has expired (RFC 7519 section 4.1.4: on its expiry it is).
func (s *Store) UseJTI(ctx context.Context, issuer, jti string, expiresAt, now time.Time) error {
	return s.change(ctx, "use jti", func(ctx context.Context, tx *sql.Tx) error {
		return oneRow(storage.ErrSpent)(tx.ExecContext(ctx, `
			INSERT INTO assertion_jti (issuer, jti, expires_at) VALUES ($1, $2, $3)
			ON CONFLICT (issuer, jti) DO UPDATE SET expires_at = excluded.expires_at
				WHERE assertion_jti.expires_at <= $4`,
			issuer, jti, instant(expiresAt), instant(now)))
	})
}
