package streamable

import (
	"context"
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// inputs refuses a request whose handler needs something of the client that
// the client has not said it can do: a server may ask only for what is declared
// (MCP 2026-07-28, multi round-trip requests). With sessions the SDK has asked
// the client itself before a result comes here.
func inputs(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		if err != nil {
			return result, err
		}
		var wanted mcp.InputRequestMap
		switch r := result.(type) {
		case *mcp.CallToolResult:
			wanted = r.InputRequests
		case *mcp.GetPromptResult:
			wanted = r.InputRequests
		case *mcp.ReadResourceResult:
			wanted = r.InputRequests
		}
		if len(wanted) == 0 {
			return result, nil
		}
		if lacking := undeclared(wanted, capabilities(req)); len(lacking) > 0 {
			return nil, missing(lacking)
		}
		return result, nil
	}
}

func capabilities(req mcp.Request) *mcp.ClientCapabilities {
	of, ok := req.(interface {
		ClientCapabilities() *mcp.ClientCapabilities
	})
	if !ok || of.ClientCapabilities() == nil {
		return &mcp.ClientCapabilities{}
	}
	return of.ClientCapabilities()
}

// undeclared returns the capabilities that wanted needs and has lacks, by their
// names.
func undeclared(wanted mcp.InputRequestMap, has *mcp.ClientCapabilities) map[string]struct{} {
	lacking := map[string]struct{}{}
	for _, one := range wanted {
		switch one.(type) {
		case *mcp.ElicitParams:
			if has.Elicitation == nil {
				lacking["elicitation"] = struct{}{}
			}
		case *mcp.ListRootsParams: //nolint:staticcheck // deprecated, and still served
			if has.RootsV2 == nil { //nolint:staticcheck // deprecated, and still served
				lacking["roots"] = struct{}{}
			}
		default: // two ways to ask for a message of the client's model
			if has.Sampling == nil { //nolint:staticcheck // deprecated, and still served
				lacking["sampling"] = struct{}{}
			}
		}
	}
	return lacking
}

func missing(capabilities map[string]struct{}) error {
	data, err := json.Marshal(map[string]any{"requiredCapabilities": capabilities})
	if err != nil {
		return err // names and empty objects cannot fail
	}
	return &jsonrpc.Error{
		Code: mcp.CodeMissingRequiredClientCapabilities, Message: "the client lacks capabilities that the operation needs", Data: data,
	}
}
