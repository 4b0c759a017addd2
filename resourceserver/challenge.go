package resourceserver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Error codes of a [Refusal]: those of RFC 6750 §3.1 and RFC 6749 §4.1.2.1,
// and the rules that stand before them.
const (
	CodeInvalidRequest         = "invalid_request"
	CodeInvalidToken           = "invalid_token"
	CodeInsufficientScope      = "insufficient_scope"
	CodeTemporarilyUnavailable = "temporarily_unavailable"
	CodeServerError            = "server_error"
	CodeOriginNotAllowed       = "origin_not_allowed"
	CodeRequestTooLarge        = "request_too_large"
)

// JSON-RPC 2.0 §5.1 codes. A request that was refused before anyone looked at
// what it means has the first of the implementation-defined ones.
const (
	rpcRefused        = -32000
	rpcInvalidRequest = -32600
)

// Refusal is why a request or a token is not accepted. Code, Description and
// Scope are shown to the client; the wrapped cause is only logged.
type Refusal struct {
	Status      int    // HTTP
	Code        string // one of the Code constants
	Description string // a fixed sentence

	// Scope is what a token needs for the operation.
	Scope scopes.Set
	// RetryAfter is when asking again makes sense; whole seconds.
	RetryAfter time.Duration

	// challenge asks for a WWW-Authenticate header; anonymous keeps the error
	// out of it because no token was presented (RFC 6750 §3.1).
	challenge, anonymous bool
	rpc                  int    // JSON-RPC code
	reason               string // metric label; default Code
	cause                error
}

func (r *Refusal) Error() string {
	if r.cause == nil {
		return r.Code
	}
	return r.Code + ": " + r.cause.Error()
}

func (r *Refusal) Unwrap() error { return r.cause }

// label is the refusal's value of the metric label "reason".
func (r *Refusal) label() string {
	if r.reason != "" {
		return r.reason
	}
	return r.Code
}

func missingToken() *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Code: CodeInvalidToken, Description: "An access token is required.",
		challenge: true, anonymous: true, reason: "missing_token", cause: errNoToken}
}

func malformedCredentials(header string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: "The " + header + " header must be exactly one bearer token.",
		challenge: true, rpc: rpcInvalidRequest, cause: errMalformed}
}

// invalidToken says the same for every cause: what is wrong with a token is
// nobody's business but the operator's.
func invalidToken(cause error) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Code: CodeInvalidToken, Description: "The access token is not valid here.",
		challenge: true, cause: cause}
}

// insufficientScope names the scopes in its text too: there are clients that
// show nothing else to the person who has to ask for them.
func insufficientScope(needed scopes.Set) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: CodeInsufficientScope,
		Description: "The operation needs a token with the scopes " + needed.String() + ".", Scope: needed, challenge: true}
}

// unavailable is for tokens that cannot be judged now; a 401 would make the
// client throw away a good one.
func unavailable(cause error) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Code: CodeTemporarilyUnavailable, Description: "Access tokens cannot be verified at the moment.",
		RetryAfter: 5 * time.Second, cause: cause}
}

// failed is for what should not happen.
func failed(cause error) *Refusal {
	return &Refusal{Status: http.StatusInternalServerError, Code: CodeServerError, Description: "The request failed.", cause: cause}
}

// write answers r with the refusal: the challenge of RFC 6750 §3 and RFC 9728
// §5.1, and a JSON-RPC error for the message with that id, nil if unknown.
func (r *Refusal) write(w http.ResponseWriter, metadataURL string, id json.RawMessage) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if r.challenge {
		h.Set("WWW-Authenticate", r.header(metadataURL))
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(r.RetryAfter.Seconds())))
	}
	w.WriteHeader(r.Status)
	// The client may be gone; the one event of the request is logged anyway.
	_, _ = w.Write(r.body(id))
}

// header returns the challenge. Every value is within the characters of RFC
// 6750 §3, so that nothing needs an escape, which some parsers get wrong. It
// has at least one parameter (same section): without metadata, as of a server
// that has no issuer, the realm.
func (r *Refusal) header(metadataURL string) string {
	var b strings.Builder
	b.WriteString("Bearer ")
	param := func(name, value string) {
		if value != "" {
			b.WriteString(name + `="` + quotable(value) + `", `)
		}
	}
	if !r.anonymous {
		param("error", r.Code)
		param("error_description", r.Description)
	}
	param("scope", r.Scope.String())
	if metadataURL == "" {
		param("realm", "mcp")
	}
	param("resource_metadata", metadataURL)
	return strings.TrimSuffix(b.String(), ", ")
}

// quotable replaces what cannot stand in a quoted-string without an escape.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7E || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, s)
}

func (r *Refusal) body(id json.RawMessage) []byte {
	type data struct {
		Error string `json:"error"`
		Scope string `json:"scope,omitempty"`
	}
	type rpcError struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    data   `json:"data"`
	}
	code := r.rpc
	if code == 0 {
		code = rpcRefused
	}
	body, _ := json.Marshal(struct { //nolint:errchkjson // fixed types, and an id that was parsed before
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   rpcError        `json:"error"`
	}{"2.0", id, rpcError{code, r.Code + ": " + r.Description, data{r.Code, r.Scope.String()}}})
	return body
}
