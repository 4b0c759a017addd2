package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	// maxAssertionLifetime bounds exp, and with it the memory of used jtis.
	maxAssertionLifetime = 5 * time.Minute
	// clockSkew is tolerated between a client's clock and ours.
	clockSkew = 30 * time.Second
	maxJTI    = 256
)

// assertionAlgs are the signature algorithms accepted of clients.
func assertionAlgs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}
}

// assertionClaims are the claims of RFC 7523 §3 that count.
type assertionClaims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	Audience  jwt.Audience     `json:"aud"`
	Expiry    *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	ID        string           `json:"jti"`
}

// unverifiedSubject returns the sub of an assertion, only to find the client
// whose keys must then verify it; empty when there is none.
func unverifiedSubject(assertion string) string {
	token, err := jwt.ParseSigned(assertion, assertionAlgs())
	if err != nil {
		return ""
	}
	var claims assertionClaims
	if token.UnsafeClaimsWithoutVerification(&claims) != nil {
		return ""
	}
	return claims.Subject
}

// verifyAssertion authenticates a client by private_key_jwt (RFC 7523 §2.2
// and §3). The jti is spent last, so that nobody can burn another's.
func (s *Server) verifyAssertion(ctx context.Context, c *client, assertion string, now time.Time) error {
	token, err := jwt.ParseSigned(assertion, assertionAlgs())
	if err != nil {
		return invalidClient("malformed assertion").because(err)
	}
	keys := c.keys
	if c.JWKSURI != "" {
		keys = s.clients.keySets.find(ctx, c.JWKSURI, token.Headers[0].KeyID, now)
	}
	payload, err := verifyWithAny(assertion, token.Headers[0], keys)
	if err != nil {
		return invalidClient("assertion").because(err)
	}
	var claims assertionClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return invalidClient("assertion").because(err)
	}
	if err := s.checkAssertion(c, claims, now); err != nil {
		return invalidClient("assertion").because(err)
	}
	spendUntil := claims.Expiry.Time().Add(clockSkew)
	err = s.cfg.Store.UseJTI(ctx, c.ID, claims.ID, spendUntil, now)
	if errors.Is(err, storage.ErrSpent) {
		return invalidClient("assertion used before")
	}
	return err
}

// verifyWithAny verifies a JWS with the key its kid names, or without kid with
// any key, whose type and alg fit.
func verifyWithAny(compact string, header jose.Header, keys []jose.JSONWebKey) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(compact, assertionAlgs())
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no registered key verifies the signature")
}

func (s *Server) checkAssertion(c *client, claims assertionClaims, now time.Time) error {
	switch {
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return errors.New("iss and sub must be the client_id")
	case len(claims.Audience) == 0 || slices.ContainsFunc(claims.Audience, s.foreignAudience):
		return errors.New("aud is missing or names somebody else than the issuer or its endpoints")
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time().Add(clockSkew)):
		return errors.New("expired, or without exp")
	case claims.Expiry.Time().After(now.Add(maxAssertionLifetime + clockSkew)):
		return errors.New("exp is too far away")
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(clockSkew)),
		claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(clockSkew)):
		return errors.New("not valid yet")
	case claims.ID == "" || len(claims.ID) > maxJTI || strings.Contains(claims.ID, "\x00"):
		return errors.New("jti is missing or too long")
	}
	return nil
}

// foreignAudience reports whether aud means somebody else: clients send the
// issuer, the token endpoint or that for pushed requests (RFC 7523 §3, RFC 9126
// §2), and all are unambiguous. One foreign name among ours spoils an
// assertion, since whoever bears it could replay it here.
func (s *Server) foreignAudience(aud string) bool {
	return aud != s.cfg.Issuer && aud != s.cfg.Issuer+pathToken && aud != s.cfg.Issuer+pathPush
}
