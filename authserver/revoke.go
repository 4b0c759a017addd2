package authserver

import (
	"errors"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// revoke is the revocation endpoint (RFC 7009). When it has answered 200, the
// revocation is durable, in force at this server and, as far as they are
// connected to it, at the resource servers. A token that is unknown, expired
// or revoked already gets the same 200 (§2.2).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	c, token, err := s.aboutToken(r, entry, s.authenticateClient)
	if err != nil {
		return err
	}
	found, err := s.lookup(r.Context(), token, entry.start)
	switch {
	case errors.Is(err, errInactive):
		w.WriteHeader(http.StatusOK)
		return nil
	case err != nil:
		return err
	case found.clientID != c.ID:
		return invalidRequest("The token was issued to another client.")
	}
	entry.jti, entry.subject, entry.grantID = found.id, found.subject, found.grantID
	err = s.log.append(r.Context(), storage.Event{
		Kind: storage.EventTokenRevoked, Target: found.id, Audience: found.audience,
		CreatedAt: entry.start, ExpiresAt: found.expiresAt.Add(MaxVerifierSkew),
	})
	if err != nil {
		return err
	}
	s.metrics.revoked(storage.EventTokenRevoked)
	s.cfg.SecurityLog.InfoContext(r.Context(), "token revoked", "request_id", entry.requestID, "client_id", c.ID, "jti", found.id)
	w.WriteHeader(http.StatusOK)
	return nil
}
