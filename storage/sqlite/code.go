package sqlite

import (
	"context"
	"crypto/subtle"
	"database/sql"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const codeColumns = `code_hash, grant_id, client_id, user_id, redirect_uri, code_challenge, scopes, resource, audience,
	token_format, auth_time, methods, nonce, client_digest, device, refresh, created_at, expires_at`

func insertCode(ctx context.Context, tx *sql.Tx, c storage.Code) error {
	return insert(ctx, tx, "authorization_code", codeColumns,
		digest(c.Hash), c.GrantID, c.ClientID, c.UserID, c.RedirectURI, c.CodeChallenge, list(c.Scopes), c.Resource, c.Audience,
		c.TokenFormat, instant(c.AuthTime), list(c.Methods), c.Nonce, orNull(c.ClientDigest), c.Device, c.Refresh,
		instant(c.CreatedAt), instant(c.ExpiresAt))
}

// codeOf returns the client's code and whether it is spent, or [sql.ErrNoRows].
func codeOf(ctx context.Context, tx *sql.Tx, hash [32]byte, clientID string) (c storage.Code, spent bool, err error) {
	err = tx.QueryRowContext(ctx,
		`SELECT `+codeColumns+`, spent_at IS NOT NULL FROM authorization_code WHERE code_hash = $1 AND client_id = $2`,
		digest(hash), clientID,
	).Scan((*digest)(&c.Hash), &c.GrantID, &c.ClientID, &c.UserID, &c.RedirectURI, &c.CodeChallenge, (*list)(&c.Scopes), &c.Resource, &c.Audience,
		&c.TokenFormat, (*instant)(&c.AuthTime), (*list)(&c.Methods), &c.Nonce, &c.ClientDigest, &c.Device, &c.Refresh,
		(*instant)(&c.CreatedAt), (*instant)(&c.ExpiresAt), &spent)
	return c, spent, err
}

// RedeemCode implements [storage.Grants].
func (s *Store) RedeemCode(ctx context.Context, r storage.Redemption) (g storage.Grant, u storage.User, err error) {
	var reused bool
	err = s.change(ctx, "redeem code", func(ctx context.Context, tx *sql.Tx) error {
		var c storage.Code
		if c, reused, err = codeOf(ctx, tx, r.CodeHash, r.ClientID); err != nil {
			return err
		}
		if reused {
			return revokeFamily(ctx, tx, c.GrantID, "code_reuse", r.Revoked, r.Now)
		}
		if !matches(c, r) {
			return storage.ErrNotFound
		}
		if u, err = activeUser(ctx, tx, c.UserID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx,
			`UPDATE authorization_code SET spent_at = $2 WHERE code_hash = $1`, digest(c.Hash), instant(r.Now)); err != nil {
			return err
		}
		g, err = openGrant(ctx, tx, storage.Grant{
			ID: c.GrantID, ClientID: c.ClientID, UserID: c.UserID,
			Scopes: c.Scopes, Resource: c.Resource, Audience: c.Audience, TokenFormat: c.TokenFormat,
			AuthTime: c.AuthTime, Methods: c.Methods, Nonce: c.Nonce, ClientDigest: c.ClientDigest, Device: c.Device,
			Refresh: c.Refresh, Secret: r.Secret, CreatedAt: r.Now, ExpiresAt: r.GrantExpiresAt,
		}, r.AccessToken)
		return err
	})
	if err == nil && reused {
		s.appended.ring()
		err = storage.ErrSpent
	}
	if err != nil {
		return storage.Grant{}, storage.User{}, err
	}
	return g, u, nil
}

// matches says that r presents a code which has not expired in the way it was
// asked for (RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 8707 section 2.2).
func matches(c storage.Code, r storage.Redemption) bool {
	return c.ExpiresAt.After(r.Now) &&
		(r.RedirectURI == "" || r.RedirectURI == c.RedirectURI) &&
		subtle.ConstantTimeCompare([]byte(r.CodeChallenge), []byte(c.CodeChallenge)) == 1 &&
		(r.Resource == "" || r.Resource == c.Resource)
}
