package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// sessionColumns in the order of [sessionFields], of a table s.
const sessionColumns = `s.session_hash, s.user_id, s.methods, s.auth_time,
	s.created_at, s.last_seen_at, s.expires_at, s.user_agent, s.address`

func sessionFields(s *storage.Session) []any {
	return []any{
		(*digest)(&s.Hash), (*text)(&s.UserID), (*list)(&s.Methods), (*instant)(&s.AuthTime),
		(*instant)(&s.CreatedAt), (*instant)(&s.LastSeenAt), (*instant)(&s.ExpiresAt), (*text)(&s.UserAgent), (*text)(&s.Address),
	}
}

// SignIn implements [storage.Sessions]. What it stores hangs on the interaction
// it found, or on there being none to find.
func (s *Store) SignIn(ctx context.Context, n storage.Session, replaced, interaction [32]byte) (storage.Interaction, error) {
	const sql = `
		WITH i AS (
			UPDATE interaction i SET user_id = $2, session_hash = $1
			WHERE i.interaction_hash = $11 AND i.expires_at > $5
			RETURNING ` + interactionColumns + `
		), found AS (
			SELECT FROM i UNION ALL SELECT WHERE $11::bytea IS NULL
		), gone AS (
			DELETE FROM session USING found WHERE session_hash = $10
		), created AS (
			INSERT INTO session (session_hash, user_id, methods, auth_time, created_at, last_seen_at, expires_at, user_agent, address)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM found
		)
		SELECT ` + interactionColumns + ` FROM i`
	args := []any{
		n.Hash[:], n.UserID, orEmpty(n.Methods), n.AuthTime, n.CreatedAt, n.LastSeenAt, n.ExpiresAt, n.UserAgent, n.Address,
		hashOrNull(replaced), hashOrNull(interaction),
	}
	var i storage.Interaction
	err := s.do(ctx, "sign in", func(ctx context.Context) error {
		err := scan(s.pool.QueryRow(ctx, sql, args...), interactionFields(&i))
		if errors.Is(err, pgx.ErrNoRows) && interaction == [32]byte{} {
			return nil
		}
		return err
	})
	if err != nil {
		return storage.Interaction{}, err
	}
	return i, nil
}

// Session implements [storage.Sessions].
func (s *Store) Session(ctx context.Context, hash [32]byte, now time.Time) (storage.Session, storage.User, error) {
	const sql = `SELECT ` + sessionColumns + `, ` + userColumns + `
		FROM session s JOIN users u ON u.user_id = s.user_id AND NOT u.disabled
		WHERE s.session_hash = $1 AND s.expires_at > $2`
	var session storage.Session
	var u storage.User
	err := s.do(ctx, "look up session", func(ctx context.Context) error {
		return scan(s.pool.QueryRow(ctx, sql, hash[:], now), sessionFields(&session), userFields(&u))
	})
	if err != nil {
		return storage.Session{}, storage.User{}, err
	}
	return session, u, nil
}

// TouchSession implements [storage.Sessions]. One that has expired stays so.
func (s *Store) TouchSession(ctx context.Context, hash [32]byte, expiresAt, now time.Time) error {
	const sql = `UPDATE session SET last_seen_at = $3, expires_at = $2 WHERE session_hash = $1 AND expires_at > $3`
	return s.do(ctx, "touch session", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, hash[:], expiresAt, now)
		return err
	})
}

// Sessions implements [storage.Sessions].
func (s *Store) Sessions(ctx context.Context, userID string, now time.Time) ([]storage.Session, error) {
	const sql = `SELECT ` + sessionColumns + ` FROM session s WHERE s.user_id = $1 AND s.expires_at > $2
		ORDER BY s.last_seen_at DESC, s.session_hash`
	var sessions []storage.Session
	err := s.do(ctx, "list sessions", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, userID, now)
		sessions, err = collect(rows, err, sessionFields)
		return err
	})
	return sessions, err
}

// DeleteSession implements [storage.Sessions].
func (s *Store) DeleteSession(ctx context.Context, userID string, hash [32]byte) error {
	const sql = `DELETE FROM session WHERE session_hash = $1 AND user_id = $2`
	return s.do(ctx, "delete session", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, hash[:], userID)
		return err
	})
}

// DeleteSessions implements [storage.Sessions].
func (s *Store) DeleteSessions(ctx context.Context, userID string, kept [32]byte) error {
	sql, args := `DELETE FROM session WHERE session_hash <> $1`, []any{kept[:]}
	if userID != "" { // a statement of its own, which an index serves
		sql, args = sql+` AND user_id = $2`, append(args, userID)
	}
	return s.do(ctx, "delete sessions", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, args...)
		return err
	})
}
