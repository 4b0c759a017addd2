package authserver

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

const typeAccessToken = "at+jwt" // RFC 9068 §2.1

// accessToken is what an access token says, whatever its format.
type accessToken struct {
	id        string // jti; for an opaque token derived from it, see opaqueID
	clientID  string
	subject   string
	grantID   string
	scopes    scopes.Set
	audience  []string
	resources []string // audience in canonical form; set when the token was looked up
	issuedAt  time.Time
	expiresAt time.Time
	kid       string // of the key that signed it, when a JWT was looked up
}

// issuedToken is an access token on its way to the client.
type issuedToken struct {
	accessToken
	// opaque is the token itself when it is opaque; a JWT is signed at the end.
	opaque string
}

// accessClaims are the claims of a JWT access token (RFC 9068 §2.2).
type accessClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expiry   int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	ID       string   `json:"jti"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope,omitempty"`
	Grant    string   `json:"grant,omitempty"`
}

// audience is one identifier or several; RFC 7519 §4.1.3 writes one as a string.
type audience []string

// MarshalJSON implements json.Marshaler.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, (*jwt.Audience)(a))
}

// claims returns the JWT form of the token.
func (t *accessToken) claims(issuer string) accessClaims {
	return accessClaims{
		Issuer: issuer, Subject: t.subject, Audience: t.audience,
		Expiry: t.expiresAt.Unix(), IssuedAt: t.issuedAt.Unix(), ID: t.id,
		ClientID: t.clientID, Scope: t.scopes.String(), Grant: t.grantID,
	}
}

// token is the reverse of claims; it fails when a claim that every token of
// ours has is missing.
func (c accessClaims) token() (*accessToken, error) {
	granted, err := scopes.Parse(c.Scope)
	if err != nil || c.Subject == "" || c.ID == "" || c.ClientID == "" || len(c.Audience) == 0 || c.Expiry == 0 {
		return nil, errors.New("incomplete access token")
	}
	return &accessToken{
		id: c.ID, clientID: c.ClientID, subject: c.Subject, grantID: c.Grant, scopes: granted,
		audience: c.Audience, issuedAt: time.Unix(c.IssuedAt, 0), expiresAt: time.Unix(c.Expiry, 0),
	}, nil
}

// An opaque access token is opaquePrefix and the unpadded base64url of
//
//	4 bytes  expiry, big-endian seconds since 1970
//	32 bytes random
//	4 bytes  CRC-32 of all before
//
// The expiry lets the store look into one partition and an expired token cost
// nothing; the checksum drops garbage before the store and lets secret
// scanners recognise tokens. Neither is trusted for anything else: the store
// knows the token by its SHA-256 only.
const (
	opaquePrefix = "gha_"
	opaqueRandom = 32
	opaqueBytes  = 4 + opaqueRandom + crc32.Size
)

// newOpaque returns a fresh opaque token that expires at a whole second.
func newOpaque(expiresAt time.Time) string {
	raw := make([]byte, 4+opaqueRandom, opaqueBytes)
	rand.Read(raw)                                            // never fails (crypto/rand)
	binary.BigEndian.PutUint32(raw, uint32(expiresAt.Unix())) //nolint:gosec // valid until 2106
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return opaquePrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// parseOpaque returns the expiry of a well-formed opaque token.
func parseOpaque(token string) (expiresAt time.Time, ok bool) {
	encoded, found := strings.CutPrefix(token, opaquePrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(opaqueBytes) {
		return time.Time{}, false
	}
	// The decoder skips line breaks, so that only the length tells them apart.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != opaqueBytes || crc32.ChecksumIEEE(raw[:opaqueBytes-crc32.Size]) != binary.BigEndian.Uint32(raw[opaqueBytes-crc32.Size:]) {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint32(raw)), 0), true
}

// opaqueID is the jti of an opaque token: its SHA-256, from which the token
// cannot be found, in unpadded base64url.
func opaqueID(hash [32]byte) string { return base64.RawURLEncoding.EncodeToString(hash[:]) }

// TokenID returns the identifier and the expiry of an access token of either
// format, as a revocation names it. It does not verify anything: it is for an
// operator who holds the store.
func TokenID(token string) (jti string, expiresAt time.Time, err error) {
	if expiresAt, ok := parseOpaque(token); ok {
		return opaqueID(sha256.Sum256([]byte(token))), expiresAt, nil
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", time.Time{}, errors.New("this is not an access token of this server")
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return "", time.Time{}, errors.New("this is not a JWT access token")
	}
	var claims accessClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", time.Time{}, errors.New("this is not a JWT access token")
	}
	parsed, err := claims.token()
	if err != nil {
		return "", time.Time{}, err
	}
	return parsed.id, parsed.expiresAt, nil
}
