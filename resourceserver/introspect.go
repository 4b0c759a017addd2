package resourceserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How long the issuer's word that a token is active counts: while the
// revocation feed would tell of a change, and while it would not.
const (
	activeInSync = time.Minute
	activeAlone  = 10 * time.Second
)

// introspection asks the issuer about tokens (RFC 7662). It fails closed.
type introspection struct {
	rules
	client      *issuerClient
	discovery   *discovery
	credentials ClientCredentials
}

var (
	errNoEndpoint = errors.New("the issuer's metadata has no introspection_endpoint")
	errNoVerdict  = errors.New("the answer does not say whether the token is active")
)

// introspectionResponse is RFC 7662 §2.2.
type introspectionResponse struct {
	claims
	Active    *bool  `json:"active"` // required
	TokenType string `json:"token_type"`
}

// accessToken asks about token, whose SHA-256 is key. The error is a
// [*Refusal].
func (i *introspection) accessToken(ctx context.Context, token string, key [sha256.Size]byte, now time.Time) (*verified, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	response, err := i.ask(ctx, token)
	if err != nil {
		return nil, unavailable(err)
	}
	e, err := i.judge(response, now)
	if err != nil {
		return nil, invalidToken(err)
	}
	e.checked, e.event = now, base64.RawURLEncoding.EncodeToString(key[:])
	return e, nil
}

func (i *introspection) ask(ctx context.Context, token string) (*introspectionResponse, error) {
	endpoints, err := i.discovery.endpoints()
	if err != nil {
		return nil, err
	}
	if endpoints.IntrospectionEndpoint == "" {
		return nil, errNoEndpoint
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoints.IntrospectionEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	i.credentials.authenticate(r)
	var response introspectionResponse
	err = i.client.do(r, maxDocument, &response)
	if err == nil && response.Active == nil {
		err = errNoVerdict
	}
	return &response, err
}

// judge does not take "active" for enough: the token must be the issuer's, a
// bearer token, for this resource, and in its time.
func (i *introspection) judge(response *introspectionResponse, now time.Time) (*verified, error) {
	switch {
	case !*response.Active:
		return nil, errInactive
	case response.Issuer != "" && response.Issuer != i.issuer:
		return nil, errIssuer
	case response.TokenType != "" && !strings.EqualFold(response.TokenType, "Bearer"):
		return nil, errBound
	case response.Subject == "" && response.ClientID == "":
		return nil, errIncomplete
	}
	setDefault(&response.Subject, response.ClientID)
	return i.accept(&response.claims, now)
}

// authenticate adds client_secret_basic, each part form-encoded first (RFC
// 6749 §2.3.1).
func (c ClientCredentials) authenticate(r *http.Request) {
	r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret))
}
