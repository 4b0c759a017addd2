package postgres

import (
	"context"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// passkeyColumns in the order of [passkeyFields], and of the parameters of
// CreatePasskey.
const passkeyColumns = `credential_id, user_id, name, public_key, attestation_type, transports,
	flags, aaguid, sign_count, created_at, last_used_at`

func passkeyFields(p *storage.Passkey) []any {
	return []any{
		&p.ID, &p.UserID, &p.Name, &p.PublicKey, &p.AttestationType, (*list)(&p.Transports),
		&p.Flags, &p.AAGUID, &p.SignCount, &p.CreatedAt, (*instant)(&p.LastUsedAt),
	}
}

// CreatePasskey implements [storage.Passkeys].
func (s *Store) CreatePasskey(ctx context.Context, p storage.Passkey) error {
	const sql = `
		INSERT INTO passkey (` + passkeyColumns + `)
		SELECT $1, u.user_id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM users u WHERE u.user_id = $2`
	return s.do(ctx, "create passkey", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, orEmpty(p.ID), p.UserID, p.Name, orEmpty(p.PublicKey), p.AttestationType,
			orEmpty(p.Transports), int16(p.Flags), orNull(p.AAGUID), int64(p.SignCount), p.CreatedAt, instant(p.LastUsedAt))
		return orElse(tag, err, storage.ErrNotFound)
	})
}

// Passkeys implements [storage.Passkeys].
func (s *Store) Passkeys(ctx context.Context, userID string) ([]storage.Passkey, error) {
	const sql = `SELECT ` + passkeyColumns + ` FROM passkey WHERE user_id = $1 ORDER BY created_at, credential_id`
	var passkeys []storage.Passkey
	err := s.do(ctx, "list passkeys", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, userID)
		passkeys, err = collect(rows, err, passkeyFields)
		return err
	})
	return passkeys, err
}

// UsePasskey implements [storage.Passkeys].
func (s *Store) UsePasskey(ctx context.Context, id []byte, signCount uint32, flags uint8, now time.Time) error {
	const sql = `UPDATE passkey SET sign_count = $2, flags = $3, last_used_at = $4 WHERE credential_id = $1`
	return s.do(ctx, "use passkey", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, orEmpty(id), int64(signCount), int16(flags), now)
		return orElse(tag, err, storage.ErrNotFound)
	})
}

// DeletePasskey implements [storage.Passkeys].
func (s *Store) DeletePasskey(ctx context.Context, userID string, id []byte) error {
	const sql = `DELETE FROM passkey WHERE credential_id = $1 AND user_id = $2`
	return s.do(ctx, "delete passkey", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, orEmpty(id), userID)
		return orElse(tag, err, storage.ErrNotFound)
	})
}
