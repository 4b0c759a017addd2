package streamable

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

const (
	methodInitialize = "initialize"
	methodListen     = "subscriptions/listen"
)

// serveLegacy passes a request of the era of sessions to the SDK, unless its
// body belongs to the other era or it lacks a session. version is the revision
// it is served in, empty if the client names none that counts.
func (e *Endpoint) serveLegacy(w *response, r *http.Request, version string) {
	id, named := r.Header.Get(headerSession), r.Header.Get(headerVersion)
	var op policy.Operation
	if r.Method == http.MethodPost {
		body, ok := e.readBody(w, r)
		if !ok {
			return
		}
		w.body = body
		r = r.WithContext(r.Context()) // a shallow copy
		r.Body = io.NopCloser(bytes.NewReader(body))
		if id == "" || bytes.Contains(body, []byte(metaVersion)) {
			if op, ok = e.judge(w, r, body, named); !ok {
				return
			}
		}
	}
	if version != named {
		r = r.WithContext(r.Context())
		r.Header = r.Header.Clone()
		r.Header.Del(headerVersion)
	}
	switch {
	case id != "":
		e.continueSession(w, r, id)
	case r.Method != http.MethodPost:
		e.stateful.ServeHTTP(w, r) // says what is wrong
	case op.Method == methodInitialize:
		e.openSession(w, r, op)
	default:
		w.refuse(http.StatusBadRequest, policy.CodeInvalidRequest, op.ID, "the "+headerSession+" header is missing; begin with initialize")
	}
}

// judge returns the first operation in a body, or refuses one that the policy
// does not understand or that speaks a revision without sessions: named is what
// the header said.
func (e *Endpoint) judge(w *response, r *http.Request, body []byte, named string) (policy.Operation, bool) {
	ops, err := policy.Read(r.Header, r.Method, body)
	if refusal, ok := errors.AsType[*policy.Error](err); ok {
		w.refuse(refusal.Status, refusal.Code, refusal.ID, refusal.Message)
		return policy.Operation{}, false
	}
	for _, op := range ops {
		switch {
		case op.Version == "":
			continue
		case op.Version == named:
			w.refuseWith(http.StatusBadRequest, op.ID, e.unsupported(mcp.CodeUnsupportedProtocolVersion, named))
		default:
			w.refuse(http.StatusBadRequest, mcp.CodeHeaderMismatch, op.ID, "the "+headerVersion+" header does not match the version in _meta")
		}
		return op, false
	}
	return ops[0], true
}

// refuseVersion answers a request whose revision is not served, or that names
// none where none with sessions is.
func (e *Endpoint) refuseVersion(w *response, r *http.Request) {
	requested, code := r.Header.Get(headerVersion), mcp.CodeUnsupportedProtocolVersion
	if e.versions.sessions() && !isModern(requested) {
		code = policy.CodeInvalidRequest // what clients of the old revisions know
	}
	var id json.RawMessage
	switch {
	case r.Method == http.MethodPost:
		body, ok := e.readBody(w, r)
		if !ok {
			return
		}
		if ops, err := policy.Read(r.Header, r.Method, body); err == nil {
			id = ops[0].ID
			if requested == "" && ops[0].Version != "" {
				w.refuse(http.StatusBadRequest, mcp.CodeHeaderMismatch, id, "the "+headerVersion+" header is missing")
				return
			}
		}
		if requested == "" {
			requested = wanted(body)
		}
	case requested == "":
		w.Header().Set("Allow", http.MethodPost) // only sessions have other verbs
		w.refuse(http.StatusMethodNotAllowed, policy.CodeInvalidRequest, nil, "invalid_request: the method is not allowed")
		return
	}
	w.refuseWith(http.StatusBadRequest, id, e.unsupported(code, requested))
}

// unsupported names the revisions that are served.
func (e *Endpoint) unsupported(code int, requested string) rpcError {
	list := e.versions.supported(e.versions.known)
	return rpcError{
		Code: code, Message: "unsupported protocol version; supported: " + strings.Join(list, ", "),
		Data: &mcp.UnsupportedProtocolVersionData{Supported: list, Requested: requested},
	}
}

// wanted returns the revision that the body of an initialize request asks for.
func wanted(body []byte) string {
	var message struct {
		Params struct {
			ProtocolVersion string `json:"protocolVersion"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &message) != nil {
		return ""
	}
	return message.Params.ProtocolVersion
}

// readBody reads the whole body, or refuses it.
func (e *Endpoint) readBody(w *response, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, e.opts.MaxBodyBytes))
	if err == nil {
		return body, true
	}
	status := http.StatusBadRequest
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		status = http.StatusRequestEntityTooLarge
	}
	w.refuse(status, policy.CodeInvalidRequest, nil, "the body cannot be read")
	return nil, false
}

// openSession serves an initialize request within the principal's bounds.
func (e *Endpoint) openSession(w *response, r *http.Request, op policy.Operation) {
	one := e.sessions.admit(auth.TokenInfoFromContext(r.Context()))
	if one == nil {
		w.Header().Set("Retry-After", "60")
		w.refuse(http.StatusTooManyRequests, codeRefused, op.ID,
			fmt.Sprintf("rate_limited: %d sessions are open, as many as you may have; end one with DELETE", e.opts.MaxSessions))
		return
	}
	defer e.sessions.leave(one)
	e.stateful.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, one)))
}

// continueSession serves a request within a session.
func (e *Endpoint) continueSession(w *response, r *http.Request, id string) {
	one := e.sessions.use(id, auth.TokenInfoFromContext(r.Context()))
	if one == nil {
		http.Error(w, "there is no such session; begin with initialize", http.StatusNotFound) // explain knows the message
		return
	}
	defer e.sessions.leave(one)
	if r.Method == http.MethodDelete {
		e.sessions.drop(one)
	}
	e.stateful.ServeHTTP(w, r)
}

// held returns the scopes of the token that came with the request.
func held(ctx context.Context) scopes.Set {
	if info := auth.TokenInfoFromContext(ctx); info != nil {
		return scopes.Of(info.Scopes...)
	}
	return nil
}

// principal names whose token came with the request, empty without one.
func principal(ctx context.Context) string {
	return userID(auth.TokenInfoFromContext(ctx))
}
