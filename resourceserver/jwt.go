package resourceserver

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// claims are those of a JWT access token (RFC 9068 §2.2) and the members of an
// introspection response (RFC 7662 §2.2), which are the same.
type claims struct {
	Issuer       string           `json:"iss"`
	Subject      string           `json:"sub"`
	Audience     jwt.Audience     `json:"aud"`
	ClientID     string           `json:"client_id"`
	ID           string           `json:"jti"`
	Grant        string           `json:"grant"`
	Scope        string           `json:"scope"`
	Expiry       *jwt.NumericDate `json:"exp"`
	NotBefore    *jwt.NumericDate `json:"nbf"`
	IssuedAt     *jwt.NumericDate `json:"iat"`
	Confirmation any              `json:"cnf"`
}

// Why a token is not accepted; for the log only.
var (
	errSyntax     = errors.New("not a compact JWS in canonical form")
	errAlgorithm  = errors.New("the alg header is not an allowed one")
	errType       = errors.New("the typ header is another one")
	errCritical   = errors.New("the crit header is not understood")
	errIssuer     = errors.New("another issuer")
	errAudience   = errors.New("another audience")
	errIncomplete = errors.New("a required claim is missing")
	errExpired    = errors.New("expired")
	errNotYet     = errors.New("not valid yet")
	errBound      = errors.New("bound to a key that a bearer does not prove")
	errSignature  = errors.New("the signature does not verify")
	errRevoked    = errors.New("revoked")
	errInactive   = errors.New("not active")
	errOpaque     = errors.New("nobody is configured who knows this kind of token")
)

// rules are what every token must keep, whoever vouches for it.
type rules struct {
	issuer   string
	resource *url.URL
	skew     time.Duration
	catalog  *scopes.Catalog
}

// accept checks audience and time (RFC 9068 §4, RFC 7662 §4, boundaries
// included) and returns the token. A sender-constrained token sent as a bearer
// token is refused (RFC 9449 §7.2).
func (r *rules) accept(c *claims, now time.Time) (*verified, error) {
	if c.Confirmation != nil {
		return nil, errBound
	}
	if !r.forUs(c.Audience) {
		return nil, errAudience
	}
	if c.Expiry == nil {
		return nil, errIncomplete
	}
	expiry := c.Expiry.Time()
	switch {
	case !now.Before(expiry.Add(r.skew)):
		return nil, errExpired
	case c.NotBefore != nil && now.Before(c.NotBefore.Time().Add(-r.skew)),
		c.IssuedAt != nil && now.Before(c.IssuedAt.Time().Add(-r.skew)):
		return nil, errNotYet
	}
	granted, err := scopes.Parse(c.Scope)
	if err != nil {
		return nil, err
	}
	return newVerified(AccessToken{
		Issuer: r.issuer, Subject: c.Subject, ClientID: c.ClientID, ID: c.ID, GrantID: c.Grant,
		Audience: c.Audience, Scopes: granted, IssuedAt: c.IssuedAt.Time(), ExpiresAt: expiry,
	}, r.catalog, r.skew), nil
}

// forUs reports whether one of aud is the resource. Scheme and host compare
// without case, an empty path equals "/" (many clients add or drop that one
// slash), any other path is strict.
func (r *rules) forUs(aud []string) bool {
	for _, a := range aud {
		u, err := url.Parse(a)
		if err == nil && u.User == nil && u.RawQuery == "" && !u.ForceQuery && !strings.Contains(a, "#") &&
			strings.EqualFold(u.Scheme, r.resource.Scheme) &&
			authority(r.resource.Scheme, u.Host) == authority(r.resource.Scheme, r.resource.Host) &&
			rootPath(u) == rootPath(r.resource) {
			return true
		}
	}
	return false
}

func rootPath(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// jwtVerifier verifies JWTs signed by the issuer: access tokens and security
// event tokens.
type jwtVerifier struct {
	rules
	keys       *keySet
	algorithms []jose.SignatureAlgorithm
}

// accessToken verifies a JWT access token (RFC 9068 §4). What costs nothing is
// checked before the signature. The error is a [*Refusal].
func (v *jwtVerifier) accessToken(ctx context.Context, token string, now time.Time) (*verified, error) {
	var c claims
	signed, err := v.parse(token, "at+jwt", &c)
	if err != nil {
		return nil, invalidToken(err)
	}
	switch {
	case c.Issuer != v.issuer:
		return nil, invalidToken(errIssuer)
	case c.Subject == "" || c.ClientID == "" || c.ID == "" || c.IssuedAt == nil:
		return nil, invalidToken(errIncomplete)
	}
	e, err := v.accept(&c, now)
	if err != nil {
		return nil, invalidToken(err)
	}
	e.local, e.epoch, e.event, e.kid = true, v.keys.epoch(), c.ID, signed.Signatures[0].Protected.KeyID
	return e, v.signature(ctx, signed)
}

// parse checks the form of a compact JWS with that typ and decodes its payload
// into claims, unverified. RFC 8725 §3.1, §3.11; RFC 7515 §5.2: each part has
// exactly one encoding, no header member occurs twice (go-jose), none is
// critical.
func (v *jwtVerifier) parse(token, typ string, claims any) (*jose.JSONWebSignature, error) {
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, errSyntax
		}
	}
	signed, err := jose.ParseSignedCompact(token, v.algorithms)
	if _, other := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); other {
		return nil, errAlgorithm
	} else if err != nil {
		return nil, errSyntax
	}
	header := signed.Signatures[0].Protected
	got, _ := header.ExtraHeaders[jose.HeaderType].(string)
	if _, found := header.ExtraHeaders["crit"]; found {
		return nil, errCritical
	}
	if got = strings.ToLower(got); got != typ && got != "application/"+typ {
		return nil, errType
	}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), claims); err != nil {
		return nil, errSyntax
	}
	return signed, nil
}

// signature verifies with the issuer's key that the header names. The error is
// a [*Refusal].
func (v *jwtVerifier) signature(ctx context.Context, signed *jose.JSONWebSignature) error {
	header := signed.Signatures[0].Protected
	if header.KeyID == "" {
		return invalidToken(errUnknownKey)
	}
	keys, err := v.keys.find(ctx, header.KeyID)
	switch {
	case errors.Is(err, errUnknownKey):
		return invalidToken(err)
	case err != nil:
		return unavailable(err)
	}
	for _, key := range keys {
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if _, err := signed.Verify(key.Key); err == nil {
			return nil
		}
	}
	return invalidToken(errSignature)
}
