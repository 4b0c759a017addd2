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

const interactionColumns = `interaction_hash, browser_hash, client_id, redirect_uri, state, code_challenge,
	scopes, resource, audience, token_format, nonce, prompt, max_age, login_hint, user_code, user_id, session_hash,
	created_at, expires_at`

func scanInteraction(row scanner) (i storage.Interaction, err error) {
	err = row.Scan((*digest)(&i.Hash), (*digest)(&i.Browser), &i.ClientID, &i.RedirectURI, &i.State, &i.CodeChallenge,
		(*list)(&i.Scopes), &i.Resource, &i.Audience, &i.TokenFormat, &i.Nonce, (*list)(&i.Prompt), &i.MaxAge, &i.LoginHint,
		(*digest)(&i.UserCode), &i.UserID, (*digest)(&i.Session), (*instant)(&i.CreatedAt), (*instant)(&i.ExpiresAt))
	return i, err
}

// CreateInteraction implements [storage.Interactions].
func (s *Store) CreateInteraction(ctx context.Context, i storage.Interaction) error {
	return s.change(ctx, "create interaction", func(ctx context.Context, tx *sql.Tx) error {
		return insert(ctx, tx, "interaction", interactionColumns,
			digest(i.Hash), digest(i.Browser), i.ClientID, i.RedirectURI, i.State, i.CodeChallenge,
			list(i.Scopes), i.Resource, i.Audience, i.TokenFormat, i.Nonce, list(i.Prompt), i.MaxAge, i.LoginHint,
			digest(i.UserCode), i.UserID, digest(i.Session), instant(i.CreatedAt), instant(i.ExpiresAt))
	})
}

// Progress implements [storage.Interactions].
func (s *Store) Progress(ctx context.Context, hash, cookie [32]byte, now time.Time) (p storage.Progress, err error) {
	err = s.view(ctx, "read progress", func(tx *sql.Tx) error {
		p.Interaction, err = scanInteraction(tx.QueryRowContext(ctx,
			`SELECT `+interactionColumns+` FROM interaction WHERE interaction_hash = $1 AND expires_at > $2`,
			digest(hash), instant(now)))
		if err != nil {
			return err
		}
		found, u, err := session(ctx, tx, cookie, now)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		p.SignedIn, p.User = found, u
		p.Consented, p.ConsentedDigest, err = consented(ctx, tx, u.ID, p.Interaction, now)
		return err
	})
	if err != nil {
		return storage.Progress{}, err
	}
	return p, nil
}

// consented returns the digest that the newest of the user's grants in force to
// the client at the resource was given to, and what all of that digest allow.
func consented(ctx context.Context, q querier, userID string, i storage.Interaction, now time.Time) ([]string, []byte, error) {
	rows, err := q.QueryContext(ctx, `
		SELECT scopes, client_digest FROM token_grant
		WHERE user_id = $1 AND client_id = $2 AND resource = $3 AND revoked_at IS NULL AND expires_at > $4
		ORDER BY created_at DESC, grant_id`, userID, i.ClientID, i.Resource, instant(now))
	grants, err := collect(rows, err, func(row scanner) (g storage.Grant, err error) {
		err = row.Scan((*list)(&g.Scopes), &g.ClientDigest)
		return g, err
	})
	if err != nil || len(grants) == 0 {
		return nil, nil, err
	}
	var scopes []string
	for _, g := range grants {
		if bytes.Equal(g.ClientDigest, grants[0].ClientDigest) {
			scopes = append(scopes, g.Scopes...)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), grants[0].ClientDigest, nil
}

// endInteraction removes an interaction that has not expired at now;
// [storage.ErrSpent] when there is none (any more).
func endInteraction(ctx context.Context, tx *sql.Tx, hash [32]byte, now time.Time) error {
	return oneRow(storage.ErrSpent)(tx.ExecContext(ctx,
		`DELETE FROM interaction WHERE interaction_hash = $1 AND expires_at > $2`, digest(hash), instant(now)))
}

// IssueCode implements [storage.Interactions].
func (s *Store) IssueCode(ctx context.Context, c storage.Code, interaction [32]byte) error {
	return s.change(ctx, "issue code", func(ctx context.Context, tx *sql.Tx) error {
		if err := endInteraction(ctx, tx, interaction, c.CreatedAt); err != nil {
			return err
		}
		return insertCode(ctx, tx, c)
	})
}

// EndInteraction implements [storage.Interactions].
func (s *Store) EndInteraction(ctx context.Context, hash [32]byte) error {
	return s.change(ctx, "end interaction", func(ctx context.Context, tx *sql.Tx) error {
		return oneRow(storage.ErrSpent)(tx.ExecContext(ctx, `DELETE FROM interaction WHERE interaction_hash = $1`, digest(hash)))
	})
}

// PushRequest implements [storage.PushedRequests].
func (s *Store) PushRequest(ctx context.Context, p storage.PushedRequest) error {
	return s.change(ctx, "push request", func(ctx context.Context, tx *sql.Tx) error {
		return insert(ctx, tx, "pushed_request", `request_hash, client_id, params, expires_at`,
			digest(p.Hash), p.ClientID, p.Params, instant(p.ExpiresAt))
	})
}

// SpendPushedRequest implements [storage.PushedRequests].
func (s *Store) SpendPushedRequest(ctx context.Context, hash [32]byte, clientID string, now time.Time) (storage.PushedRequest, error) {
	p := storage.PushedRequest{Hash: hash, ClientID: clientID}
	err := s.change(ctx, "spend pushed request", func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `
			DELETE FROM pushed_request WHERE request_hash = $1 AND client_id = $2 AND expires_at > $3
			RETURNING params, expires_at`, digest(hash), clientID, instant(now),
		).Scan(&p.Params, (*instant)(&p.ExpiresAt))
	})
	if err != nil {
		return storage.PushedRequest{}, err
	}
	return p, nil
}
