package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	// grantColumns in the order of [grantFields], of a table g.
	grantColumns = `g.grant_id, g.client_id, g.user_id, g.scopes, g.resource, g.audience, g.token_format,
	g.auth_time, g.methods, g.nonce, g.client_digest, g.device,
	g.refresh, g.generation, g.rotated_at, g.secret,
	g.created_at, g.last_used_at, g.expires_at, g.revoked_at, g.revoke_reason`

	// inForce says that a grant g is no code (any more) and not revoked.
	inForce = `g.created_at IS NOT NULL AND g.revoked_at IS NULL`
)

func grantFields(g *storage.Grant) []any {
	return []any{
		(*text)(&g.ID), (*text)(&g.ClientID), (*text)(&g.UserID), (*list)(&g.Scopes), (*text)(&g.Resource), (*text)(&g.Audience), (*text)(&g.TokenFormat),
		(*instant)(&g.AuthTime), (*list)(&g.Methods), (*text)(&g.Nonce), &g.ClientDigest, (*text)(&g.Device),
		(*flag)(&g.Refresh), (*integer)(&g.Generation), (*instant)(&g.RotatedAt), (*digest)(&g.Secret),
		(*instant)(&g.CreatedAt), (*instant)(&g.LastUsedAt), (*instant)(&g.ExpiresAt), (*instant)(&g.RevokedAt), (*text)(&g.RevokeReason),
	}
}

// Grant implements [storage.Grants].
func (s *Store) Grant(ctx context.Context, id string) (storage.Grant, error) {
	const sql = `SELECT ` + grantColumns + ` FROM token_grant g WHERE g.grant_id = $1 AND g.created_at IS NOT NULL`
	var g storage.Grant
	err := s.do(ctx, "look up grant", func(ctx context.Context) error {
		return scan(s.pool.QueryRow(ctx, sql, id), grantFields(&g))
	})
	if err != nil {
		return storage.Grant{}, err
	}
	return g, nil
}

// ListGrants implements [storage.Grants].
func (s *Store) ListGrants(ctx context.Context, userID string, now time.Time) ([]storage.Grant, error) {
	const sql = `SELECT ` + grantColumns + ` FROM token_grant g
		WHERE g.user_id = $1 AND ` + inForce + ` AND g.expires_at > $2
		ORDER BY g.last_used_at DESC, g.grant_id`
	var grants []storage.Grant
	err := s.do(ctx, "list grants", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, userID, now)
		grants, err = collect(rows, err, grantFields)
		return err
	})
	return grants, err
}

// RevokeGrant implements [storage.Grants].
func (s *Store) RevokeGrant(ctx context.Context, id, userID, reason string, revoked storage.Event, now time.Time) error {
	const sql = `
		WITH found AS (
			SELECT g.grant_id, g.revoked_at IS NULL OR g.revoke_reason = 'user' AND $3 <> 'user' AS revocable
			FROM token_grant g WHERE g.grant_id = $1 AND $2 IN ('', g.user_id) AND g.created_at IS NOT NULL
			FOR UPDATE
		), revoked AS (
			UPDATE token_grant g SET revoked_at = $4, revoke_reason = $3
			FROM found WHERE g.grant_id = found.grant_id AND found.revocable
			RETURNING g.grant_id
		), logged AS (
			INSERT INTO event (kind, target, audience, issued_before, created_at, expires_at)
			SELECT $5, $6, $7, $8, $9, $10 FROM revoked
		)
		SELECT FROM found`
	return s.do(ctx, "revoke grant", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, append([]any{id, userID, reason, now}, eventArgs(revoked)...)...)
		return orElse(tag, err, storage.ErrNotFound)
	}, revoked.ExpiresAt)
}

// RevokeGrants implements [storage.Grants]. Codes are grants that were not made
// yet. What devices were allowed goes first: a device that collects it at this
// moment is waited for, so that the second statement sees its grant.
func (s *Store) RevokeGrants(ctx context.Context, revoked storage.Event, now time.Time) error {
	column, broad := map[storage.EventKind]string{
		storage.EventGrantRevoked: "grant_id", storage.EventClientRevoked: "client_id",
		storage.EventSubjectRevoked: "user_id", storage.EventAllRevoked: "''", // as is the target
	}[revoked.Kind]
	if !broad {
		column = "NULL"
	}
	devices := `
		DELETE FROM device_authorization
		WHERE ` + column + ` = $1 AND approved AND spent_at IS NULL`
	grants := `
		WITH revoked AS (
			UPDATE token_grant SET
				revoked_at    = CASE WHEN created_at IS NOT NULL THEN $7::timestamptz END,
				revoke_reason = CASE WHEN created_at IS NOT NULL THEN 'operator' END,
				expires_at    = CASE WHEN created_at IS NOT NULL THEN expires_at ELSE least(expires_at, $7) END
			WHERE ` + column + ` = $2 AND (revoked_at IS NULL OR revoke_reason = 'user') AND (created_at IS NULL OR created_at <= $4)
		)
		INSERT INTO event (kind, target, audience, issued_before, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`
	return s.do(ctx, "revoke grants", func(ctx context.Context) error {
		both := &pgx.Batch{} // one transaction
		both.Queue(devices, revoked.Target)
		both.Queue(grants, append(eventArgs(revoked), now)...)
		return s.pool.SendBatch(ctx, both).Close()
	}, revoked.ExpiresAt)
}

