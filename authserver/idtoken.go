package authserver

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/keys"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Scopes of OpenID Connect Core §5.4 that mean something here.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
)

// typeIDToken keeps ID tokens apart from access tokens, which are at+jwt.
const typeIDToken = "JWT"

// maxIDTokenLifetime bounds an ID token, which is read once, on arrival.
const maxIDTokenLifetime = time.Hour

// idClaims are the claims of an ID token (OpenID Connect Core §2).
type idClaims struct {
	Issuer          string   `json:"iss"`
	Subject         string   `json:"sub"`
	Audience        string   `json:"aud"`
	Expiry          int64    `json:"exp"`
	IssuedAt        int64    `json:"iat"`
	AuthTime        int64    `json:"auth_time"`
	Nonce           string   `json:"nonce,omitempty"`
	Methods         []string `json:"amr,omitempty"` // RFC 8176
	AccessTokenHash string   `json:"at_hash"`
	personClaims
}

// personClaims are what scopes tell about a user (OpenID Connect Core §5.1 and
// §5.4).
type personClaims struct {
	Name              string `json:"name,omitempty"`
	PreferredUsername string `json:"preferred_username,omitempty"`
	Email             string `json:"email,omitempty"`
	EmailVerified     *bool  `json:"email_verified,omitempty"`
}

// aboutPerson returns the claims about u that the granted scopes allow.
func aboutPerson(u storage.User, granted scopes.Set) personClaims {
	var claims personClaims
	if granted.Has(scopeProfile) {
		claims.Name, claims.PreferredUsername = u.Name, u.Username
	}
	if granted.Has(scopeEmail) && u.Email != "" {
		claims.Email, claims.EmailVerified = u.Email, &u.EmailVerified
	}
	return claims
}

// idToken returns the ID token (OpenID Connect Core §2) that goes with
// accessToken to c. withNonce says that it answers an authorization request,
// whose nonce it repeats; after a refresh it has none (§12.2).
func (s *Server) idToken(c *client, g storage.Grant, u storage.User, accessToken string, withNonce bool, now time.Time) (string, error) {
	issuedAt := now.Truncate(time.Second)
	claims := idClaims{
		Issuer: s.cfg.Issuer, Subject: u.ID, Audience: c.ID,
		Expiry: issuedAt.Add(min(s.cfg.Tokens.AccessTokenLifetime, maxIDTokenLifetime)).Unix(), IssuedAt: issuedAt.Unix(),
		AuthTime: g.AuthTime.Unix(), Methods: g.Methods, personClaims: aboutPerson(u, scopes.Of(g.Scopes...)),
	}
	if withNonce {
		claims.Nonce = g.Nonce
	}
	return s.keys.SignByAlg(typeIDToken, func(alg string) any {
		claims.AccessTokenHash = leftHalfHash(alg, accessToken)
		return claims
	}, now)
}

// leftHalfHash is at_hash (OpenID Connect Core §3.1.3.6): the left half of the
// hash that alg signs with, which for Ed25519 is SHA-512.
func leftHalfHash(alg, token string) string {
	if alg == keys.EdDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
}
