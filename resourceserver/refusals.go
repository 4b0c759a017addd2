package resourceserver

import (
	"net/http"
	"time"
)

// Error codes of refusals by the rules of the network.
const (
	CodeIPNotAllowed         = "ip_not_allowed"
	CodeHTTPSRequired        = "https_required"
	CodeRateLimited          = "rate_limited"
	CodeTooManyHeaders       = "too_many_headers"
	CodeUnsupportedMediaType = "unsupported_media_type"
)

func ipNotAllowed() *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: CodeIPNotAllowed, Description: "The address may not connect."}
}

func httpsRequired() *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: CodeHTTPSRequired, Description: "Only https is accepted. Consider the token disclosed."}
}

func originNotAllowed() *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: CodeOriginNotAllowed, Description: "The Host or Origin header is not allowed."}
}

// contradiction does not say which headers: an honest client has set none.
func contradiction(cause error) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: "The headers contradict each other.", rpc: rpcInvalidRequest, cause: cause}
}

func tooManyHeaders() *Refusal {
	return &Refusal{Status: http.StatusRequestHeaderFieldsTooLarge, Code: CodeTooManyHeaders, Description: "The request has too many header fields.", rpc: rpcInvalidRequest}
}

// rateLimited says when there will be room again, in whole seconds rounded up.
func rateLimited(wait time.Duration) *Refusal {
	return &Refusal{Status: http.StatusTooManyRequests, Code: CodeRateLimited, Description: "There were too many requests. Try again later.",
		RetryAfter: (wait + time.Second - 1).Truncate(time.Second)}
}

func bodyTooLarge() *Refusal {
	return &Refusal{Status: http.StatusRequestEntityTooLarge, Code: CodeRequestTooLarge, Description: "The body is too large.", rpc: rpcInvalidRequest}
}

func bodyUnreadable(cause error) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: "The body could not be read.", rpc: rpcInvalidRequest, cause: cause}
}

func notJSON() *Refusal {
	return &Refusal{Status: http.StatusUnsupportedMediaType, Code: CodeUnsupportedMediaType, Description: "The Content-Type must be application/json.", rpc: rpcInvalidRequest}
}
