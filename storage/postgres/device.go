package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// CreateDeviceAuthorization implements [storage.DeviceAuthorizations]. The
// insert waits for the deletion of those whose codes it may take over.
func (s *Store) CreateDeviceAuthorization(ctx context.Context, d storage.DeviceAuthorization) error {
	const sql = `
		WITH expired AS (
			DELETE FROM device_authorization WHERE (device_code = $1 OR user_code = $2) AND expires_at <= $11
			RETURNING device_code
		)
		INSERT INTO device_authorization (device_code, user_code, client_id, scopes, resource, audience, token_format,
			device, refresh, poll_interval, created_at, expires_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM (SELECT count(*) FROM expired) AS deleted`
	return s.do(ctx, "create device authorization", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, d.DeviceCode[:], d.UserCode[:], d.ClientID,
			orEmpty(d.Scopes), d.Resource, d.Audience, text(d.TokenFormat), d.Device, d.Refresh, d.Interval, d.CreatedAt, d.ExpiresAt)
		return err
	})
}

// DeviceAuthorization implements [storage.DeviceAuthorizations].
func (s *Store) DeviceAuthorization(ctx context.Context, userCode [32]byte, now time.Time) (storage.DeviceAuthorization, error) {
	const sql = `
		SELECT device_code, client_id, scopes, resource, audience, token_format, device, refresh,
			poll_interval, created_at, expires_at, approved IS NOT NULL
		FROM device_authorization WHERE user_code = $1 AND expires_at > $2`
	d := storage.DeviceAuthorization{UserCode: userCode}
	err := s.do(ctx, "look up device authorization", func(ctx context.Context) error {
		var decided bool
		err := s.pool.QueryRow(ctx, sql, userCode[:], now).Scan((*digest)(&d.DeviceCode), &d.ClientID,
			(*list)(&d.Scopes), &d.Resource, &d.Audience, (*text)(&d.TokenFormat), &d.Device, &d.Refresh,
			&d.Interval, &d.CreatedAt, &d.ExpiresAt, &decided)
		if err == nil && decided {
			return storage.ErrSpent
		}
		return err
	})
	if err != nil {
		return storage.DeviceAuthorization{}, err
	}
	return d, nil
}

// DecideDevice implements [storage.DeviceAuthorizations]. The interaction is
// locked first and goes only if the decision was taken.
func (s *Store) DecideDevice(ctx context.Context, d storage.DeviceDecision, interaction [32]byte, now time.Time) error {
	const sql = `
		WITH open AS (
			SELECT interaction_hash FROM interaction WHERE interaction_hash = $1 AND expires_at > $2 FOR UPDATE
		), decided AS (
			UPDATE device_authorization SET approved = $4, grant_id = $5, user_id = $6, granted_scopes = $7,
				auth_time = $8, methods = $9, client_digest = $10
			FROM open WHERE user_code = $3 AND approved IS NULL AND expires_at > $2
			RETURNING interaction_hash
		)
		DELETE FROM interaction i USING decided WHERE i.interaction_hash = decided.interaction_hash`
	return s.do(ctx, "decide device authorization", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, interaction[:], now, d.UserCode[:], d.Approved, text(d.GrantID), text(d.UserID),
			orEmpty(d.Scopes), instant(d.AuthTime), orEmpty(d.Methods), orNull(d.ClientDigest))
		return orElse(tag, err, storage.ErrSpent)
	})
}

// PollDevice implements [storage.DeviceAuthorizations]; it judges like
// RedeemCode.
func (s *Store) PollDevice(ctx context.Context, p storage.DevicePoll) (storage.Grant, storage.User, error) {
	const sql = `
		WITH judged AS (
			SELECT d.device_code, CASE
				WHEN d.spent_at IS NOT NULL THEN 'spent'
				WHEN d.expires_at <= @now THEN 'expired'
				WHEN d.approved THEN ''
				WHEN NOT d.approved THEN 'denied'
				WHEN @now < d.polled_at + d.poll_interval THEN 'slow_down'
				ELSE 'pending' END AS verdict
			FROM device_authorization d LEFT JOIN users u ON u.user_id = d.user_id
			WHERE d.device_code = @device_code AND d.client_id = @client_id AND (d.user_id IS NULL OR NOT u.disabled)
			FOR UPDATE OF d
		), polled AS (
			UPDATE device_authorization d SET polled_at = @now,
				poll_interval = CASE WHEN j.verdict = 'slow_down' THEN d.poll_interval + interval '5 s' ELSE d.poll_interval END,
				spent_at = CASE WHEN j.verdict = '' THEN @now END
			FROM judged j WHERE d.device_code = j.device_code AND j.verdict IN ('', 'slow_down', 'pending')
			RETURNING d.*
		), granted AS (
			INSERT INTO token_grant AS g (grant_id, client_id, user_id, scopes, resource, audience, token_format,
				auth_time, methods, nonce, client_digest, device, refresh, generation, secret,
				created_at, rotated_at, last_used_at, expires_at)
			SELECT grant_id, client_id, user_id, granted_scopes, resource, audience, token_format,
				auth_time, methods, '', client_digest, device, refresh, refresh::int, @secret,
				@now, @now, @now, @grant_expires_at
			FROM polled WHERE spent_at IS NOT NULL
			RETURNING ` + grantColumns + `, g.scopes AS token_scopes
		), kept AS (` + keepClient + `
		), stored AS (` + storeAccessToken + `
		)
		SELECT j.verdict, ` + grantColumns + `, ` + userColumns + `
		FROM judged j LEFT JOIN (granted g JOIN users u ON u.user_id = g.user_id) ON true`
	return s.grant(ctx, "poll device authorization", sql, p.AccessToken, pgx.StrictNamedArgs{
		"device_code": p.DeviceCode[:], "client_id": p.ClientID,
		"secret": p.Secret[:], "grant_expires_at": p.GrantExpiresAt, "now": p.Now,
	})
}
