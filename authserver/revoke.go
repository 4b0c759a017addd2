package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// revokedByClient is the reason that a grant remembers.
const revokedByClient = "client"

// revoke is the revocation endpoint (RFC 7009). When it has answered 200, the
// revocation is durable, in force at this server and, as far as they are
// connected to it, at the resource servers. A token that is unknown, expired
// or revoked already gets the same 200 (§2.2). Revoking a refresh token ends
// its grant and with it every token of it (§2.1); the hint is not needed.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	c, token, err := s.aboutToken(r, entry, s.authenticateClient)
	if err != nil {
		return err
	}
	if presented, ok := s.parseRefreshToken(token); ok {
		err = s.revokeRefreshToken(r.Context(), c, presented, entry)
	} else {
		err = s.revokeAccessToken(r.Context(), c, token, entry)
	}
	if err != nil && !errors.Is(err, errInactive) {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) revokeAccessToken(ctx context.Context, c *client, token string, entry *logEntry) error {
	found, err := s.lookup(ctx, token, entry.start)
	if err != nil {
		return err
	}
	if found.clientID != c.ID {
		return errForeignToken
	}
	entry.jti, entry.subject, entry.grantID = found.id, found.subject, found.grantID
	err = s.log.append(ctx, storage.Event{
		Kind: storage.EventTokenRevoked, Target: found.id, Audience: found.audience,
		CreatedAt: entry.start, ExpiresAt: found.expiresAt.Add(MaxVerifierSkew),
	})
	if err != nil {
		return err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "token revoked", "request_id", entry.requestID, "client_id", c.ID, "jti", found.id)
	return nil
}

// revokeRefreshToken ends the grant of an authentic refresh token, also of one
// that was rotated away: its client wants to be disconnected. When the user has
// disconnected it just before, that cannot be undone any more.
func (s *Server) revokeRefreshToken(ctx context.Context, c *client, presented storage.Rotation, entry *logEntry) error {
	grant, err := s.cfg.Store.Grant(ctx, presented.GrantID)
	if errors.Is(err, storage.ErrNotFound) {
		return errInactive
	}
	if err != nil {
		return err
	}
	ended := !grant.RevokedAt.IsZero() && grant.RevokeReason != revokedByUser || !entry.start.Before(grant.ExpiresAt)
	// As the store judges a rotation, see [storage.Rotation].
	tag := sha256.Sum256(append(grant.Secret[:], presented.Inner[:]...))
	want := sha256.Sum256(tag[:])
	switch {
	case subtle.ConstantTimeCompare(want[:], presented.TagHash[:]) != 1, ended:
		return errInactive
	case grant.ClientID != c.ID:
		return errForeignToken
	}
	entry.subject, entry.grantID = grant.UserID, grant.ID
	event := grantRevocation(grant.ID, []string{grant.Audience}, entry.start)
	if err := s.cfg.Store.RevokeGrant(ctx, grant.ID, "", revokedByClient, event, entry.start); err != nil {
		return err
	}
	if err := s.log.follow(ctx, storage.EventGrantRevoked, grant.ID); err != nil {
		return err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "grant revoked", "request_id", entry.requestID, "client_id", c.ID, "grant", grant.ID)
	return nil
}

// errForeignToken refuses to touch the token of another client (RFC 7009 §2.1).
var errForeignToken = &oauthError{status: http.StatusBadRequest, code: codeInvalidRequest, description: "The token was issued to another client."}
