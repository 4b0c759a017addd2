package authserver

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// registered returns the client of a configuration request, authenticated by
// its registration access token (RFC 7592 §2). A client that is unknown,
// disabled or has no such token is answered like a wrong token.
func (s *Server) registered(r *http.Request, entry *logEntry) (storage.Client, error) {
	given, err := s.bearerHash(r)
	if err != nil {
		return storage.Client{}, err
	}
	id := mux.Vars(r)["client_id"]
	if len(id) > maxClientID || !clean(id) {
		return storage.Client{}, s.invalidToken(errors.New("no client_id"))
	}
	record, err := s.cfg.Store.Client(r.Context(), id)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return storage.Client{}, err
	}
	if err != nil || record.Disabled || subtle.ConstantTimeCompare(given, record.RegistrationTokenHash) != 1 {
		return storage.Client{}, s.invalidToken(errors.New("not the registration access token of a client"))
	}
	entry.clientID = record.ID
	return record, nil
}

// readRegistration is the read request of RFC 7592 §2.1. Secrets were told
// once; only their hashes are here.
func (s *Server) readRegistration(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	record, err := s.registered(r, entry)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.registration(record, registrationSecrets{}))
	return nil
}

// updateRegistration is the update request of RFC 7592 §2.2: what it leaves out
// is deleted, except how the client authenticates, so that none becomes public
// by an omission. The registration access token stays; a secret is new only
// where there was none.
func (s *Server) updateRegistration(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	record, err := s.registered(r, entry)
	if err != nil {
		return err
	}
	asked, err := s.readMetadata(r)
	if err != nil {
		return err
	}
	switch {
	case asked.ClientID != record.ID:
		return invalidMetadata("client_id must be that of the client.")
	case asked.ClientSecret != "" && verifySecret(&client{Client: record}, asked.ClientSecret, entry.start) != nil:
		return invalidMetadata("A client cannot choose its client_secret.")
	case asked.AuthMethod == "":
		asked.AuthMethod = record.AuthMethod
	}
	if asked.AuthMethod == methodPrivateKeyJWT && asked.JWKS == nil && asked.JWKSURI == "" {
		asked.JWKS, asked.JWKSURI = record.JWKS, record.JWKSURI
	}
	// Whoever may act for itself had the operator's token when it registered.
	changed, err := s.registrable(asked, actsForItself(record))
	if err != nil {
		return err
	}
	secrets := registrationSecrets{}
	changed = keptOf(record, changed)
	switch {
	case !usesSecret(changed.AuthMethod):
		changed.SecretHash, changed.PreviousSecretHash, changed.PreviousSecretExpiresAt = nil, nil, time.Time{}
	case changed.SecretHash == nil:
		secrets.client, changed.SecretHash = newSecret(prefixSecret)
	}
	changed, err = s.cfg.Store.UpdateClient(r.Context(), changed, entry.start)
	switch {
	case errors.Is(err, storage.ErrConflict):
		return &oauthError{status: http.StatusConflict, code: codeInvalidRequest, description: "The client was changed by another request at the same time. Read it and try again."}
	case errors.Is(err, storage.ErrNotFound):
		return s.invalidToken(err)
	case err != nil:
		return err
	}
	s.clients.forget(changed.ID)
	s.cfg.SecurityLog.InfoContext(r.Context(), "client changed its registration", "request_id", entry.requestID, "client_id", changed.ID, "remote_addr", r.RemoteAddr)
	writeJSON(w, http.StatusOK, s.registration(changed, secrets))
	return nil
}

// keptOf returns changed with everything that a client does not decide for
// itself as it is in the record. Scopes that it is limited to stay a limit.
func keptOf(record, changed storage.Client) storage.Client {
	if limit := scopes.Of(record.Scopes...); len(limit) > 0 {
		if changed.Scopes = limit.Intersect(scopes.Of(changed.Scopes...)); len(changed.Scopes) == 0 {
			changed.Scopes = limit
		}
	}
	changed.ID, changed.Revision, changed.Registration = record.ID, record.Revision, record.Registration
	changed.SecretHash = record.SecretHash
	changed.PreviousSecretHash, changed.PreviousSecretExpiresAt = record.PreviousSecretHash, record.PreviousSecretExpiresAt
	changed.RegistrationTokenHash, changed.ExpiresAt = record.RegistrationTokenHash, record.ExpiresAt
	changed.Resources, changed.DefaultResource, changed.TokenFormat = record.Resources, record.DefaultResource, record.TokenFormat
	changed.Introspect, changed.AccessTokenLifetime = record.Introspect, record.AccessTokenLifetime
	changed.CreatedAt = record.CreatedAt
	return changed
}

// deleteRegistration is the delete request of RFC 7592 §2.3. Every token of the
// client is revoked by the same step, those too that another server issues
// before it has heard of it.
func (s *Server) deleteRegistration(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	record, err := s.registered(r, entry)
	if err != nil {
		return err
	}
	err = s.cfg.Store.DeleteClient(r.Context(), record.ID, storage.Event{
		Kind: storage.EventClientRevoked, Target: record.ID, IssuedBefore: entry.start.Add(MaxStaleness),
		CreatedAt: entry.start, ExpiresAt: entry.start.Add(MaxStaleness + MaxAccessTokenLifetime + MaxVerifierSkew),
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return s.invalidToken(err)
	case err != nil:
		return err
	}
	s.clients.forget(record.ID)
	s.cfg.SecurityLog.InfoContext(r.Context(), "client deleted its registration", "request_id", entry.requestID, "client_id", record.ID, "remote_addr", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
