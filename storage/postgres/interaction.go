package postgres

import (
	"context"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// interactionColumns in the order of [interactionFields], of a table i.
const interactionColumns = `i.interaction_hash, i.browser_hash, i.client_id, i.redirect_uri, i.state, i.code_challenge,
	i.scopes, i.resource, i.audience, i.token_format, i.nonce, i.prompt, coalesce(i.max_age, interval '-1 s') AS max_age, i.login_hint,
	i.user_code, i.user_id, i.session_hash, i.created_at, i.expires_at`

func interactionFields(i *storage.Interaction) []any {
	return []any{
		(*digest)(&i.Hash), (*digest)(&i.Browser), &i.ClientID, &i.RedirectURI, &i.State, &i.CodeChallenge,
		(*list)(&i.Scopes), &i.Resource, &i.Audience, (*text)(&i.TokenFormat), &i.Nonce, (*list)(&i.Prompt), &i.MaxAge, &i.LoginHint,
		(*digest)(&i.UserCode), (*text)(&i.UserID), (*digest)(&i.Session), &i.CreatedAt, &i.ExpiresAt,
	}
}

// CreateInteraction implements [storage.Interactions].
func (s *Store) CreateInteraction(ctx context.Context, i storage.Interaction) error {
	const sql = `
		INSERT INTO interaction (interaction_hash, browser_hash, client_id, redirect_uri, state, code_challenge,
			scopes, resource, audience, token_format, nonce, prompt, max_age, login_hint,
			user_code, user_id, session_hash, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`
	var maxAge *time.Duration
	if i.MaxAge >= 0 {
		maxAge = &i.MaxAge
	}
	return s.do(ctx, "create interaction", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, i.Hash[:], i.Browser[:], i.ClientID, i.RedirectURI, i.State, i.CodeChallenge,
			orEmpty(i.Scopes), i.Resource, i.Audience, text(i.TokenFormat), i.Nonce, orEmpty(i.Prompt), maxAge, i.LoginHint,
			hashOrNull(i.UserCode), text(i.UserID), hashOrNull(i.Session), i.CreatedAt, i.ExpiresAt)
		return err
	})
}

// Progress implements [storage.Interactions].
func (s *Store) Progress(ctx context.Context, hash, session [32]byte, now time.Time) (storage.Progress, error) {
	const (
		living = `FROM token_grant g WHERE g.user_id = u.user_id AND g.client_id = i.client_id AND g.resource = i.resource
			AND ` + inForce + ` AND g.expires_at > $3`
		sql = `
		SELECT ` + interactionColumns + `, ` + sessionColumns + `, ` + userColumns + `,
			ARRAY(SELECT DISTINCT unnest(g.scopes) COLLATE "C" ` + living + `
				AND g.client_digest IS NOT DISTINCT FROM newest.client_digest ORDER BY 1),
			newest.client_digest
		FROM interaction i
		LEFT JOIN (session s JOIN users u ON u.user_id = s.user_id AND NOT u.disabled)
			ON s.session_hash = $2 AND s.expires_at > $3
		LEFT JOIN LATERAL (SELECT g.client_digest ` + living + ` ORDER BY g.created_at DESC, g.grant_id LIMIT 1) AS newest ON true
		WHERE i.interaction_hash = $1 AND i.expires_at > $3`
	)
	var p storage.Progress
	err := s.do(ctx, "look up interaction", func(ctx context.Context) error {
		return scan(s.pool.QueryRow(ctx, sql, hash[:], hashOrNull(session), now),
			interactionFields(&p.Interaction), sessionFields(&p.SignedIn), userFields(&p.User),
			[]any{(*list)(&p.Consented), &p.ConsentedDigest})
	})
	if err != nil {
		return storage.Progress{}, err
	}
	return p, nil
}

// IssueCode implements [storage.Interactions]. The code is a grant that is not
// in force yet.
func (s *Store) IssueCode(ctx context.Context, c storage.Code, interaction [32]byte) error {
	const sql = `
		WITH ended AS (
			DELETE FROM interaction WHERE interaction_hash = $1 AND expires_at > $2 RETURNING interaction_hash
		)
		INSERT INTO token_grant (code_hash, grant_id, client_id, user_id, redirect_uri, code_challenge,
			scopes, resource, audience, token_format, auth_time, methods, nonce, client_digest, device, refresh, expires_at)
		SELECT $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19 FROM ended`
	return s.do(ctx, "issue code", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, interaction[:], c.CreatedAt,
			c.Hash[:], c.GrantID, c.ClientID, c.UserID, c.RedirectURI, c.CodeChallenge,
			orEmpty(c.Scopes), c.Resource, c.Audience, text(c.TokenFormat), instant(c.AuthTime), orEmpty(c.Methods), c.Nonce,
			orNull(c.ClientDigest), c.Device, c.Refresh, c.ExpiresAt)
		return orElse(tag, err, storage.ErrSpent)
	})
}

// EndInteraction implements [storage.Interactions].
func (s *Store) EndInteraction(ctx context.Context, hash [32]byte) error {
	const sql = `DELETE FROM interaction WHERE interaction_hash = $1`
	return s.do(ctx, "end interaction", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, hash[:])
		return orElse(tag, err, storage.ErrSpent)
	})
}

// PushRequest implements [storage.PushedRequests].
func (s *Store) PushRequest(ctx context.Context, p storage.PushedRequest) error {
	const sql = `INSERT INTO pushed_request (request_hash, client_id, params, expires_at) VALUES ($1, $2, $3, $4)`
	return s.do(ctx, "push request", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, p.Hash[:], p.ClientID, p.Params, p.ExpiresAt)
		return err
	})
}

// SpendPushedRequest implements [storage.PushedRequests].
func (s *Store) SpendPushedRequest(ctx context.Context, hash [32]byte, clientID string, now time.Time) (storage.PushedRequest, error) {
	const sql = `DELETE FROM pushed_request WHERE request_hash = $1 AND client_id = $2 AND expires_at > $3 RETURNING params, expires_at`
	p := storage.PushedRequest{Hash: hash, ClientID: clientID}
	err := s.do(ctx, "spend pushed request", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, sql, hash[:], clientID, now).Scan(&p.Params, &p.ExpiresAt)
	})
	if err != nil {
		return storage.PushedRequest{}, err
	}
	return p, nil
}