// RestoreGrant implements [storage.Grants].
func (s *Store) RestoreGrant(ctx context.Context, id, userID string, since time.Time) error {
	const sql = `
		UPDATE token_grant SET revoked_at = NULL, revoke_reason = NULL
		WHERE grant_id = $1 AND user_id = $2 AND revoke_reason = 'user' AND revoked_at >= $3`
	return s.do(ctx, "restore grant", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, id, userID, since)
		return orElse(tag, err, storage.ErrNotFound)
	})
}

// NarrowGrant implements [storage.Grants].
func (s *Store) NarrowGrant(ctx context.Context, id, userID string, scopes []string, revoked storage.Event, now time.Time) error {
	const sql = `
		WITH found AS (
			SELECT g.grant_id, $3::text[] <> '{}' AND $3::text[] <@ g.scopes AS granted FROM token_grant g
			WHERE g.grant_id = $1 AND g.user_id = $2 AND ` + inForce + ` AND g.expires_at > $4
			FOR UPDATE
		), narrowed AS (
			UPDATE token_grant g SET scopes = $3 FROM found WHERE g.grant_id = found.grant_id AND found.granted
			RETURNING g.grant_id
		), logged AS (
			INSERT INTO event (kind, target, audience, issued_before, created_at, expires_at)
			SELECT $5, $6, $7, $8, $9, $10 FROM narrowed
		)
		SELECT granted FROM found`
	return s.do(ctx, "narrow grant", func(ctx context.Context) error {
		var granted bool
		args := append([]any{id, userID, orEmpty(scopes), now}, eventArgs(revoked)...)
		err := s.pool.QueryRow(ctx, sql, args...).Scan(&granted)
		if err == nil && !granted {
			return storage.ErrScope
		}
		return err
	}, revoked.ExpiresAt)
}

// What the steps that hand out tokens have in common: a CTE named granted with
// the grant and the scopes of the access token, if that was decided.
const (
	storeAccessToken = `
		INSERT INTO access_token (token_hash, expires_at, client_id, subject, grant_id, scopes, audience, issued_at)
		SELECT @token_hash, @token_expires_at, client_id, user_id, grant_id, token_scopes, ARRAY[audience], @token_issued_at
		FROM granted WHERE token_format = 'opaque'`

	keepClient = `
		UPDATE client SET expires_at = NULL FROM granted
		WHERE client.client_id = granted.client_id AND client.expires_at IS NOT NULL`
)

// grant runs a step that hands out a grant. Its statement answers with the
// verdict and, if that is empty, the grant and its user; with no row when there
// is nothing to judge. Named arguments are those of t and of args.
func (s *Store) grant(ctx context.Context, step, sql string, t storage.TokenToStore, args pgx.StrictNamedArgs, expires ...time.Time) (storage.Grant, storage.User, error) {
	args["token_hash"], args["token_issued_at"], args["token_expires_at"] = t.Hash[:], t.IssuedAt, t.ExpiresAt
	var g storage.Grant
	var u storage.User
	err := s.do(ctx, step, func(ctx context.Context) error {
		var verdict string
		err := scan(s.pool.QueryRow(ctx, sql, args), []any{&verdict}, grantFields(&g), userFields(&u))
		if err != nil {
			return err
		}
		return refusal(verdict)
	}, append(expires, t.ExpiresAt)...)
	if err != nil {
		return storage.Grant{}, storage.User{}, err
	}
	return g, u, nil
}

// refusal is the error that a statement's verdict stands for.
func refusal(verdict string) error {
	switch verdict {
	case "":
		return nil
	case "spent":
		return storage.ErrSpent
	case "scope":
		return storage.ErrScope
	case "resource":
		return storage.ErrResource
	case "pending":
		return storage.ErrPending
	case "slow_down":
		return storage.ErrSlowDown
	case "denied":
		return storage.ErrDenied
	case "expired":
		return storage.ErrExpired
	default:
		return errors.New("unknown verdict " + verdict)
	}
}
