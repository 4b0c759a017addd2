package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const grantColumns = `grant_id, client_id, user_id, scopes, resource, audience, token_format, auth_time, methods, nonce,
	client_digest, device, refresh, generation, rotated_at, secret, created_at, last_used_at, expires_at,
	revoked_at, revoke_reason`

func scanGrant(row scanner) (g storage.Grant, err error) {
	err = row.Scan(&g.ID, &g.ClientID, &g.UserID, (*list)(&g.Scopes), &g.Resource, &g.Audience, &g.TokenFormat,
		(*instant)(&g.AuthTime), (*list)(&g.Methods), &g.Nonce, &g.ClientDigest, &g.Device,
		&g.Refresh, &g.Generation, (*instant)(&g.RotatedAt), (*digest)(&g.Secret), (*instant)(&g.CreatedAt),
		(*instant)(&g.LastUsedAt), (*instant)(&g.ExpiresAt), (*instant)(&g.RevokedAt), &g.RevokeReason)
	return g, err
}

// openGrant stores a new grant, which is used for the first time at its
// CreatedAt, with its first access token, and returns it as it is stored. Its
// client has been used now.
func openGrant(ctx context.Context, tx *sql.Tx, g storage.Grant, t storage.TokenToStore) (storage.Grant, error) {
	if g.Refresh {
		g.Generation = 1
	}
	now := instant(g.CreatedAt)
	err := insert(ctx, tx, "token_grant", grantColumns,
		g.ID, g.ClientID, g.UserID, list(g.Scopes), g.Resource, g.Audience, g.TokenFormat,
		instant(g.AuthTime), list(g.Methods), g.Nonce, orNull(g.ClientDigest), g.Device,
		g.Refresh, g.Generation, now, digest(g.Secret), now, now, instant(g.ExpiresAt), nil, "")
	if err != nil {
		return storage.Grant{}, err
	}
	if err := insertGrantToken(ctx, tx, g, g.Scopes, t); err != nil {
		return storage.Grant{}, err
	}
	if _, err := tx.ExecContext(ctx,
		`UPDATE client SET expires_at = NULL WHERE client_id = $1 AND expires_at IS NOT NULL`, g.ClientID); err != nil {
		return storage.Grant{}, err
	}
	return grantByID(ctx, tx, g.ID)
}

// insertGrantToken stores an access token of g for scopes, if it is opaque.
func insertGrantToken(ctx context.Context, tx *sql.Tx, g storage.Grant, scopes []string, t storage.TokenToStore) error {
	if g.TokenFormat != storage.FormatOpaque {
		return nil
	}
	return insert(ctx, tx, "access_token", tokenColumns, tokenValues(storage.AccessToken{
		Hash: t.Hash, ExpiresAt: t.ExpiresAt, ClientID: g.ClientID, Subject: g.UserID, GrantID: g.ID,
		Scopes: scopes, Audience: []string{g.Audience}, IssuedAt: t.IssuedAt,
	})...)
}

func grantByID(ctx context.Context, q querier, id string) (storage.Grant, error) {
	return scanGrant(q.QueryRowContext(ctx, `SELECT `+grantColumns+` FROM token_grant WHERE grant_id = $1`, id))
}

// Grant implements [storage.Grants].
func (s *Store) Grant(ctx context.Context, id string) (g storage.Grant, err error) {
	err = s.read(ctx, "read grant", func(db *sql.DB) error {
		g, err = grantByID(ctx, db, id)
		return err
	})
	return g, err
}

// ListGrants implements [storage.Grants].
func (s *Store) ListGrants(ctx context.Context, userID string, now time.Time) (grants []storage.Grant, err error) {
	err = s.read(ctx, "list grants", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `
			SELECT `+grantColumns+` FROM token_grant WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2
			ORDER BY last_used_at DESC, grant_id`, userID, instant(now))
		grants, err = collect(rows, err, scanGrant)
		return err
	})
	return grants, err
}

// revokeFamily revokes a grant because somebody reused what was spent, and says
// so; one that is revoked or gone already is left alone.
func revokeFamily(ctx context.Context, tx *sql.Tx, id, reason string, revoked storage.Event, now time.Time) error {
	revoked.Target = id
	return revokeWhere(ctx, tx, `revoked_at IS NULL`, id, reason, revoked, now)
}

