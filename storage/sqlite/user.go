package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// userColumns are the columns that an update replaces, in the order of
// userValues.
const userColumns = `username, name, email, email_verified, password_hash, totp_secret, recovery_codes,
	disabled, updated_at`

func userValues(u storage.User) []any {
	return []any{
		u.Username, u.Name, u.Email, u.EmailVerified, u.PasswordHash, orNull(u.TOTPSecret), digests(u.RecoveryCodes),
		u.Disabled, instant(u.UpdatedAt),
	}
}

// userRow is what scanUser reads.
const userRow = `user_id, revision, created_at, ` + userColumns

func scanUser(row scanner) (u storage.User, err error) {
	err = row.Scan(&u.ID, &u.Revision, (*instant)(&u.CreatedAt),
		&u.Username, &u.Name, &u.Email, &u.EmailVerified, &u.PasswordHash, &u.TOTPSecret, (*digests)(&u.RecoveryCodes),
		&u.Disabled, (*instant)(&u.UpdatedAt))
	return u, err
}

// activeUser returns a user who is not disabled, or [sql.ErrNoRows].
func activeUser(ctx context.Context, q querier, id string) (storage.User, error) {
	return scanUser(q.QueryRowContext(ctx, `SELECT `+userRow+` FROM users WHERE user_id = $1 AND NOT disabled`, id))
}

// CreateUser implements [storage.Users].
func (s *Store) CreateUser(ctx context.Context, u storage.User, identity storage.Identity) error {
	return s.change(ctx, "create user", func(ctx context.Context, tx *sql.Tx) error {
		err := insert(ctx, tx, "users", userColumns+`, user_id, created_at, revision`,
			append(userValues(u), u.ID, instant(u.CreatedAt), 1)...)
		if err != nil || identity == (storage.Identity{}) {
			return err
		}
		return insert(ctx, tx, "user_identity", `issuer, subject, user_id`, identity.Issuer, identity.Subject, u.ID)
	})
}

// oneUser returns the user that condition, which follows WHERE, picks.
func (s *Store) oneUser(ctx context.Context, condition string, args ...any) (u storage.User, err error) {
	err = s.read(ctx, "read user", func(db *sql.DB) error {
		u, err = scanUser(db.QueryRowContext(ctx, `SELECT `+userRow+` FROM users WHERE `+condition, args...))
		return err
	})
	return u, err
}

// User implements [storage.Users].
func (s *Store) User(ctx context.Context, id string) (storage.User, error) {
	return s.oneUser(ctx, `user_id = $1`, id)
}

// UserByUsername implements [storage.Users].
func (s *Store) UserByUsername(ctx context.Context, username string) (storage.User, error) {
	return s.oneUser(ctx, `username = $1`, username)
}

// UserByIdentity implements [storage.Users].
func (s *Store) UserByIdentity(ctx context.Context, identity storage.Identity) (storage.User, error) {
	return s.oneUser(ctx, `user_id = (SELECT user_id FROM user_identity WHERE issuer = $1 AND subject = $2)`,
		identity.Issuer, identity.Subject)
}

// ListUsers implements [storage.Users].
func (s *Store) ListUsers(ctx context.Context, after string, limit int) (users []storage.User, err error) {
	err = s.read(ctx, "list users", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx,
			`SELECT `+userRow+` FROM users WHERE username > $1 ORDER BY username LIMIT $2`, after, max(limit, 0))
		users, err = collect(rows, err, scanUser)
		return err
	})
	return users, err
}

// UpdateUser implements [storage.Users].
func (s *Store) UpdateUser(ctx context.Context, u storage.User, revoked *storage.Event, now time.Time) (updated storage.User, err error) {
	u.UpdatedAt = now
	values := userValues(u)
	err = s.change(ctx, "update user", func(ctx context.Context, tx *sql.Tx) error {
		updated, err = scanUser(tx.QueryRowContext(ctx, `
			UPDATE users SET (`+userColumns+`, revision) = (`+marks(len(values))+`, revision + 1)
			WHERE user_id = ? AND revision = ? RETURNING `+userRow,
			append(values, u.ID, u.Revision)...))
		if errors.Is(err, sql.ErrNoRows) {
			return whyNotUpdated(ctx, tx, `SELECT EXISTS (SELECT 1 FROM users WHERE user_id = $1)`, u.ID)
		}
		if err != nil || revoked == nil {
			return err
		}
		return appendEvent(ctx, tx, *revoked)
	})
	if err != nil {
		return storage.User{}, err
	}
	if revoked != nil {
		s.appended.ring()
	}
	return updated, nil
}

// SpendRecoveryCode implements [storage.Users].
func (s *Store) SpendRecoveryCode(ctx context.Context, userID string, hash [32]byte, now time.Time) error {
	return s.change(ctx, "spend recovery code", func(ctx context.Context, tx *sql.Tx) error {
		var codes [][]byte
		err := tx.QueryRowContext(ctx, `SELECT recovery_codes FROM users WHERE user_id = $1`, userID).Scan((*digests)(&codes))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(codes), func(code []byte) bool { return bytes.Equal(code, hash[:]) })
		if len(left) == len(codes) {
			return storage.ErrSpent
		}
		_, err = tx.ExecContext(ctx,
			`UPDATE users SET recovery_codes = $2, revision = revision + 1, updated_at = $3 WHERE user_id = $1`,
			userID, digests(left), instant(now))
		return err
	})
}
