package authserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/keys"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Error codes of RFC 6749 §5.2, RFC 8707 §2, RFC 9101 §7 and RFC 8936 §2.4.4
// that this server answers.
const (
	codeInvalidRequest       = "invalid_request"
	codeInvalidClient        = "invalid_client"
	codeUnauthorizedClient   = "unauthorized_client"
	codeUnsupportedGrantType = "unsupported_grant_type"
	codeInvalidScope         = "invalid_scope"
	codeInvalidTarget        = "invalid_target"
	codeInvalidRequestURI    = "invalid_request_uri"
	codeInvalidToken         = "invalid_token"      // RFC 6750 §3.1
	codeInsufficientScope    = "insufficient_scope" // same
	codeAccessDenied         = "access_denied"
	codeServerError          = "server_error"
	codeUnavailable          = "temporarily_unavailable"
)

// oauthError is an answer: code and description go to the client, cause only
// to the log. Descriptions are fixed sentences; they never repeat input.
type oauthError struct {
	status      int
	code        string
	description string
	challenge   string        // WWW-Authenticate; empty: Basic, on a 401
	wait        time.Duration // Retry-After; zero: none, and a moment on a 503
	cause       error
}

func (e *oauthError) Error() string {
	if e.cause != nil {
		return e.code + ": " + e.cause.Error()
	}
	return e.code + ": " + e.description
}

// maxCause bounds, in bytes, what a request can write into the log.
const maxCause = 512

// logged is Error for the log: whole for failures of ours, which hold a stack,
// and cut for others, which may quote what a client sent.
func (e *oauthError) logged() string {
	text := e.Error()
	if e.status >= http.StatusInternalServerError || len(text) <= maxCause {
		return text
	}
	return strings.ToValidUTF8(text[:maxCause], "") + "…"
}

func (e *oauthError) Unwrap() error { return e.cause }

// because returns a copy of e with the cause that the log shall show.
func (e *oauthError) because(cause error) *oauthError {
	with := *e
	with.cause = cause
	return &with
}

func invalidRequest(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: codeInvalidRequest, description: description}
}

// invalidClient is the one answer to every failed client authentication, so
// that nobody learns which client ids exist.
func invalidClient(cause string) *oauthError {
	return &oauthError{
		status: http.StatusUnauthorized, code: codeInvalidClient,
		description: "Client authentication failed.", cause: errors.New(cause),
	}
}

func unauthorizedClient() *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: codeUnauthorizedClient, description: "The client may not use this grant type."}
}

func invalidScope(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: codeInvalidScope, description: description}
}

func invalidTarget(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: codeInvalidTarget, description: description}
}

func unavailable(cause error) *oauthError {
	return &oauthError{
		status: http.StatusServiceUnavailable, code: codeUnavailable,
		description: "The server cannot answer right now. Try again shortly.", cause: cause,
	}
}

// errorFor turns any error into an answer. What it does not know is a
// server_error without a word of explanation.
func errorFor(err error) *oauthError {
	var tooLarge *http.MaxBytesError
	var answer *oauthError
	var fromFosite *fosite.RFC6749Error
	switch {
	case errors.As(err, &answer):
		return answer
	case errors.As(err, &tooLarge):
		return &oauthError{status: http.StatusRequestEntityTooLarge, code: codeInvalidRequest, description: "The request body is too large.", cause: err}
	case errors.Is(err, storage.ErrUnavailable), errors.Is(err, keys.ErrNoKey),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable(err)
	case errors.As(err, &fromFosite) && errors.Is(err, fosite.ErrInvalidRequest):
		return invalidRequest("The request is malformed.").because(err)
	}
	return &oauthError{status: http.StatusInternalServerError, code: codeServerError, description: "The server met an unexpected condition.", cause: err}
}
