package upstream

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Begun is what a sign-in at a provider began with. Whoever knows it can finish
// it: it is kept secret, and bound to the browser.
type Begun struct {
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
}

// Begin returns what to remember of a new sign-in.
func Begin() Begun { return Begun{Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()} }

// Location is where to send the browser; state comes back with the answer.
// [ErrUnavailable].
func (p *Provider) Location(ctx context.Context, begun Begun, state string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return found.AuthCodeURL(state, oidc.Nonce(begun.Nonce), oauth2.S256ChallengeOption(begun.Verifier)), nil
}

// Person is who the provider says has signed in.
type Person struct {
	Issuer, Subject string // the identity: nothing else is one
	Username        string // preferred_username, as the provider likes it
	Name            string
	Email           string
	EmailVerified   bool
}

// Finish redeems the answer to begun. The caller has opened its state. Errors
// are [ErrAnswer], [ErrDenied] and [ErrUnavailable].
func (p *Provider) Finish(ctx context.Context, begun Begun, answer url.Values) (Person, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), timeout)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return Person{}, err
	}
	code, err := found.code(p.cfg.Issuer, answer)
	if err != nil {
		return Person{}, err
	}
	token, err := found.Exchange(ctx, code, oauth2.VerifierOption(begun.Verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < 500 {
		return Person{}, fmt.Errorf("%w: token endpoint: %d %s", ErrAnswer, refused.Response.StatusCode, clip(refused.ErrorCode))
	}
	if err != nil {
		return Person{}, fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Person{}, fmt.Errorf("%w: no ID token", ErrAnswer)
	}
	id, err := found.verifier.Verify(ctx, raw)
	if err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	person, err := found.person(ctx, id, token, begun.Nonce)
	person.Issuer = p.cfg.Issuer // one provider is known to sign under two names
	return person, err
}

// code returns the code of an answer that comes from the right provider (RFC
// 9207 §2.4).
func (k *known) code(issuer string, answer url.Values) (string, error) {
	for _, name := range []string{"code", "iss", "error"} {
		if len(answer[name]) > 1 {
			return "", fmt.Errorf("%w: repeated %s", ErrAnswer, name)
		}
	}
	switch {
	case answer.Has("iss") && answer.Get("iss") != issuer, k.issues && !answer.Has("iss"):
		return "", fmt.Errorf("%w: it is not from this issuer", ErrAnswer)
	case answer.Has("error"):
		return "", fmt.Errorf("%w: %s", ErrDenied, clip(answer.Get("error")))
	case answer.Get("code") == "":
		return "", fmt.Errorf("%w: no code", ErrAnswer)
	}
	return answer.Get("code"), nil
}

// claims are the standard claims used (OpenID Connect Core §5.1).
type claims struct {
	Subject       string          `json:"sub"`
	Party         string          `json:"azp"`
	Username      string          `json:"preferred_username"`
	Name          string          `json:"name"`
	Email         string          `json:"email"`
	EmailVerified json.RawMessage `json:"email_verified"` // some providers send a string
}

// person judges an ID token whose issuer, audience, time and signature are good
// (OpenID Connect Core §3.1.3.7) and reads who it is about.
func (k *known) person(ctx context.Context, id *oidc.IDToken, token *oauth2.Token, nonce string) (Person, error) {
	var c claims
	if err := id.Claims(&c); err != nil {
		return Person{}, fmt.Errorf("%w: claims: %w", ErrAnswer, err)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1:
		return Person{}, fmt.Errorf("%w: nonce", ErrAnswer)
	case len(id.Audience) > 1 && c.Party == "", c.Party != "" && c.Party != k.ClientID:
		return Person{}, fmt.Errorf("%w: azp", ErrAnswer)
	case id.Subject == "" || len(id.Subject) > 255 || !text(id.Subject):
		return Person{}, fmt.Errorf("%w: sub", ErrAnswer)
	}
	if c.Email == "" && k.provider.UserInfoEndpoint() != "" {
		// Providers may keep these for the userinfo endpoint (§5.4).
		info, err := k.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return Person{}, fmt.Errorf("%w: userinfo: %w", ErrUnavailable, err)
		}
		if info.Subject != id.Subject || info.Claims(&c) != nil { // §5.3.2
			return Person{}, fmt.Errorf("%w: userinfo is about somebody else", ErrAnswer)
		}
	}
	return Person{
		Subject: id.Subject, Username: line(c.Username), Name: line(c.Name), Email: line(c.Email),
		EmailVerified: c.Email != "" && strings.Trim(string(c.EmailVerified), `"`) == "true",
	}, nil
}

// text reports whether a store will take s.
func text(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// line returns s if it is a short text and nothing otherwise.
func line(s string) string {
	if len(s) > 256 || !text(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return s
}