// revokeWhere revokes a grant if condition holds for its row, and says so then.
func revokeWhere(ctx context.Context, tx *sql.Tx, condition, id, reason string, revoked storage.Event, now time.Time) error {
	result, err := tx.ExecContext(ctx,
		`UPDATE token_grant SET revoked_at = $2, revoke_reason = $3 WHERE grant_id = $1 AND (`+condition+`)`, //nolint:gosec // a text of ours
		id, instant(now), reason)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return appendEvent(ctx, tx, revoked)
}

// RevokeGrant implements [storage.Grants].
func (s *Store) RevokeGrant(ctx context.Context, id, userID, reason string, revoked storage.Event, now time.Time) error {
	err := s.change(ctx, "revoke grant", func(ctx context.Context, tx *sql.Tx) error {
		g, err := grantByID(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case userID != "" && g.UserID != userID:
			return storage.ErrNotFound
		}
		return revokeWhere(ctx, tx, `revoked_at IS NULL OR revoke_reason = 'user' AND $3 <> 'user'`, id, reason, revoked, now)
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}

// RevokeGrants implements [storage.Grants].
func (s *Store) RevokeGrants(ctx context.Context, revoked storage.Event, now time.Time) error {
	covered := map[storage.EventKind]string{
		storage.EventGrantRevoked: "grant_id = $1", storage.EventClientRevoked: "client_id = $1",
		storage.EventSubjectRevoked: "user_id = $1", storage.EventAllRevoked: "$1 = ''",
	}[revoked.Kind]
	err := s.change(ctx, "revoke grants", func(ctx context.Context, tx *sql.Tx) error {
		if covered != "" {
			//nolint:gosec // covered is one of the texts above
			_, err := tx.ExecContext(ctx, `
				UPDATE token_grant SET revoked_at = $2, revoke_reason = 'operator'
				WHERE `+covered+` AND (revoked_at IS NULL OR revoke_reason = 'user') AND created_at <= $3`,
				revoked.Target, instant(now), instant(revoked.IssuedBefore))
			if err != nil {
				return err
			}
			for _, waiting := range [...]string{"authorization_code WHERE ", "device_authorization WHERE approved AND "} {
				if _, err = tx.ExecContext(ctx, `DELETE FROM `+waiting+covered+` AND spent_at IS NULL`, revoked.Target); err != nil { //nolint:gosec // same
					return err
				}
			}
		}
		return appendEvent(ctx, tx, revoked)
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}

// RestoreGrant implements [storage.Grants].
func (s *Store) RestoreGrant(ctx context.Context, id, userID string, since time.Time) error {
	return s.change(ctx, "restore grant", func(ctx context.Context, tx *sql.Tx) error {
		return oneRow(storage.ErrNotFound)(tx.ExecContext(ctx, `
			UPDATE token_grant SET revoked_at = NULL, revoke_reason = ''
			WHERE grant_id = $1 AND user_id = $2 AND revoke_reason = 'user' AND revoked_at >= $3`,
			id, userID, instant(since)))
	})
}

// NarrowGrant implements [storage.Grants].
func (s *Store) NarrowGrant(ctx context.Context, id, userID string, scopes []string, revoked storage.Event, now time.Time) error {
	err := s.change(ctx, "narrow grant", func(ctx context.Context, tx *sql.Tx) error {
		g, err := grantByID(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case g.UserID != userID, !g.RevokedAt.IsZero(), !g.ExpiresAt.After(now):
			return storage.ErrNotFound
		case len(scopes) == 0 || !contains(g.Scopes, scopes):
			return storage.ErrScope
		}
		if _, err := tx.ExecContext(ctx, `UPDATE token_grant SET scopes = $2 WHERE grant_id = $1`, id, list(scopes)); err != nil {
			return err
		}
		return appendEvent(ctx, tx, revoked)
	})
	if err == nil {
		s.appended.ring()
	}
	return err
}

// contains says that every one of some is among all.
func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(one string) bool { return !slices.Contains(all, one) })
}
