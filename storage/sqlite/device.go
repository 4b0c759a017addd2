package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// slowDown is how much longer a device that polls too often has to wait each
// time (RFC 8628 section 3.5).
const slowDown = 5 * time.Second

const deviceColumns = `device_code, user_code, client_id, scopes, resource, audience, token_format, device, refresh,
	poll_interval, created_at, expires_at`

// deviceState is a device's request with what has become of it.
type deviceState struct {
	asked    storage.DeviceAuthorization
	polledAt time.Time
	decided  bool
	decision storage.DeviceDecision // its UserCode is not set
	spent    bool
}

func scanDevice(row scanner) (d deviceState, err error) {
	asked, decision := &d.asked, &d.decision
	err = row.Scan((*digest)(&asked.DeviceCode), (*digest)(&asked.UserCode), &asked.ClientID, (*list)(&asked.Scopes),
		&asked.Resource, &asked.Audience, &asked.TokenFormat, &asked.Device, &asked.Refresh,
		&asked.Interval, (*instant)(&asked.CreatedAt), (*instant)(&asked.ExpiresAt),
		(*instant)(&d.polledAt), &d.decided, &decision.Approved, &decision.GrantID, &decision.UserID, (*list)(&decision.Scopes),
		(*instant)(&decision.AuthTime), (*list)(&decision.Methods), &decision.ClientDigest, &d.spent)
	return d, err
}

// deviceBy returns the request whose column, one of the two codes, is code, or
// [sql.ErrNoRows].
func deviceBy(ctx context.Context, q querier, column string, code [32]byte) (deviceState, error) {
	return scanDevice(q.QueryRowContext(ctx, `SELECT `+deviceColumns+`,
		polled_at, approved IS NOT NULL, coalesce(approved, 0), grant_id, user_id, granted_scopes,
		auth_time, methods, client_digest, spent_at IS NOT NULL
		FROM device_authorization WHERE `+column+` = $1`, digest(code)))
}

// CreateDeviceAuthorization implements [storage.DeviceAuthorizations].
func (s *Store) CreateDeviceAuthorization(ctx context.Context, d storage.DeviceAuthorization) error {
	return s.change(ctx, "create device authorization", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx,
			`DELETE FROM device_authorization WHERE (device_code = $1 OR user_code = $2) AND expires_at <= $3`,
			digest(d.DeviceCode), digest(d.UserCode), instant(d.CreatedAt)); err != nil {
			return err
		}
		return insert(ctx, tx, "device_authorization", deviceColumns,
			digest(d.DeviceCode), digest(d.UserCode), d.ClientID, list(d.Scopes), d.Resource, d.Audience, d.TokenFormat,
			d.Device, d.Refresh, d.Interval, instant(d.CreatedAt), instant(d.ExpiresAt))
	})
}

// DeviceAuthorization implements [storage.DeviceAuthorizations].
func (s *Store) DeviceAuthorization(ctx context.Context, userCode [32]byte, now time.Time) (storage.DeviceAuthorization, error) {
	var d deviceState
	err := s.read(ctx, "read device authorization", func(db *sql.DB) (err error) {
		d, err = deviceBy(ctx, db, "user_code", userCode)
		return err
	})
	switch {
	case err != nil:
		return storage.DeviceAuthorization{}, err
	case !d.asked.ExpiresAt.After(now):
		return storage.DeviceAuthorization{}, storage.ErrNotFound
	case d.decided:
		return storage.DeviceAuthorization{}, storage.ErrSpent
	}
	return d.asked, nil
}

// DecideDevice implements [storage.DeviceAuthorizations].
func (s *Store) DecideDevice(ctx context.Context, d storage.DeviceDecision, interaction [32]byte, now time.Time) error {
	return s.change(ctx, "decide device", func(ctx context.Context, tx *sql.Tx) error {
		if err := endInteraction(ctx, tx, interaction, now); err != nil {
			return err
		}
		return oneRow(storage.ErrSpent)(tx.ExecContext(ctx, `
			UPDATE device_authorization SET approved = $3, grant_id = $4, user_id = $5, granted_scopes = $6,
				auth_time = $7, methods = $8, client_digest = $9
			WHERE user_code = $1 AND expires_at > $2 AND approved IS NULL`,
			digest(d.UserCode), instant(now), d.Approved, d.GrantID, d.UserID, list(d.Scopes),
			orNull(d.AuthTime), list(d.Methods), orNull(d.ClientDigest)))
	})
}

// PollDevice implements [storage.DeviceAuthorizations]. Only a request that is
// still pending can be polled too often (RFC 8628 section 3.5).
func (s *Store) PollDevice(ctx context.Context, p storage.DevicePoll) (g storage.Grant, u storage.User, err error) {
	var answer error // of a poll that is recorded
	err = s.change(ctx, "poll device", func(ctx context.Context, tx *sql.Tx) error {
		d, err := deviceBy(ctx, tx, "device_code", p.DeviceCode)
		if err != nil {
			return err
		}
		if d.asked.ClientID != p.ClientID {
			return storage.ErrNotFound
		}
		if d.decision.Approved {
			if u, err = activeUser(ctx, tx, d.decision.UserID); err != nil {
				return err
			}
		}
		switch {
		case d.spent:
			return storage.ErrSpent
		case !d.asked.ExpiresAt.After(p.Now):
			return storage.ErrExpired
		case !d.decided:
			answer, err = recordPoll(ctx, tx, d, p.Now)
		case d.decision.Approved:
			g, err = spendDevice(ctx, tx, d, p)
		default:
			return storage.ErrDenied
		}
		return err
	})
	if err == nil {
		err = answer
	}
	if err != nil {
		return storage.Grant{}, storage.User{}, err
	}
	return g, u, nil
}

// recordPoll remembers a poll of a pending request and returns its answer.
func recordPoll(ctx context.Context, tx *sql.Tx, d deviceState, now time.Time) (answer, err error) {
	interval := d.asked.Interval
	answer = storage.ErrPending
	if !d.polledAt.IsZero() && now.Before(d.polledAt.Add(interval)) {
		interval += slowDown
		answer = storage.ErrSlowDown
	}
	_, err = tx.ExecContext(ctx,
		`UPDATE device_authorization SET polled_at = $2, poll_interval = $3 WHERE device_code = $1`,
		digest(d.asked.DeviceCode), instant(now), interval)
	return answer, err
}

// spendDevice hands an approved request out as a grant.
func spendDevice(ctx context.Context, tx *sql.Tx, d deviceState, p storage.DevicePoll) (storage.Grant, error) {
	if _, err := tx.ExecContext(ctx,
		`UPDATE device_authorization SET spent_at = $2 WHERE device_code = $1`, digest(p.DeviceCode), instant(p.Now)); err != nil {
		return storage.Grant{}, err
	}
	return openGrant(ctx, tx, storage.Grant{
		ID: d.decision.GrantID, ClientID: d.asked.ClientID, UserID: d.decision.UserID,
		Scopes: d.decision.Scopes, Resource: d.asked.Resource, Audience: d.asked.Audience, TokenFormat: d.asked.TokenFormat,
		AuthTime: d.decision.AuthTime, Methods: d.decision.Methods, ClientDigest: d.decision.ClientDigest,
		Device: d.asked.Device, Refresh: d.asked.Refresh,
		Secret: p.Secret, CreatedAt: p.Now, ExpiresAt: p.GrantExpiresAt,
	}, p.AccessToken)
}
