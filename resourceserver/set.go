package resourceserver

import (
	"context"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The event types of the feed; the last one is Gatehouse's own.
const (
	eventTokenRevoked  = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
	eventTokensRevoked = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
	eventKeyRetired    = "https://github.com/gatehouse-mcp/gatehouse/event-type/key-retired"
)

// setError says why a security event token was not accepted (RFC 8936 §2.4,
// RFC 8935 §2.4).
type setError struct {
	Code        string `json:"err"`
	Description string `json:"description"`
}

func (e setError) Error() string { return e.Code + ": " + e.Description }

func asSetError(err error) setError {
	if known, ok := errors.AsType[setError](err); ok {
		return known
	}
	return setError{"invalid_key", "the signature cannot be verified"}
}

func firstError(errs map[string]setError) error {
	for _, err := range errs {
		return err
	}
	return nil
}

// securityEvent is a security event token (RFC 8417 §2).
type securityEvent struct {
	Issuer   string                     `json:"iss"`
	Audience jwt.Audience               `json:"aud"`
	ID       string                     `json:"jti"`
	Events   map[string]json.RawMessage `json:"events"`
}

// tokenRevoked revokes one access token; tokensRevoked those of what it names,
// or all of them if it names nothing. Times are Unix seconds.
type tokenRevoked struct {
	ID      string `json:"jti"`
	Expires int64  `json:"exp"`
}

type tokensRevoked struct {
	Grant        string `json:"grant"`
	Client       string `json:"client_id"`
	Subject      string `json:"sub"`
	IssuedBefore int64  `json:"issued_before"`
	Expires      int64  `json:"exp"`
}

// keyRetired withdraws a signing key, and with it the tokens that it signed.
type keyRetired struct {
	KeyID   string `json:"kid"`
	Expires int64  `json:"exp"`
}

// apply verifies the event named id and adds what it revokes. Event types that
// are not known are accepted and ignored (RFC 8417 §2.2).
func (f *feed) apply(ctx context.Context, id, set string) error {
	var event securityEvent
	signed, err := f.jwt.parse(set, "secevent+jwt", &event)
	switch {
	case err != nil:
		return setError{"invalid_request", err.Error()}
	case event.ID != id:
		return setError{"invalid_request", "the jti is another one"}
	case event.Issuer != f.jwt.issuer:
		return setError{"invalid_issuer", errIssuer.Error()}
	case !slices.Contains(event.Audience, f.credentials.ClientID):
		return setError{"invalid_audience", errAudience.Error()}
	}
	if err := f.verify(ctx, signed); err != nil {
		return err
	}
	for name, body := range event.Events {
		switch name {
		case eventTokenRevoked:
			err = f.revoked.applyToken(body)
		case eventTokensRevoked:
			err = f.revoked.applyTokens(body)
		case eventKeyRetired:
			err = f.retire(ctx, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// verify verifies the signature of an event. The issuer itself has sent it, so
// that an unknown key means that ours are out of date: no forged token can
// make that happen, and no limit for them stands in the way.
func (f *feed) verify(ctx context.Context, signed *jose.JSONWebSignature) error {
	err := f.jwt.signature(ctx, signed)
	if err == nil || !errors.Is(err, errUnknownKey) && !errors.Is(err, errStaleKeys) {
		return err
	}
	if err := f.jwt.keys.refresh(ctx); err != nil {
		return err
	}
	return f.jwt.signature(ctx, signed)
}

// retire refuses the tokens of a key from now on, whatever a replica of the
// issuer that has not heard of it yet may publish, and fetches the keys.
func (f *feed) retire(ctx context.Context, body []byte) error {
	var event keyRetired
	if err := json.Unmarshal(body, &event); err != nil || event.KeyID == "" || event.Expires == 0 {
		return setError{"invalid_request", "key-retired has no kid or exp"}
	}
	f.revoked.add(target{byKey, event.KeyID}, mark{always, event.Expires})
	return f.jwt.keys.refresh(ctx)
}

func (r *revocations) applyToken(body []byte) error {
	var event tokenRevoked
	if err := json.Unmarshal(body, &event); err != nil || event.ID == "" || event.Expires == 0 {
		return setError{"invalid_request", "token-revoked has no jti or exp"}
	}
	r.add(target{byToken, event.ID}, mark{always, event.Expires})
	return nil
}

// applyTokens reads an event with several names as several events: to revoke
// too much is the safe mistake.
func (r *revocations) applyTokens(body []byte) error {
	var event tokensRevoked
	if err := json.Unmarshal(body, &event); err != nil || event.IssuedBefore == 0 || event.Expires == 0 {
		return setError{"invalid_request", "tokens-revoked has no issued_before or exp"}
	}
	m, named := mark{event.IssuedBefore, event.Expires}, false
	for _, t := range []target{{byGrant, event.Grant}, {byClient, event.Client}, {bySubject, event.Subject}} {
		if t.id != "" {
			named = true
			r.add(t, m)
		}
	}
	if !named {
		r.add(target{everything, ""}, m)
	}
	return nil
}
