package authserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	// requestURIPrefix begins the request_uri of pushed requests (RFC 9126 §2.2).
	requestURIPrefix = "urn:ietf:params:oauth:request_uri:"
	// pushLifetime is short: the browser is sent on at once.
	pushLifetime = 90 * time.Second
	maxPushBytes = maxAuthorize
)

// pushable are the parameters of an authorization request that count, and so
// all that is kept of a pushed one: never how the client authenticated.
func pushable() []string {
	return []string{
		"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "resource",
		"code_challenge", "code_challenge_method", "nonce", "prompt", "max_age", "login_hint",
	}
}

// pushResponse is the answer of RFC 9126 §2.2.
type pushResponse struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"`
}

// push is the pushed authorization request endpoint (RFC 9126 §2). What the
// authorization endpoint would refuse is refused here, where the client learns
// it without a browser.
func (s *Server) push(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	p, err := parseParams(r)
	if err != nil {
		return err
	}
	c, err := s.authenticateClient(r.Context(), r, p)
	if err != nil {
		return err
	}
	if err := s.admitClient(r, entry, c); err != nil {
		return err
	}
	if p.get("request_uri") != "" {
		return invalidRequest("A pushed request has no request_uri.") // RFC 9126 §2.1
	}
	redirectURI, err := c.redirectURI(p.get("redirect_uri"))
	if err != nil {
		return invalidRequest("The redirect_uri is not one of the client's.").because(err)
	}
	if _, err := s.requested(c, p, redirectURI); err != nil {
		return err
	}
	kept := url.Values{}
	for _, name := range pushable() {
		if values := p.form[name]; len(values) > 0 {
			kept[name] = values
		}
	}
	kept.Set("client_id", c.ID) // it may have come in a header only
	reference, hash := sealed.NewHandle()
	err = s.cfg.Store.PushRequest(r.Context(), storage.PushedRequest{
		Hash: hash, ClientID: c.ID, Params: kept.Encode(), ExpiresAt: entry.start.Add(pushLifetime),
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, pushResponse{RequestURI: requestURIPrefix + reference, ExpiresIn: int64(pushLifetime / time.Second)})
	return nil
}

// pushedRequest returns the parameters that the client pushed under the
// request_uri in p (RFC 9126 §4), and spends it. Nothing else in p counts, or
// whoever hands the URL to the browser could change the request.
func (s *Server) pushedRequest(ctx context.Context, p params, now time.Time) (params, error) {
	clientID := p.get("client_id")
	if clientID == "" {
		return params{}, invalidRequest("client_id is missing.")
	}
	reference, ours := strings.CutPrefix(p.get("request_uri"), requestURIPrefix)
	if !ours {
		return params{}, invalidRequestURI("not a request_uri of this server")
	}
	pushed, err := s.cfg.Store.SpendPushedRequest(ctx, sha256.Sum256([]byte(reference)), clientID, now)
	if errors.Is(err, storage.ErrNotFound) {
		return params{}, invalidRequestURI("no such pushed request of this client")
	}
	if err != nil {
		return params{}, err
	}
	form, err := parseForm(pushed.Params)
	return params{form}, err
}

// invalidRequestURI is the page for a pushed request that there is not: it has
// expired, was used, or is another client's.
func invalidRequestURI(cause string) *pageError {
	page := startAgain(nil)
	page.oauthError = &oauthError{
		status: http.StatusBadRequest, code: codeInvalidRequestURI,
		description: "The request_uri is unknown, has expired or was used before.", cause: errors.New(cause),
	}
	return page
}
