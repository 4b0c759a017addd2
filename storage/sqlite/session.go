package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const sessionColumns = `session_hash, user_id, methods, auth_time, created_at, last_seen_at, expires_at,
	user_agent, address`

func scanSession(row scanner) (s storage.Session, err error) {
	err = row.Scan((*digest)(&s.Hash), &s.UserID, (*list)(&s.Methods), (*instant)(&s.AuthTime),
		(*instant)(&s.CreatedAt), (*instant)(&s.LastSeenAt), (*instant)(&s.ExpiresAt), &s.UserAgent, &s.Address)
	return s, err
}

// SignIn implements [storage.Sessions].
func (s *Store) SignIn(ctx context.Context, signed storage.Session, replaced, interaction [32]byte) (i storage.Interaction, err error) {
	err = s.change(ctx, "sign in", func(ctx context.Context, tx *sql.Tx) error {
		if interaction != ([32]byte{}) {
			i, err = scanInteraction(tx.QueryRowContext(ctx, `
				UPDATE interaction SET user_id = $3, session_hash = $4
				WHERE interaction_hash = $1 AND expires_at > $2 RETURNING `+interactionColumns,
				digest(interaction), instant(signed.CreatedAt), signed.UserID, digest(signed.Hash)))
			if err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM session WHERE session_hash = $1`, digest(replaced)); err != nil {
			return err
		}
		return insert(ctx, tx, "session", sessionColumns,
			digest(signed.Hash), signed.UserID, list(signed.Methods), instant(signed.AuthTime),
			instant(signed.CreatedAt), instant(signed.LastSeenAt), instant(signed.ExpiresAt), signed.UserAgent, signed.Address)
	})
	if err != nil {
		return storage.Interaction{}, err
	}
	return i, nil
}

// Session implements [storage.Sessions].
func (s *Store) Session(ctx context.Context, hash [32]byte, now time.Time) (found storage.Session, u storage.User, err error) {
	err = s.view(ctx, "read session", func(tx *sql.Tx) error {
		found, u, err = session(ctx, tx, hash, now)
		return err
	})
	if err != nil {
		return storage.Session{}, storage.User{}, err
	}
	return found, u, nil
}

// session returns a session in force and its user, or [sql.ErrNoRows].
func session(ctx context.Context, q querier, hash [32]byte, now time.Time) (storage.Session, storage.User, error) {
	found, err := scanSession(q.QueryRowContext(ctx,
		`SELECT `+sessionColumns+` FROM session WHERE session_hash = $1 AND expires_at > $2`, digest(hash), instant(now)))
	if err != nil {
		return storage.Session{}, storage.User{}, err
	}
	u, err := activeUser(ctx, q, found.UserID)
	return found, u, err
}

// TouchSession implements [storage.Sessions]. A session that has expired stays so.
func (s *Store) TouchSession(ctx context.Context, hash [32]byte, expiresAt, now time.Time) error {
	return s.change(ctx, "touch session", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`UPDATE session SET last_seen_at = $3, expires_at = $2 WHERE session_hash = $1 AND expires_at > $3`,
			digest(hash), instant(expiresAt), instant(now))
		return err
	})
}

// Sessions implements [storage.Sessions].
func (s *Store) Sessions(ctx context.Context, userID string, now time.Time) (sessions []storage.Session, err error) {
	err = s.read(ctx, "read sessions", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `
			SELECT `+sessionColumns+` FROM session WHERE user_id = $1 AND expires_at > $2
			ORDER BY last_seen_at DESC, session_hash`, userID, instant(now))
		sessions, err = collect(rows, err, scanSession)
		return err
	})
	return sessions, err
}

// DeleteSession implements [storage.Sessions].
func (s *Store) DeleteSession(ctx context.Context, userID string, hash [32]byte) error {
	return s.change(ctx, "delete session", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM session WHERE session_hash = $1 AND user_id = $2`, digest(hash), userID)
		return err
	})
}

// DeleteSessions implements [storage.Sessions].
func (s *Store) DeleteSessions(ctx context.Context, userID string, kept [32]byte) error {
	query, args := `DELETE FROM session WHERE session_hash IS NOT $1`, []any{digest(kept)}
	if userID != "" { // a statement of its own, which an index serves
		query, args = query+` AND user_id = $2`, append(args, userID)
	}
	return s.change(ctx, "delete sessions", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}
