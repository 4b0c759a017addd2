package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// maxRegistration bounds the body of a registration, in bytes.
const maxRegistration = 16 << 10

// Error codes of RFC 7591 §3.2.2.
const (
	codeInvalidRedirectURI    = "invalid_redirect_uri"
	codeInvalidClientMetadata = "invalid_client_metadata"
)

// registrationRoutes are those of client registration (RFC 7591, RFC 7592).
func (s *Server) registrationRoutes() []route {
	const one = pathRegister + "/{client_id}"
	return []route{
		{http.MethodPost, pathRegister, "register", maxRegistration, true, false, s.register},
		{http.MethodGet, one, "registration", 0, true, false, s.readRegistration},
		{http.MethodPut, one, "registration", maxRegistration, true, false, s.updateRegistration},
		{http.MethodDelete, one, "registration", 0, true, false, s.deleteRegistration},
	}
}

// register is the client registration endpoint (RFC 7591 §3). Whoever asks may
// register a client, within a quota per address; an initial access token that
// the operator gave out lifts the quota and allows client_credentials.
func (s *Server) register(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	trusted, err := s.initialAccess(r)
	if err != nil {
		return err
	}
	asked, err := s.readMetadata(r)
	if err != nil {
		return err
	}
	record, err := s.newRegistration(asked, trusted, entry.start)
	if err != nil {
		return err
	}
	secrets := registrationSecrets{}
	if usesSecret(record.AuthMethod) {
		secrets.client, record.SecretHash = newSecret(prefixSecret)
	}
	if trusted || record.AuthMethod != methodNone {
		secrets.registration, record.RegistrationTokenHash = newSecret(prefixRegistration)
	} else {
		record.RedirectURIs = clientmetadata.AnyPort(record.RedirectURIs)
		record.Fingerprint = fingerprint(record)
	}
	if known := s.registeredLately(r.Context(), record.Fingerprint); known != nil {
		record = *known
	} else if record, err = s.enrol(r, record, trusted); err != nil {
		return err
	}
	entry.clientID = record.ID
	// The client hears its own redirect URIs back, ports and all: some compare.
	record.RedirectURIs = asked.RedirectURIs
	writeJSON(w, http.StatusCreated, s.registration(record, secrets))
	return nil
}

// enrol stores a client, unless its address has used up its quota.
func (s *Server) enrol(r *http.Request, record storage.Client, trusted bool) (storage.Client, error) {
	if !trusted {
		if wait := s.clients.quota.charge(remoteAddress(r), record.CreatedAt); wait > 0 {
			return record, tooMany(wait, "registration", "Too many clients were registered from this address. Try again later.")
		}
	}
	registered, err := s.cfg.Store.RegisterClient(r.Context(), record)
	if err != nil {
		return record, err
	}
	s.clients.quota.remember(registered)
	s.cfg.SecurityLog.InfoContext(r.Context(), "client registered", "request_id", entryFrom(r.Context()).requestID, "client_id", registered.ID,
		"again", registered.ID != record.ID, "client_name", registered.Name, "auth_method", registered.AuthMethod, "remote_addr", r.RemoteAddr)
	return registered, nil
}

// registeredLately returns the client with that fingerprint if it was stored
// from here a moment ago and still is, or nil.
func (s *Server) registeredLately(ctx context.Context, fingerprint []byte) *storage.Client {
	known, found := s.clients.quota.known.GetIfPresent(string(fingerprint))
	if !found || !known.younger(lately) {
		return nil
	}
	if _, err := s.clients.get(ctx, known.value.ID); err != nil {
		return nil
	}
	return &known.value
}

// initialAccess reports whether the request has an initial access token (RFC
// 7591 §3), and refuses a wrong one, a missing one where one is required, and
// everybody while registration is off.
func (s *Server) initialAccess(r *http.Request) (trusted bool, err error) {
	dynamic := s.cfg.Registration.Dynamic
	if !dynamic.Enabled {
		return false, &oauthError{
			status: http.StatusForbidden, code: codeAccessDenied,
			description: "Clients cannot register here by themselves. Ask the operator, or publish a client ID metadata document if the server's metadata offers it.",
		}
	}
	if r.Header.Values("Authorization") == nil && !dynamic.Required {
		return false, nil
	}
	given, err := s.bearerHash(r)
	if err != nil {
		return false, err
	}
	for _, known := range dynamic.InitialAccessTokens {
		if subtle.ConstantTimeCompare(given, known) == 1 {
			return true, nil
		}
	}
	return false, s.invalidToken(errors.New("not an initial access token"))
}

// bearerHash returns the SHA-256 of the bearer token of a request.
func (s *Server) bearerHash(r *http.Request) ([]byte, error) {
	token, err := s.readBearer(r)
	hash := sha256.Sum256([]byte(token))
	return hash[:], err
}

// readMetadata reads the body of a registration.
func (s *Server) readMetadata(r *http.Request) (clientmetadata.Metadata, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return clientmetadata.Metadata{}, invalidMetadata("Send the metadata as application/json.")
	}
	body, err := readBody(r)
	if err != nil {
		return clientmetadata.Metadata{}, err
	}
	asked, err := clientmetadata.Config{AllowLoopback: s.cfg.Registration.Documents.AllowLoopback}.Parse(body)
	return asked, metadataError(err)
}

// metadataError turns what the parser found, which repeats nothing of the
// input, into an answer.
func metadataError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, clientmetadata.ErrRedirectURI):
		return invalidRedirectURI("The client metadata is not acceptable: " + err.Error() + ".")
	}
	return invalidMetadata("The client metadata is not acceptable: " + err.Error() + ".")
}

func invalidRedirectURI(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: codeInvalidRedirectURI, description: description}
}

func invalidMetadata(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: codeInvalidClientMetadata, description: description}
}

// Prefixes by which secret scanners find what we hand out.
const (
	prefixSecret       = "ghs_"
	prefixRegistration = "ghm_"
)

// newSecret returns 256 random bits and the hash they are stored by.
func newSecret(prefix string) (secret string, hash []byte) {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails (crypto/rand)
	secret = prefix + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(secret))
	return secret, sum[:]
}

// registrationSecrets are what a client is told once.
type registrationSecrets struct{ client, registration string }

// registrationResponse is the client information response of RFC 7591 §3.2.1
// and RFC 7592 §3.
type registrationResponse struct {
	ClientID              string `json:"client_id"`
	ClientIDIssuedAt      int64  `json:"client_id_issued_at"`
	ClientSecret          string `json:"client_secret,omitempty"`
	ClientSecretExpiresAt *int64 `json:"client_secret_expires_at,omitempty"` // 0: never
	RegistrationToken     string `json:"registration_access_token,omitempty"`
	RegistrationURI       string `json:"registration_client_uri,omitempty"`
	clientMembers
}

func (s *Server) registration(c storage.Client, secrets registrationSecrets) registrationResponse {
	response := registrationResponse{
		ClientID: c.ID, ClientIDIssuedAt: c.CreatedAt.Unix(), ClientSecret: secrets.client,
		RegistrationToken: secrets.registration, clientMembers: membersOf(c),
	}
	if c.SecretHash != nil {
		response.ClientSecretExpiresAt = new(int64)
	}
	if c.RegistrationTokenHash != nil {
		response.RegistrationURI = s.cfg.Issuer + pathRegister + "/" + c.ID
	}
	return response
}
