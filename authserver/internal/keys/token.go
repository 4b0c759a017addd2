package keys

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var (
	// ErrNoKey says that no key can sign: the one whose turn it is was
	// withdrawn and its successor is not known yet. [Ring.Refresh] helps.
	ErrNoKey = errors.New("keys: no signing key is active")

	// ErrToken says that a token is not one that a published key signed with
	// the type asked for. The reason it is wrapped with is for logs only.
	ErrToken = errors.New("keys: not a token of this server")
)

// strict refuses encodings whose trailing bits are not zero, so that a token
// has one spelling only.
var strict = base64.RawURLEncoding.Strict()

// Sign returns the compact JWS (RFC 7515 §7.1) of claims, signed by the key
// whose turn it is at now. Its header has alg, kid and typ. typ is a media type,
// usually without its "application/" (at+jwt, secevent+jwt, JWT), and required;
// claims must encode to a JSON object. [ErrNoKey] when no key can sign.
//
// The header is written by hand because it is so simple: against go-jose's
// signer this halves the allocations of ES256 and needs a tenth of them for
// EdDSA, and there is no signer to prepare for each key and type
// (BenchmarkSign).
func (r *Ring) Sign(typ string, claims any, now time.Time) (string, error) {
	return r.SignByAlg(typ, func(string) any { return claims }, now)
}

// SignByAlg is [Ring.Sign] for claims that depend on the algorithm they are
// signed with, as hashes in ID tokens do (OpenID Connect Core §3.1.3.6).
func (r *Ring) SignByAlg(typ string, claims func(alg string) any, now time.Time) (string, error) {
	k := r.snap.Load().signing(now)
	if k == nil {
		return "", ErrNoKey
	}
	if typ == "" || strings.ContainsFunc(typ, notMediaType) {
		return "", fmt.Errorf("keys: %q is not a media type", typ)
	}
	payload, err := json.Marshal(claims(k.Alg))
	if err != nil {
		return "", fmt.Errorf("keys: encode claims: %w", err)
	}
	if payload[0] != '{' {
		return "", errors.New("keys: claims are not a JSON object") // RFC 7519 §7.1
	}
	header := `{"alg":"` + k.Alg + `","kid":"` + k.KID + `","typ":"` + typ + `"}`
	const room = 2 + 86 // two dots and a signature of 64 bytes; one by RSA grows the buffer
	token := make([]byte, 0, strict.EncodedLen(len(header))+strict.EncodedLen(len(payload))+room)
	token = strict.AppendEncode(token, []byte(header))
	token = append(token, '.')
	token = strict.AppendEncode(token, payload)
	sig, err := sign(k.Alg, k.private, token)
	if err != nil {
		return "", fmt.Errorf("keys: sign with %s: %w", k.KID, err)
	}
	token = append(token, '.')
	return string(strict.AppendEncode(token, sig)), nil
}

// Verify checks that a key published at now signed the compact JWS token with
// its own algorithm and with that typ, compared without case and without
// "application/" (RFC 7515 §4.1.9), and decodes its payload into claims unless
// that is nil. The times and parties in the claims are the caller's to judge.
// It returns the kid, to ask [Ring.Published] for when the token comes again.
// Every refusal is an [ErrToken].
func (r *Ring) Verify(token, typ string, now time.Time, claims any) (kid string, err error) {
	if !canonical(token) {
		return "", fmt.Errorf("%w: not canonical base64url", ErrToken)
	}
	jws, err := jose.ParseSignedCompact(token, accepted)
	if err != nil {
		return "", fmt.Errorf("%w: malformed, or of an algorithm that is not accepted", ErrToken)
	}
	header := jws.Signatures[0].Protected
	k := r.snap.Load().find(header.KeyID, now)
	if k == nil {
		return "", fmt.Errorf("%w: unknown kid", ErrToken)
	}
	if header.Algorithm != k.Alg {
		return "", fmt.Errorf("%w: not its key's algorithm", ErrToken)
	}
	if got, _ := header.ExtraHeaders[jose.HeaderType].(string); typ == "" || mediaType(got) != mediaType(typ) {
		return "", fmt.Errorf("%w: another typ", ErrToken)
	}
	payload, err := jws.Verify(k.private.Public())
	if err != nil {
		return "", fmt.Errorf("%w: wrong signature", ErrToken)
	}
	if claims == nil {
		return k.KID, nil
	}
	if err := json.Unmarshal(payload, claims); err != nil {
		return "", fmt.Errorf("%w: other claims than expected", ErrToken)
	}
	return k.KID, nil
}

// canonical reports whether each part of token is base64url without padding,
// line breaks and stray bits (RFC 7515 §2).
func canonical(token string) bool {
	if strings.ContainsAny(token, "\r\n") { // which the decoder skips
		return false
	}
	for part := range strings.SplitSeq(token, ".") {
		if _, err := strict.DecodeString(part); err != nil {
			return false
		}
	}
	return true
}

// mediaType returns the form of typ that is compared.
func mediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// notMediaType tells the characters that no media type has (RFC 6838 §4.2),
// those that JSON would have to escape among them.
func notMediaType(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return !strings.ContainsRune("/!#$&-^_.+", c)
}
