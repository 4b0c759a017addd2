package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const passkeyColumns = `credential_id, user_id, name, public_key, attestation_type, transports, flags, aaguid,
	sign_count, created_at, last_used_at`

func scanPasskey(row scanner) (p storage.Passkey, err error) {
	err = row.Scan(&p.ID, &p.UserID, &p.Name, &p.PublicKey, &p.AttestationType, (*list)(&p.Transports), &p.Flags, &p.AAGUID,
		&p.SignCount, (*instant)(&p.CreatedAt), (*instant)(&p.LastUsedAt))
	return p, err
}

// CreatePasskey implements [storage.Passkeys].
func (s *Store) CreatePasskey(ctx context.Context, p storage.Passkey) error {
	return s.change(ctx, "create passkey", func(ctx context.Context, tx *sql.Tx) error {
		var known int
		if err := tx.QueryRowContext(ctx, `SELECT 1 FROM users WHERE user_id = $1`, p.UserID).Scan(&known); err != nil {
			return err
		}
		return insert(ctx, tx, "passkey", passkeyColumns,
			p.ID, p.UserID, p.Name, p.PublicKey, p.AttestationType, list(p.Transports), p.Flags, orNull(p.AAGUID),
			p.SignCount, instant(p.CreatedAt), orNull(p.LastUsedAt))
	})
}

// Passkeys implements [storage.Passkeys].
func (s *Store) Passkeys(ctx context.Context, userID string) (passkeys []storage.Passkey, err error) {
	err = s.read(ctx, "read passkeys", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx,
			`SELECT `+passkeyColumns+` FROM passkey WHERE user_id = $1 ORDER BY created_at, credential_id`, userID)
		passkeys, err = collect(rows, err, scanPasskey)
		return err
	})
	return passkeys, err
}

// UsePasskey implements [storage.Passkeys].
func (s *Store) UsePasskey(ctx context.Context, id []byte, signCount uint32, flags uint8, now time.Time) error {
	return s.change(ctx, "use passkey", func(ctx context.Context, tx *sql.Tx) error {
		return oneRow(storage.ErrNotFound)(tx.ExecContext(ctx,
			`UPDATE passkey SET sign_count = $2, flags = $3, last_used_at = $4 WHERE credential_id = $1`,
			id, signCount, flags, instant(now)))
	})
}

// DeletePasskey implements [storage.Passkeys].
func (s *Store) DeletePasskey(ctx context.Context, userID string, id []byte) error {
	return s.change(ctx, "delete passkey", func(ctx context.Context, tx *sql.Tx) error {
		return oneRow(storage.ErrNotFound)(tx.ExecContext(ctx,
			`DELETE FROM passkey WHERE credential_id = $1 AND user_id = $2`, id, userID))
	})
}
