package conformance

import (
	"net/http"
	"slices"
	"strings"
)

// laws returns the first law that an answer breaks, empty if none: those of
// RFC 6750 §3, RFC 9110 §15.5.6, RFC 9728 §5.1, the Fetch standard and MCP's
// transport that can be told from the request alone.
func laws(r request, a reply) string {
	for _, law := range []func(request, reply) string{always, network, browser, credential, owner, method, metadata} {
		if broken := law(r, a); broken != "" {
			return broken
		}
	}
	return ""
}

// always is what holds for every answer.
func always(r request, a reply) string {
	for name, value := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "X-Robots-Tag": "none",
		"Access-Control-Allow-Credentials": "", "Strict-Transport-Security": "", // it came by plain http
	} {
		if a.header.Get(name) != value {
			return name + " is not " + value
		}
	}
	switch {
	case a.header.Get("Referrer-Policy") == "" || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'"):
		return "a security header is missing"
	case a.header.Get("X-Request-Id") == "":
		return "the answer has no X-Request-Id"
	case a.status >= http.StatusInternalServerError:
		return "a request that is understood is no error of the server"
	case r.verb == http.MethodHead && a.body != "":
		return "HEAD has no body"
	case a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "":
		return "405 without Allow"
	case a.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "":
		return "401 without a challenge"
	case r.allowed() && r.place != "metadata" && !slices.Contains(a.header.Values("Vary"), "Origin"):
		return "an answer that depends on Origin does not say so"
	case a.status >= http.StatusBadRequest && a.header.Get("Cache-Control") != "no-store":
		return "a refusal may be kept"
	}
	return ""
}

// allowed reports whether Host and Origin may pass.
func (r request) allowed() bool {
	return r.place == "metadata" || r.host == "good" && (r.origin == "good" || r.origin == "absent")
}

// public reports whether no token is needed.
func (r request) public() bool { return r.place == "exempt" || r.place == "metadata" }

// asksFirst reports whether a browser asks before a script's request.
func (r request) asksFirst() bool {
	return r.verb == preflight && r.origin == "good" && r.host == "good"
}

// network is the rule about Host and Origin, which nobody is exempt from; only
// the metadata is public.
func network(r request, a reply) string {
	refused := a.status == http.StatusForbidden && (r.verb == http.MethodHead || strings.Contains(a.body, `"message":"origin_not_allowed`))
	switch {
	case !r.allowed() && !refused:
		return "a foreign Host or Origin is 403 on every verb, whatever the token"
	case !r.allowed() && a.header.Get("WWW-Authenticate") != "":
		return "a challenge for whom no token would help"
	case !r.allowed() && a.header.Get("Access-Control-Allow-Origin") != "":
		return "a foreign page may read the answer"
	}
	return ""
}

// browser is the Fetch standard's part.
func browser(r request, a reply) string {
	if !r.allowed() || r.place == "metadata" {
		return ""
	}
	want := map[string]string{"good": goodOrigin}[r.origin]
	if a.header.Get("Access-Control-Allow-Origin") != want {
		return "Access-Control-Allow-Origin is not " + want
	}
	if r.asksFirst() {
		headers := strings.ToLower(a.header.Get("Access-Control-Allow-Headers"))
		switch {
		case a.status != http.StatusNoContent || a.header.Get("WWW-Authenticate") != "":
			return "a preflight is answered whatever the token"
		case !strings.Contains(headers, "authorization") || !strings.Contains(headers, "mcp-param-region") || strings.Contains(headers, "x-evil"):
			return "a preflight allows the headers of the protocol and no others"
		}
		return ""
	}
	if exposed := a.header.Get("Access-Control-Expose-Headers"); want != "" && !strings.Contains(exposed, "WWW-Authenticate") {
		return "the script cannot read the challenge"
	}
	return ""
}

// credential is RFC 6750 §3.1 and MCP's authorization.
func credential(r request, a reply) string {
	if !r.allowed() || r.asksFirst() || r.public() {
		return ""
	}
	says := a.header.Get("WWW-Authenticate")
	if says != "" && !strings.Contains(says, `resource_metadata="`+matrixMetadata+`"`) {
		return "the challenge does not lead to the metadata"
	}
	switch r.token {
	case "none":
		if a.status != http.StatusUnauthorized || strings.Contains(says, "error=") || !strings.Contains(says, `scope="`) {
			return "no token is 401, with scope and without error"
		}
	case "twice":
		if a.status != http.StatusBadRequest || !strings.Contains(says, `error="invalid_request"`) {
			return "two credentials are 400"
		}
	case "low", "good", "other":
		lacks := r.token == "low" && r.verb == http.MethodPost
		enough := a.status == http.StatusForbidden && strings.Contains(says, `error="insufficient_scope"`) && strings.Contains(says, `scope="mcp:read mcp:tools"`)
		if lacks != enough || !lacks && says != "" {
			return "403 is for the operation that needs more, and names all scopes"
		}
	default:
		if a.status != http.StatusUnauthorized || !strings.Contains(says, `error="invalid_token"`) {
			return "a token that is not valid is 401 invalid_token"
		}
	}
	return ""
}

// owner is that of a session: nobody else can tell it from one that is not there.
func owner(r request, a reply) string {
	uses := r.verb == http.MethodPost || r.verb == http.MethodGet || r.verb == http.MethodDelete
	if r.place == "session" && r.token == "other" && r.allowed() && uses && a.status != http.StatusNotFound && a.status != http.StatusForbidden {
		return "the session of another principal can be used"
	}
	return ""
}

// method is what a request that passed gets.
func method(r request, a reply) string {
	passed := r.token == "good" || r.token == "low" && r.verb != http.MethodPost || r.token == "other" && r.place == "stateless"
	if !passed || !r.allowed() || r.asksFirst() || r.public() {
		return ""
	}
	want, allow := http.StatusMethodNotAllowed, "POST"
	switch {
	case r.verb == http.MethodPost, r.verb == http.MethodGet && r.place == "session":
		want = http.StatusOK
	case r.verb == http.MethodDelete && r.place == "session":
		want = http.StatusNoContent
	case r.place == "session":
		allow = "GET, POST, DELETE"
	}
	switch {
	case a.status != want:
		return "the answer is not " + http.StatusText(want)
	case want == http.StatusMethodNotAllowed && a.header.Get("Allow") != allow:
		return "Allow is not " + allow
	}
	return ""
}

// metadata is RFC 9728 §3: it is for everybody, and the same for everybody.
func metadata(r request, a reply) string {
	if r.place != "metadata" {
		return ""
	}
	want := http.StatusMethodNotAllowed
	switch r.verb {
	case http.MethodGet, http.MethodHead:
		want = http.StatusOK
	case http.MethodOptions, preflight:
		want = http.StatusNoContent
	}
	switch {
	case a.status != want:
		return "the answer is not " + http.StatusText(want)
	case a.header.Get("Access-Control-Allow-Origin") != "*":
		return "the metadata is not for every origin"
	case want == http.StatusMethodNotAllowed && !strings.Contains(a.header.Get("Allow"), "GET"):
		return "405 without Allow"
	}
	return ""
}
