package authserver

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	pathAuthorize = "/oauth/authorize"
	pathLogin     = "/login"
	pathConsent   = "/consent" // the dispatcher, too
)

// Bounds of an authorization request, in bytes.
const (
	maxAuthorize = 16 << 10
	maxState     = 4 << 10
	maxNonce     = 1 << 10
	maxLoginHint = 320
)

// maxMaxAge is more than any session lives.
const maxMaxAge = 10 * 365 * 24 * time.Hour

// Error codes of RFC 6749 §4.1.2.1 and OpenID Connect Core §3.1.2.6.
const (
	codeUnsupportedResponseType  = "unsupported_response_type"
	codeLoginRequired            = "login_required"
	codeConsentRequired          = "consent_required"
	codeRequestNotSupported      = "request_not_supported"
	codeRegistrationNotSupported = "registration_not_supported"
)

// authorizeRoutes are those of the way of an authorization request.
func (s *Server) authorizeRoutes() []route {
	return []route{
		{http.MethodGet, pathAuthorize, "page_authorize", 0, false, false, s.authorize},
		// Forms of any origin may begin a request, so this one is no page.
		{http.MethodPost, pathAuthorize, "authorize", maxAuthorize, false, false, s.authorizeByForm},
		{http.MethodGet, pathConsent, "page_consent", 0, false, false, s.dispatch},
		{http.MethodPost, pathConsent, "page_consent", maxFormBytes, false, false, s.decide},
	}
}

// authorize is the authorization endpoint (OAuth 2.1 §3.1). It checks the
// request, keeps it, and sends the browser on to the dispatcher. Until the
// redirect URI is proven to be the client's, what is wrong is shown on a page;
// afterwards the client learns it.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	if err := s.admit(r, entry); err != nil { // before a pushed request is spent
		return err
	}
	c, p, err := s.authorizing(r, entry)
	if err != nil {
		return err
	}
	redirectURI, err := c.redirectURI(p.get("redirect_uri"))
	if err != nil {
		return wrongRedirect(err)
	}
	state := p.get("state")
	i, err := s.requested(c, p, redirectURI)
	_, signedIn := s.cookie(r, cookieSession)
	if err == nil && signedIn == [32]byte{} && slices.Contains(i.Prompt, promptNone) {
		err = errLoginRequired
	}
	if told, ok := errors.AsType[*oauthError](err); ok {
		return s.redirectError(w, entry, redirectURI, state, told)
	}
	if err != nil {
		return err
	}
	handle, hash := sealed.NewHandle()
	i.Hash, i.Browser = hash, s.browser(w, r)
	i.CreatedAt, i.ExpiresAt = entry.start, entry.start.Add(interactionLifetime)
	if err := s.cfg.Store.CreateInteraction(r.Context(), i); err != nil {
		return err
	}
	if signedIn == [32]byte{} {
		return seeOther(w, s.pageOf(pathLogin, handle))
	}
	return seeOther(w, s.resume(handle))
}

// authorizeByForm is the authorization endpoint for clients that send the
// request as a form (OpenID Connect Core §3.1.2.1). A form of another origin
// comes without our cookies; the redirect to the same request brings them.
func (s *Server) authorizeByForm(w http.ResponseWriter, r *http.Request, _ *logEntry) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	return seeOther(w, s.issuer.EscapedPath()+pathAuthorize+"?"+r.PostForm.Encode())
}

// authorizing returns the client of an authorization request and its
// parameters, which may be ones that the client has pushed ahead (RFC 9126 §4).
func (s *Server) authorizing(r *http.Request, entry *logEntry) (*client, params, error) {
	if len(r.URL.RawQuery) > maxAuthorize {
		return nil, params{}, invalidRequest("The request is too long.")
	}
	form, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return nil, params{}, err
	}
	p := params{form}
	c, err := s.knownClient(r.Context(), p.get("client_id"))
	if err != nil {
		return nil, params{}, err
	}
	entry.clientID = c.ID
	if p.get("request_uri") != "" {
		p, err = s.pushedRequest(r.Context(), p, entry.start)
	}
	return c, p, err
}

// knownClient returns a client, or the page that says there is none.
func (s *Server) knownClient(ctx context.Context, id string) (*client, error) {
	c, err := s.clients.get(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, &pageError{
			oauthError: invalidRequest("The client is not known here.").because(err),
			title:      "This app is not known here",
			text:       "The app that sent you is not registered with this server. Nothing was changed.",
			advice:     "Remove this server from the app and add it again, or ask who runs the app.",
		}
	}
	return c, err
}

