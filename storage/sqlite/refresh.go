package sqlite

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// RotateRefreshToken implements [storage.Grants].
func (s *Store) RotateRefreshToken(ctx context.Context, r storage.Rotation) (g storage.Grant, u storage.User, err error) {
	r.Now = r.Now.Truncate(time.Microsecond) // as stored times are
	var reused bool
	err = s.change(ctx, "rotate refresh token", func(ctx context.Context, tx *sql.Tx) error {
		if g, err = grantByID(ctx, tx, r.GrantID); err != nil {
			return err
		}
		if u, err = activeUser(ctx, tx, g.UserID); err != nil {
			return err
		}
		err := judge(g, r)
		if reused = errors.Is(err, storage.ErrSpent); reused {
			return revokeFamily(ctx, tx, g.ID, refreshReuse, r.Revoked, r.Now)
		}
		if err != nil {
			return err
		}
		g, err = rotate(ctx, tx, g, r)
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

// refreshReuse is why a grant ends whose refresh token came again.
const refreshReuse = "refresh_reuse"

// judge says what is wrong with r. A token that comes again is told so by a
// grant that ended for just that, too: of racers all but one lose alike.
func judge(g storage.Grant, r storage.Rotation) error {
	reused := !current(g, r)
	switch {
	case !authentic(g, r), !g.Refresh, g.ClientID != r.ClientID, !g.ExpiresAt.After(r.Now),
		r.Generation < 1, r.Generation > g.Generation, !slices.Contains(r.Allowed, g.Resource):
		return storage.ErrNotFound
	case !g.RevokedAt.IsZero() && !(reused && g.RevokeReason == refreshReuse):
		return storage.ErrNotFound
	case !contains(g.Scopes, r.Scopes):
		return storage.ErrScope
	case r.Resource != "" && r.Resource != g.Resource:
		return storage.ErrResource
	case reused:
		return storage.ErrSpent
	}
	return nil
}

// authentic says that the tag was made with the key of the server and with the
// secret of the grant, see [storage.Rotation].
func authentic(g storage.Grant, r storage.Rotation) bool {
	tag := sha256.Sum256(append(g.Secret[:], r.Inner[:]...))
	tagHash := sha256.Sum256(tag[:])
	return subtle.ConstantTimeCompare(tagHash[:], r.TagHash[:]) == 1
}

// current says that the presented token is the current one or, within the
// window, the one before.
func current(g storage.Grant, r storage.Rotation) bool {
	switch r.Generation {
	case g.Generation:
		return true
	case g.Generation - 1:
		return r.Window > 0 && !r.Now.After(g.RotatedAt.Add(r.Window))
	}
	return false
}

// rotate makes the successor of the presented token the current one, unless it
// is already, and stores the access token.
func rotate(ctx context.Context, tx *sql.Tx, g storage.Grant, r storage.Rotation) (storage.Grant, error) {
	if r.Generation == g.Generation {
		g.Generation, g.RotatedAt = g.Generation+1, r.Now
	}
	g, err := scanGrant(tx.QueryRowContext(ctx, `
		UPDATE token_grant SET generation = $2, rotated_at = $3, last_used_at = $4, expires_at = $5
		WHERE grant_id = $1 RETURNING `+grantColumns,
		g.ID, g.Generation, instant(g.RotatedAt), instant(r.Now), instant(r.GrantExpiresAt)))
	if err != nil {
		return storage.Grant{}, err
	}
	scopes := r.Scopes
	if len(scopes) == 0 {
		scopes = g.Scopes
	}
	return g, insertGrantToken(ctx, tx, g, scopes, r.AccessToken)
}
