package postgres

import (
	"context"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// userColumns in the order of [userFields], of a table u.
const userColumns = `u.user_id, u.username, u.name, u.email, u.email_verified, u.password_hash,
	u.totp_secret, u.recovery_codes, u.disabled, u.revision, u.created_at, u.updated_at`

func userFields(u *storage.User) []any {
	return []any{
		(*text)(&u.ID), (*text)(&u.Username), (*text)(&u.Name), (*text)(&u.Email), (*flag)(&u.EmailVerified), (*text)(&u.PasswordHash),
		&u.TOTPSecret, (*hashes)(&u.RecoveryCodes), (*flag)(&u.Disabled), (*integer)(&u.Revision), (*instant)(&u.CreatedAt), (*instant)(&u.UpdatedAt),
	}
}

// CreateUser implements [storage.Users]. What is taken is refused by the keys
// of both tables, and then neither row is written.
func (s *Store) CreateUser(ctx context.Context, u storage.User, identity storage.Identity) error {
	const sql = `
		WITH created AS (
			INSERT INTO users (user_id, username, name, email, email_verified, password_hash,
				totp_secret, recovery_codes, disabled, revision, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11)
			RETURNING user_id
		)
		INSERT INTO user_identity (issuer, subject, user_id) SELECT $12, $13, user_id FROM created WHERE $14`
	return s.do(ctx, "create user", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, u.ID, u.Username, u.Name, u.Email, u.EmailVerified, u.PasswordHash,
			orNull(u.TOTPSecret), orEmpty(u.RecoveryCodes), u.Disabled, u.CreatedAt, u.UpdatedAt,
			identity.Issuer, identity.Subject, identity != storage.Identity{})
		return err
	})
}

// User implements [storage.Users].
func (s *Store) User(ctx context.Context, id string) (storage.User, error) {
	const sql = `SELECT ` + userColumns + ` FROM users u WHERE u.user_id = $1`
	return s.user(ctx, sql, id)
}

// UserByUsername implements [storage.Users].
func (s *Store) UserByUsername(ctx context.Context, username string) (storage.User, error) {
	const sql = `SELECT ` + userColumns + ` FROM users u WHERE u.username = $1`
	return s.user(ctx, sql, username)
}

// UserByIdentity implements [storage.Users].
func (s *Store) UserByIdentity(ctx context.Context, identity storage.Identity) (storage.User, error) {
	const sql = `SELECT ` + userColumns + ` FROM user_identity i JOIN users u ON u.user_id = i.user_id
		WHERE i.issuer = $1 AND i.subject = $2`
	return s.user(ctx, sql, identity.Issuer, identity.Subject)
}

func (s *Store) user(ctx context.Context, sql string, args ...any) (storage.User, error) {
	var u storage.User
	err := s.do(ctx, "look up user", func(ctx context.Context) error {
		return scan(s.pool.QueryRow(ctx, sql, args...), userFields(&u))
	})
	if err != nil {
		return storage.User{}, err
	}
	return u, nil
}

// ListUsers implements [storage.Users].
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]storage.User, error) {
	const sql = `SELECT ` + userColumns + ` FROM users u WHERE u.username > $1 ORDER BY u.username LIMIT $2`
	var users []storage.User
	err := s.do(ctx, "list users", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, after, max(limit, 0))
		users, err = collect(rows, err, userFields)
		return err
	})
	return users, err
}

// UpdateUser implements [storage.Users]; it answers like UpdateClient.
func (s *Store) UpdateUser(ctx context.Context, u storage.User, revoked *storage.Event, now time.Time) (storage.User, error) {
	const sql = `
		WITH updated AS (
			UPDATE users u SET (username, name, email, email_verified, password_hash,
				totp_secret, recovery_codes, disabled, revision, updated_at)
			= ($2, $3, $4, $5, $6, $7, $8, $9, u.revision + 1, $11)
			WHERE u.user_id = $1 AND u.revision = $10
			RETURNING ` + userColumns + `
		), logged AS (
			INSERT INTO event (kind, target, audience, issued_before, created_at, expires_at)
			SELECT $12, $13, $14, $15, $16, $17 FROM updated WHERE $18
		)
		SELECT ` + userColumns + `, true FROM updated u
		UNION ALL
		SELECT ` + userColumns + `, false FROM users u WHERE u.user_id = $1 AND NOT EXISTS (SELECT FROM updated)`
	var event storage.Event
	var expires []time.Time
	if revoked != nil {
		event, expires = *revoked, []time.Time{revoked.ExpiresAt}
	}
	args := append([]any{
		u.ID, u.Username, u.Name, u.Email, u.EmailVerified, u.PasswordHash,
		orNull(u.TOTPSecret), orEmpty(u.RecoveryCodes), u.Disabled, u.Revision, now,
	}, append(eventArgs(event), revoked != nil)...)
	var updated storage.User
	err := s.do(ctx, "update user", func(ctx context.Context) error {
		var won bool
		err := scan(s.pool.QueryRow(ctx, sql, args...), userFields(&updated), []any{&won})
		if err == nil && !won {
			return storage.ErrConflict
		}
		return err
	}, expires...)
	if err != nil {
		return storage.User{}, err
	}
	return updated, nil
}

// SpendRecoveryCode implements [storage.Users].
func (s *Store) SpendRecoveryCode(ctx context.Context, userID string, hash [32]byte, now time.Time) error {
	const sql = `
		UPDATE users SET recovery_codes = array_remove(recovery_codes, $2), revision = revision + 1, updated_at = $3
		WHERE user_id = $1 AND $2 = ANY (recovery_codes)`
	return s.do(ctx, "spend recovery code", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, userID, hash[:], now)
		return orElse(tag, err, storage.ErrSpent)
	})
}
