package oauthclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 1 << 20
)

// Credentials authenticate a client: by Secret, or by Key (private_key_jwt).
type Credentials struct {
	ClientID string
	Secret   string
	Key      *Key
}

// String leaves the secret out.
func (c Credentials) String() string { return c.ClientID + ":[redacted]" }

// GoString leaves the secret out.
func (c Credentials) GoString() string { return c.String() }

// Error is an OAuth error answer (RFC 6749 §5.2).
type Error struct {
	Endpoint    string `json:"-"`
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s answers %d", e.Endpoint, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Description != "" {
		text += ": " + e.Description
	}
	return text
}

// TokenRequest is a request with client credentials; empty members are left out.
type TokenRequest struct {
	Scope    string
	Resource string
}

// Token gets an access token and returns the whole answer (RFC 6749 §5.1).
func (m Metadata) Token(ctx context.Context, c Credentials, request TokenRequest) (json.RawMessage, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if request.Scope != "" {
		form.Set("scope", request.Scope)
	}
	if request.Resource != "" {
		form.Set("resource", request.Resource)
	}
	return m.post(ctx, "token_endpoint", m.TokenEndpoint, c, form)
}

// Introspect asks about a token (RFC 7662 §2).
func (m Metadata) Introspect(ctx context.Context, c Credentials, token string) (json.RawMessage, error) {
	return m.post(ctx, "introspection_endpoint", m.IntrospectionEndpoint, c, url.Values{"token": {token}})
}

// post sends a form with client authentication; the answer to a success is
// JSON, or nothing.
func (m Metadata) post(ctx context.Context, name, endpoint string, c Credentials, form url.Values) (json.RawMessage, error) {
	if endpoint == "" {
		return nil, fmt.Errorf("%s has no %s", m.Issuer, name)
	}
	if _, err := parseSafe(endpoint); err != nil {
		return nil, fmt.Errorf("%s %q %w", name, endpoint, err)
	}
	basic := false
	switch {
	case c.Key != nil:
		assertion, err := c.Key.assertion(c.ClientID, m.Issuer, time.Now())
		if err != nil {
			return nil, err
		}
		form.Set("client_id", c.ClientID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	case m.postOnly():
		form.Set("client_id", c.ClientID)
		form.Set("client_secret", c.Secret)
	default:
		basic = true
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if basic { // both parts are form encoded (RFC 6749 §2.3.1)
		r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.Secret))
	}
	status, body, err := exchange(r)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		refusal := &Error{Endpoint: endpoint, Status: status}
		_ = json.Unmarshal(body, refusal) // a proxy's page leaves only the status
		return nil, refusal
	}
	var answer json.RawMessage
	err = decodeJSON(endpoint, body, &answer)
	return answer, err
}

// postOnly reports whether the server takes secrets in the body only.
func (m Metadata) postOnly() bool {
	return slices.Contains(m.TokenAuthMethods, "client_secret_post") && !slices.Contains(m.TokenAuthMethods, "client_secret_basic")
}

// exchange sends one request, follows nothing, and reads a bounded answer.
func exchange(r *http.Request) (status int, body []byte, err error) {
	client := http.Client{
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot reach %s: %w", r.URL.Host, reason(err))
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer of %s: %w", r.URL.Host, err)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); response.StatusCode == http.StatusOK && kind != "application/json" {
		return 0, nil, fmt.Errorf("%s answers with %q instead of JSON", r.URL.Redacted(), kind)
	}
	return response.StatusCode, body, nil
}

// reason drops the method and address that http.Client puts in front.
func reason(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

func decodeJSON(address string, body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s does not answer with the JSON it should: %w", address, err)
	}
	return nil
}
