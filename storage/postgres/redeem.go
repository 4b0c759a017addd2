package postgres

import (
	"context"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// The statements of this file begin with a SELECT … FOR UPDATE that judges. A
// caller who had to wait for the row sees its newest version there: PostgreSQL
// evaluates conditions and results once more on it (READ COMMITTED). All that
// follows hangs on that verdict and on nothing the statement's snapshot shows,
// which may be older than the row.

// RedeemCode implements [storage.Grants].
func (s *Store) RedeemCode(ctx context.Context, r storage.Redemption) (storage.Grant, storage.User, error) {
	const sql = `
		WITH judged AS (
			SELECT g.grant_id, g.revoked_at, CASE WHEN g.created_at IS NULL THEN '' ELSE 'spent' END AS verdict
			FROM token_grant g JOIN users u ON u.user_id = g.user_id
			WHERE g.code_hash = @code_hash AND g.client_id = @client_id AND (g.created_at IS NOT NULL
				OR g.expires_at > @now AND @redirect_uri IN ('', g.redirect_uri) AND g.code_challenge = @code_challenge
				AND @resource IN ('', g.resource) AND NOT u.disabled)
			FOR UPDATE OF g
		), granted AS (
			UPDATE token_grant g SET generation = g.refresh::int, secret = @secret,
				created_at = @now, rotated_at = @now, last_used_at = @now, expires_at = @grant_expires_at
			FROM judged j WHERE g.grant_id = j.grant_id AND j.verdict = ''
			RETURNING ` + grantColumns + `, g.scopes AS token_scopes
		), kept AS (` + keepClient + `
		), stored AS (` + storeAccessToken + `
		), revoked AS (
			UPDATE token_grant g SET revoked_at = @now, revoke_reason = 'code_reuse'
			FROM judged j WHERE g.grant_id = j.grant_id AND j.verdict = 'spent' AND j.revoked_at IS NULL
			RETURNING g.grant_id
		), logged AS (` + logRevoked + `
		)
		SELECT j.verdict, ` + grantColumns + `, ` + userColumns + `
		FROM judged j LEFT JOIN (granted g JOIN users u ON u.user_id = g.user_id) ON true`
	args := pgx.StrictNamedArgs{
		"code_hash": r.CodeHash[:], "client_id": r.ClientID, "redirect_uri": r.RedirectURI,
		"code_challenge": r.CodeChallenge, "resource": r.Resource,
		"secret": r.Secret[:], "grant_expires_at": r.GrantExpiresAt, "now": r.Now,
	}
	maps.Copy(args, revokedArgs(r.Revoked))
	return s.grant(ctx, "redeem code", sql, r.AccessToken, args, r.Revoked.ExpiresAt)
}

// RotateRefreshToken implements [storage.Grants]. A token of an earlier
// generation is told so by a grant that ended for just that, too: of racers all
// but one lose alike.
func (s *Store) RotateRefreshToken(ctx context.Context, r storage.Rotation) (storage.Grant, storage.User, error) {
	const sql = `
		WITH judged AS (
			SELECT g.grant_id, g.revoked_at, CASE
				WHEN NOT @scopes::text[] <@ g.scopes THEN 'scope'
				WHEN @resource NOT IN ('', g.resource) THEN 'resource'
				WHEN g.revoked_at IS NULL AND (@generation = g.generation OR @generation = g.generation - 1
					AND @window > interval '0' AND @now <= g.rotated_at + @window::interval) THEN ''
				ELSE 'spent' END AS verdict
			FROM token_grant g JOIN users u ON u.user_id = g.user_id AND NOT u.disabled
			WHERE g.grant_id = @grant_id AND g.created_at IS NOT NULL AND g.expires_at > @now AND g.refresh
				AND (g.revoked_at IS NULL OR g.revoke_reason = 'refresh_reuse' AND @generation < g.generation)
				AND g.client_id = @client_id AND g.resource = ANY (@allowed)
				AND @generation::bigint BETWEEN 1 AND g.generation
				AND sha256(sha256(g.secret || @inner::bytea)) = @tag_hash
			FOR UPDATE OF g
		), granted AS (
			UPDATE token_grant g SET generation = @generation + 1,
				rotated_at = CASE WHEN g.generation = @generation THEN @now ELSE g.rotated_at END,
				last_used_at = @now, expires_at = @grant_expires_at
			FROM judged j WHERE g.grant_id = j.grant_id AND j.verdict = ''
			RETURNING ` + grantColumns + `, CASE WHEN @scopes = '{}' THEN g.scopes ELSE @scopes END AS token_scopes
		), stored AS (` + storeAccessToken + `
		), revoked AS (
			UPDATE token_grant g SET revoked_at = @now, revoke_reason = 'refresh_reuse'
			FROM judged j WHERE g.grant_id = j.grant_id AND j.verdict = 'spent' AND j.revoked_at IS NULL
			RETURNING g.grant_id
		), logged AS (` + logRevoked + `
		)
		SELECT j.verdict, ` + grantColumns + `, ` + userColumns + `
		FROM judged j LEFT JOIN (granted g JOIN users u ON u.user_id = g.user_id) ON true`
	args := pgx.StrictNamedArgs{
		"grant_id": r.GrantID, "generation": r.Generation, "inner": r.Inner[:], "tag_hash": r.TagHash[:], "client_id": r.ClientID,
		"scopes": orEmpty(r.Scopes), "resource": r.Resource, "allowed": orEmpty(r.Allowed),
		"window": r.Window, "grant_expires_at": r.GrantExpiresAt, "now": r.Now,
	}
	maps.Copy(args, revokedArgs(r.Revoked))
	return s.grant(ctx, "rotate refresh token", sql, r.AccessToken, args, r.Revoked.ExpiresAt)
}

// logRevoked appends an event for each grant of a CTE named revoked.
const logRevoked = `
			INSERT INTO event (kind, target, audience, issued_before, created_at, expires_at)
			SELECT @event_kind, grant_id, @event_audience, @event_issued_before, @event_created_at, @event_expires_at
			FROM revoked`

func revokedArgs(e storage.Event) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"event_kind": string(e.Kind), "event_audience": orEmpty(e.Audience), "event_issued_before": instant(e.IssuedBefore),
		"event_created_at": e.CreatedAt, "event_expires_at": e.ExpiresAt,
	}
}