// wrongRedirect is the page for an unproven redirect URI, which it neither
// shows nor links to.
func wrongRedirect(cause error) *pageError {
	return &pageError{
		oauthError: invalidRequest("The redirect_uri is not one of the client's.").because(cause),
		title:      "The app gave a wrong return address",
		text:       "The address to return to (redirect_uri) is not one that the app is registered with, so you were not sent there. Nothing was changed.",
		advice:     "Remove this server from the app and add it again, or ask who runs the app.",
	}
}

var (
	errLoginRequired   = &oauthError{status: http.StatusBadRequest, code: codeLoginRequired, description: "The person has to sign in."}
	errConsentRequired = &oauthError{status: http.StatusBadRequest, code: codeConsentRequired, description: "The person has to decide."}
	errAccessDenied    = &oauthError{status: http.StatusBadRequest, code: codeAccessDenied, description: "The person did not allow it."}
)

func refusal(code, description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: code, description: description}
}

// requested checks the parameters of an authorization request of c, pushed or
// not, apart from its redirect URI, and returns the interaction to keep.
func (s *Server) requested(c *client, p params, redirectURI string) (storage.Interaction, error) {
	if err := checkProtocol(c, p); err != nil {
		return storage.Interaction{}, err
	}
	to, err := s.target(c, p.resources())
	if err != nil {
		return storage.Interaction{}, err
	}
	asked, err := s.userScopes(c, to, p.get("scope"))
	if err != nil {
		return storage.Interaction{}, err
	}
	prompt, err := parsePrompt(p.get("prompt"))
	if err != nil {
		return storage.Interaction{}, err
	}
	maxAge, err := parseMaxAge(p.get("max_age"))
	if err != nil {
		return storage.Interaction{}, err
	}
	hint := p.get("login_hint")
	if len(hint) > maxLoginHint {
		hint = "" // it is only a hint
	}
	return storage.Interaction{
		ClientID: c.ID, RedirectURI: redirectURI, State: p.get("state"), CodeChallenge: p.get("code_challenge"),
		Scopes: asked, Resource: to.canonical, Audience: to.audience, TokenFormat: c.format(to),
		Nonce: p.get("nonce"), Prompt: prompt, MaxAge: maxAge, LoginHint: hint,
	}, nil
}

// checkProtocol refuses what this server, or this client, does not speak.
func checkProtocol(c *client, p params) error {
	switch responseType := p.get("response_type"); {
	case !c.may(grantAuthorizationCode):
		return unauthorizedClient()
	case responseType == "":
		return invalidRequest("response_type is missing.")
	case responseType != "code":
		return refusal(codeUnsupportedResponseType, "The only response_type is code.")
	case p.get("request") != "":
		return refusal(codeRequestNotSupported, "Send the parameters themselves, or push them.")
	case p.get("registration") != "":
		return refusal(codeRegistrationNotSupported, "Clients register before they ask.")
	case p.get("response_mode") != "" && p.get("response_mode") != "query":
		return invalidRequest("The only response_mode is query.")
	case p.get("code_challenge") == "":
		return invalidRequest("code_challenge is missing.")
	case p.get("code_challenge_method") != "S256":
		return invalidRequest("The only code_challenge_method is S256.")
	case !isSHA256(p.get("code_challenge")):
		return invalidRequest("code_challenge is not a base64url SHA-256.")
	case len(p.get("state")) > maxState:
		return invalidRequest("state is too long.")
	case len(p.get("nonce")) > maxNonce:
		return invalidRequest("nonce is too long.")
	}
	return nil
}

// isSHA256 reports whether text is the one unpadded base64url form of 32 bytes
// (RFC 7636 §4.2).
func isSHA256(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == 32 && len(text) == 43 // the decoder skips line breaks
}

// parsePrompt reads prompt (OpenID Connect Core §3.1.2.1).
func parsePrompt(prompt string) ([]string, error) {
	values := strings.Fields(prompt)
	slices.Sort(values)
	values = slices.Compact(values)
	for _, value := range values {
		switch value {
		case promptNone, promptLogin, promptConsent, promptSelectAccount:
		default:
			return nil, invalidRequest("prompt has an unknown value.")
		}
	}
	if len(values) > 1 && slices.Contains(values, promptNone) {
		return nil, invalidRequest("prompt=none stands alone.")
	}
	return values, nil
}

// parseMaxAge reads max_age, whole seconds; negative means any.
func parseMaxAge(text string) (time.Duration, error) {
	if text == "" {
		return -1, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, invalidRequest("max_age is not a number of seconds.").because(err)
	}
	return time.Duration(min(seconds, uint64(maxMaxAge/time.Second))) * time.Second, nil
}
