package policy

import (
	"encoding/json"
	"strings"
)

// Families of methods: the bounded values of a metric label.
const (
	FamilyTools     = "tools"
	FamilyResources = "resources"
	FamilyPrompts   = "prompts"
	FamilyAdmin     = "admin"
	FamilySession   = "session"
	FamilyOther     = "other"
)

// Methods whose parameters name what they act on.
const (
	methodCallTool     = "tools/call"
	methodGetPrompt    = "prompts/get"
	methodReadResource = "resources/read"
	methodSubscribe    = "resources/subscribe"
	methodComplete     = "completion/complete"
	methodListen       = "subscriptions/listen"
)

// protocolMethods are what a client may send, in any revision.
var protocolMethods = []string{
	"tools/list", methodCallTool,
	"resources/list", "resources/templates/list", methodReadResource, methodSubscribe, "resources/unsubscribe",
	"prompts/list", methodGetPrompt, methodComplete, methodListen,
	"initialize", "ping", "server/discover", "logging/setLevel",
	"notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/roots/list_changed",
}

// Operation is what one JSON-RPC message wants. A message that names several
// resources (subscriptions/listen) makes several operations.
type Operation struct {
	// Method is empty for what has none: a GET or DELETE, an empty body, a
	// response of the client.
	Method string
	Name   string // of the tool or prompt
	// URI of the resource, as the message gives it; [Policy.Required] compares
	// its canonical form.
	URI string
	// ID of the message as it was written, nil if it has none.
	ID json.RawMessage
	// Version is the protocol revision in the message's own _meta
	// (2026-07-28 and newer), empty if it has none.
	Version string
}

// Family returns the family of the operation, one of the Family constants. A
// completion belongs to the family of what it completes.
func (op Operation) Family() string {
	switch op.Method {
	case "", "initialize", "ping", "server/discover", "logging/setLevel":
		return FamilySession
	case methodListen:
		if op.URI == "" {
			return FamilySession
		}
		return FamilyResources
	case methodComplete:
		if op.URI == "" {
			return FamilyPrompts
		}
		return FamilyResources
	}
	switch family, _, _ := strings.Cut(op.Method, "/"); family {
	case FamilyTools, FamilyResources, FamilyPrompts, FamilyAdmin:
		return family
	case "notifications":
		return FamilySession
	}
	return FamilyOther
}

// standsFor returns the method whose rules count if none is for op's own:
// helping with a prompt or a resource is part of using it.
func (op Operation) standsFor() string {
	switch {
	case op.Method == methodListen && op.URI != "":
		return methodSubscribe
	case op.Method == methodComplete && op.URI != "":
		return methodReadResource
	case op.Method == methodComplete:
		return methodGetPrompt
	}
	return ""
}
