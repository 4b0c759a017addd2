package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON-RPC 2.0 §5.1 error codes of an [Error].
const (
	CodeParseError     = -32700
	CodeInvalidRequest = -32600
	CodeInvalidParams  = -32602
)

// Bounds of a body. No honest client comes near them.
const (
	maxDepth = 128 // nested objects and arrays
	maxBatch = 64  // messages
	maxID    = 256 // bytes of an id
	maxURIs  = 256 // resources in one subscription
)

// metaVersion is the member of _meta that makes a message a modern one.
const metaVersion = "io.modelcontextprotocol/protocolVersion"

// Error is a body that cannot be judged. Message is fixed text, safe to show.
type Error struct {
	Code    int // JSON-RPC
	Status  int // HTTP
	Message string
	ID      json.RawMessage // of the message at fault, nil if unknown
}

func (e *Error) Error() string { return e.Message }

func refuse(code int, id json.RawMessage, format string, args ...any) *Error {
	return &Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), ID: id}
}

// Read returns what the request wants, at least one operation; every one must
// be allowed for the request to pass. body is the whole body, already bounded
// in size. A GET, a DELETE and an empty body give one operation with an empty
// Method.
//
// The error is an [*Error]: syntax that is not JSON in UTF-8 (RFC 8259), a
// member that occurs twice anywhere, one that decides and is written in another
// case, depth beyond 128, a message that is not JSON-RPC 2.0, an id that is
// neither a string nor an integer, a name or URI that is not a string, and a
// batch outside revision 2025-03-26 (more than 64 messages, or with initialize
// in it).
func Read(header http.Header, httpMethod string, body []byte) ([]Operation, error) {
	body = bytes.TrimSpace(body)
	if httpMethod != http.MethodPost || len(body) == 0 {
		return []Operation{{}}, nil
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, refuse(CodeParseError, nil, "the body is not JSON")
	}
	if err := inspect(body); err != nil {
		return nil, refuse(CodeInvalidRequest, nil, "the body has %v", err)
	}
	if body[0] == '[' {
		return readBatch(header, body)
	}
	return readMessage(nil, body)
}

// readBatch reads an array of messages: revision 2025-03-26 alone has them,
// and a request without the header speaks that one.
func readBatch(header http.Header, body []byte) ([]Operation, error) {
	if v := header.Get("MCP-Protocol-Version"); v != "" && v != "2025-03-26" {
		return nil, refuse(CodeInvalidRequest, nil, "batches are not part of this protocol version")
	}
	messages := elements(body)
	if len(messages) == 0 || len(messages) > maxBatch {
		return nil, refuse(CodeInvalidRequest, nil, "a batch has 1 to %d messages", maxBatch)
	}
	var all []Operation
	var err error
	for _, message := range messages {
		if all, err = readMessage(all, message); err != nil {
			return nil, err
		}
		if all[len(all)-1].Method == "initialize" {
			return nil, refuse(CodeInvalidRequest, nil, "initialize cannot be part of a batch")
		}
	}
	return all, nil
}

// readMessage appends the operations of one message to all.
func readMessage(all []Operation, message []byte) ([]Operation, error) {
	m, ok := members(message)
	if !ok {
		return nil, refuse(CodeInvalidRequest, nil, "a message is a JSON object")
	}
	if isDisguised(m, "jsonrpc", "id", "method", "params", "result", "error") {
		return nil, refuse(CodeInvalidRequest, nil, disguised)
	}
	op := Operation{ID: m["id"]}
	if len(op.ID) == 0 {
		op.ID = nil
	} else if problem := checkID(op.ID); problem != "" {
		return nil, refuse(CodeInvalidRequest, nil, "%s", problem)
	}
	if v, ok := text(m["jsonrpc"]); !ok || v != "2.0" {
		return nil, refuse(CodeInvalidRequest, op.ID, `jsonrpc is not "2.0"`)
	}
	if m["method"] == nil {
		if op.ID == nil || m["result"] == nil && m["error"] == nil {
			return nil, refuse(CodeInvalidRequest, op.ID, "the message has no method")
		}
		return append(all, op), nil
	}
	if op.Method, ok = text(m["method"]); !ok || op.Method == "" {
		return nil, refuse(CodeInvalidRequest, op.ID, "the method is not a name")
	}
	params, ok := members(m["params"])
	if !ok {
		return nil, refuse(CodeInvalidParams, op.ID, "params is not an object")
	}
	meta, ok := members(params["_meta"])
	if !ok {
		return nil, refuse(CodeInvalidParams, op.ID, "_meta is not an object")
	}
	if isDisguised(params, "_meta") || isDisguised(meta, metaVersion) {
		return nil, refuse(CodeInvalidRequest, op.ID, disguised)
	}
	op.Version, _ = text(meta[metaVersion])
	return readParams(all, op, params)
}

