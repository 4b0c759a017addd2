package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

func (d *demonstration) discoverResource(ctx context.Context) error {
	u, err := url.Parse(d.Resource)
	if err != nil {
		return err
	}
	var metadata struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
	}
	address := u.Scheme + "://" + u.Host + "/.well-known/oauth-protected-resource" + u.EscapedPath()
	if _, err := d.expect(ctx, request{url: address}, 200, &metadata); err != nil {
		return err
	}
	if metadata.Resource != d.Resource || !slices.Equal(metadata.AuthorizationServers, []string{d.Issuer}) {
		return fmt.Errorf("expected resource %s of authorization server %s", d.Resource, d.Issuer)
	}
	return nil
}

func (d *demonstration) discoverIssuer(ctx context.Context) error {
	var issuer struct {
		Issuer string `json:"issuer"`
	}
	a, err := d.expect(ctx, request{url: d.Issuer + "/.well-known/oauth-authorization-server"}, 200, &issuer)
	if err != nil {
		return err
	}
	if issuer.Issuer != d.Issuer {
		return fmt.Errorf("expected issuer %s", d.Issuer)
	}
	return json.Unmarshal(a.body, &d.endpoints)
}

func (d *demonstration) getToken(c Client, resource string, into *string, opaque bool) func(context.Context) error {
	return func(ctx context.Context) error {
		var token struct {
			AccessToken string `json:"access_token"`
			TokenType   string `json:"token_type"`
			ExpiresIn   int    `json:"expires_in"`
		}
		r := request{url: d.endpoints.Token, client: c, form: [][2]string{
			{"grant_type", "client_credentials"}, {"resource", resource},
		}}
		if _, err := d.expect(ctx, r, 200, &token); err != nil {
			return err
		}
		*into = token.AccessToken
		switch {
		case token.AccessToken == "" || !strings.EqualFold(token.TokenType, "Bearer") || token.ExpiresIn <= 0:
			return errors.New("expected a bearer token that expires")
		case opaque && !strings.HasPrefix(token.AccessToken, "gha_"):
			return errors.New("expected an opaque token, which begins with gha_")
		case opaque:
			return nil
		}
		return d.checkClaims(token.AccessToken, resource)
	}
}

// checkClaims shows what a JWT says and checks whom it is for.
func (d *demonstration) checkClaims(token, resource string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("expected a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return fmt.Errorf("expected a JWT: %w", err)
	}
	var claims struct {
		Audience string `json:"aud"`
		Issuer   string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("expected a JWT: %w", err)
	}
	fmt.Fprintf(d.Out, "  its claims: %s\n", payload)
	if claims.Audience != resource || claims.Issuer != d.Issuer {
		return fmt.Errorf("expected aud %s and iss %s", resource, d.Issuer)
	}
	return nil
}

func (d *demonstration) introspect(token *string, active bool) func(context.Context) error {
	return func(ctx context.Context) error {
		var answer struct {
			Active   *bool  `json:"active"`
			ClientID string `json:"client_id"`
		}
		r := request{url: d.endpoints.Introspection, client: d.Introspect, form: [][2]string{{"token", *token}}}
		if _, err := d.expect(ctx, r, 200, &answer); err != nil {
			return err
		}
		switch {
		case answer.Active == nil || *answer.Active != active:
			return fmt.Errorf("expected active: %t", active)
		case active && answer.ClientID == "", !active && answer.ClientID != "":
			return errors.New("expected client_id of an active token, and nothing about an inactive one")
		}
		return nil
	}
}

func (d *demonstration) revoke(c Client, token *string) func(context.Context) error {
	return func(ctx context.Context) error {
		r := request{url: d.endpoints.Revocation, client: c, form: [][2]string{{"token", *token}}}
		_, err := d.expect(ctx, r, 200, nil)
		return err
	}
}

func (d *demonstration) forbiddenResource(ctx context.Context) error {
	var refusal struct {
		Error string `json:"error"`
	}
	r := request{url: d.endpoints.Token, client: d.Reader, form: [][2]string{
		{"grant_type", "client_credentials"}, {"resource", d.Other},
	}}
	if _, err := d.expect(ctx, r, 400, &refusal); err != nil {
		return err
	}
	if refusal.Error != "invalid_target" {
		return errors.New("expected the error invalid_target (RFC 8707)")
	}
	return nil
}

// expectChallenge sends r like expect and returns the parameters of the
// answer's challenge.
func (d *demonstration) expectChallenge(ctx context.Context, r request, status int, into any) (map[string]string, error) {
	a, err := d.expect(ctx, r, status, into)
	if err != nil {
		return nil, err
	}
	return bearerChallenge(a)
}

// bearerChallenge parses the challenge of an answer.
func bearerChallenge(a answer) (map[string]string, error) {
	challenges, err := oauthex.ParseWWWAuthenticate([]string{a.challenge})
	if err != nil || len(challenges) == 0 || !strings.EqualFold(challenges[0].Scheme, "bearer") {
		return nil, errors.New("expected a Bearer challenge in WWW-Authenticate")
	}
	return challenges[0].Params, nil
}
