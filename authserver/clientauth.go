package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const assertionTypeJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2

// credentials are what a request says about its client, by exactly one method.
type credentials struct {
	clientID  string
	secret    string // shared secret, or empty
	assertion string // private_key_jwt, or empty
}

// fositeClientAuthentication lets fosite's dispatcher use our client
// authentication; the form is the one parseParams has checked.
func (s *Server) fositeClientAuthentication(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, err := s.authenticateClient(ctx, r, params{form})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// authenticateClient finds and authenticates the client of a request
// (RFC 6749 §2.3, RFC 7523 §2.2). A public client is only identified. Every
// failure is the same invalid_client; what was wrong is in the log.
func (s *Server) authenticateClient(ctx context.Context, r *http.Request, p params) (*client, error) {
	given, err := readCredentials(r, p)
	if err != nil {
		return nil, err
	}
	if given.clientID == "" && given.assertion != "" {
		given.clientID = unverifiedSubject(given.assertion)
	}
	entry := entryFrom(ctx)
	c, err := s.clients.get(ctx, given.clientID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, invalidClient("unknown or disabled client").because(fmt.Errorf("unknown or disabled client: %w", err))
	}
	if err != nil {
		return nil, err
	}
	entry.clientID = c.ID
	return c, s.verifyCredentials(ctx, c, given, entry.start)
}

// authenticateConfidential is authenticateClient for endpoints that a public
// client has no business at.
func (s *Server) authenticateConfidential(ctx context.Context, r *http.Request, p params) (*client, error) {
	c, err := s.authenticateClient(ctx, r, p)
	if err == nil && c.IsPublic() {
		return nil, invalidClient("public client")
	}
	return c, err
}

func (s *Server) verifyCredentials(ctx context.Context, c *client, given credentials, now time.Time) error {
	switch {
	case c.AuthMethod == methodPrivateKeyJWT && given.assertion != "":
		return s.verifyAssertion(ctx, c, given.assertion, now)
	case c.sharedSecret() && given.secret != "":
		return verifySecret(c, given.secret, now)
	case c.IsPublic() && given.secret == "" && given.assertion == "":
		return nil
	}
	return invalidClient("credentials of another method than the registered " + c.AuthMethod)
}

// verifySecret compares hashes of 256-bit random secrets in constant time.
func verifySecret(c *client, secret string, now time.Time) error {
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], c.SecretHash) == 1 {
		return nil
	}
	if now.Before(c.PreviousSecretExpiresAt) && subtle.ConstantTimeCompare(hash[:], c.PreviousSecretHash) == 1 {
		return nil
	}
	return invalidClient("wrong secret")
}

// readCredentials collects the credentials of a request and refuses two
// methods at once (RFC 6749 §2.3); client_id beside a header or an assertion
// is fine as long as it agrees.
func readCredentials(r *http.Request, p params) (credentials, error) {
	body := credentials{clientID: p.get("client_id"), secret: p.get("client_secret")}
	assertion, assertionType := p.get("client_assertion"), p.get("client_assertion_type")
	authorization := r.Header.Values("Authorization")
	switch {
	case len(authorization) > 1:
		return credentials{}, invalidRequest("Send one Authorization header.")
	case (assertion != "") != (assertionType != ""):
		return credentials{}, invalidRequest("client_assertion and client_assertion_type go together.")
	case assertion != "" && (len(authorization) > 0 || body.secret != ""),
		len(authorization) > 0 && body.secret != "":
		return credentials{}, invalidRequest("Authenticate the client by one method only.")
	case assertion != "" && assertionType != assertionTypeJWT:
		return credentials{}, invalidClient("unknown client_assertion_type")
	case assertion != "":
		return credentials{clientID: body.clientID, assertion: assertion}, nil
	case len(authorization) == 0 && body.clientID == "":
		return credentials{}, invalidClient("no client credentials")
	case len(authorization) == 0:
		return body, nil
	}
	header, err := readBasic(authorization[0])
	if err != nil {
		return credentials{}, err
	}
	if body.clientID != "" && body.clientID != header.clientID {
		return credentials{}, invalidRequest("client_id differs from the Authorization header.")
	}
	return header, nil
}

// readBasic decodes HTTP Basic credentials, whose two parts are form encoded
// (RFC 6749 §2.3.1). Clients that forgot to encode are understood as long as
// what they sent has only one meaning.
func readBasic(authorization string) (credentials, error) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, invalidClient("Authorization scheme is not Basic")
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return credentials{}, invalidClient("Basic credentials are not base64")
	}
	id, secret, found := strings.Cut(string(decoded), ":")
	if !found {
		return credentials{}, invalidClient("Basic credentials have no colon")
	}
	return credentials{clientID: formDecoded(id), secret: formDecoded(secret)}, nil
}

func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}