// disguised is the refusal of a member that readers understand differently.
const disguised = "the body has a member whose name is in another case"

// isDisguised reports whether m has a member that a reader which does not mind
// case, as many do, takes for one of names.
func isDisguised(m map[string]json.RawMessage, names ...string) bool {
	for key := range m {
		if slices.Contains(names, key) {
			continue
		}
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, key) }) {
			return true
		}
	}
	return false
}

// checkID says what is wrong with an id. A number is an integer that every
// reader keeps (RFC 8259 §6): an answer must come back to the id it is for.
func checkID(id json.RawMessage) (problem string) {
	switch {
	case len(id) > maxID:
		return fmt.Sprintf("the id is longer than %d bytes", maxID)
	case id[0] == '"':
		return ""
	case id[0] != '-' && (id[0] < '0' || id[0] > '9'):
		return "the id is neither a string nor a number"
	}
	if v, err := strconv.ParseFloat(string(id), 64); err != nil || v != math.Trunc(v) || math.Abs(v) >= 1<<53 {
		return "the id is not an integer of at most 53 bits"
	}
	return ""
}

// readParams appends op, completed with what its parameters name, to all.
func readParams(all []Operation, op Operation, params map[string]json.RawMessage) ([]Operation, error) {
	var member string
	switch op.Method {
	case methodCallTool, methodGetPrompt:
		member = "name"
	case methodReadResource, methodSubscribe, "resources/unsubscribe":
		member = "uri"
	case methodComplete:
		member = "ref"
	case methodListen:
		member = "notifications"
	default:
		return append(all, op), nil
	}
	value := params[member]
	switch {
	case isDisguised(params, member):
		return nil, refuse(CodeInvalidRequest, op.ID, disguised)
	case member == "ref":
		return readCompletion(all, op, value)
	case member == "notifications":
		return readListen(all, op, value)
	}
	named, ok := optionalText(value)
	if !ok {
		return nil, refuse(CodeInvalidParams, op.ID, "name and uri are strings")
	}
	if member == "uri" {
		op.URI = named
	} else {
		op.Name = named
	}
	return append(all, op), nil
}

// readCompletion reads the prompt or the resource template to complete.
func readCompletion(all []Operation, op Operation, raw json.RawMessage) ([]Operation, error) {
	ref, isObject := members(raw)
	name, isName := optionalText(ref["name"])
	uri, isURI := optionalText(ref["uri"])
	if !isObject || !isName || !isURI || name != "" && uri != "" {
		return nil, refuse(CodeInvalidParams, op.ID, "ref names either a prompt or a resource")
	}
	if isDisguised(ref, "name", "uri") {
		return nil, refuse(CodeInvalidRequest, op.ID, disguised)
	}
	op.Name, op.URI = name, uri
	return append(all, op), nil
}

// readListen reads a subscription: one operation for the stream, one for each
// resource whose changes it reports.
func readListen(all []Operation, op Operation, raw json.RawMessage) ([]Operation, error) {
	all = append(all, op)
	wanted, ok := members(raw)
	list := wanted["resourceSubscriptions"]
	if !ok || len(list) > 0 && list[0] != '[' && string(list) != "null" {
		return nil, refuse(CodeInvalidParams, op.ID, "notifications is not a list of subscriptions")
	}
	if isDisguised(wanted, "resourceSubscriptions") {
		return nil, refuse(CodeInvalidRequest, op.ID, disguised)
	}
	if len(list) == 0 || list[0] != '[' {
		return all, nil
	}
	uris := elements(list)
	if len(uris) > maxURIs {
		return nil, refuse(CodeInvalidParams, op.ID, "a subscription has at most %d resources", maxURIs)
	}
	for _, element := range uris {
		if op.URI, ok = text(element); !ok || op.URI == "" {
			return nil, refuse(CodeInvalidParams, op.ID, "a subscription is a URI")
		}
		all = append(all, op)
	}
	return all, nil
}
