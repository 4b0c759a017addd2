package streamable

import (
	"context"
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Rule decides about one item beyond its scopes: it reports whether the token
// may see and use what op names. info is nil without a token.
type Rule func(ctx context.Context, info *auth.TokenInfo, op policy.Operation) bool

// FilterLists makes the lists of tools, resources, resource templates and
// prompts show only what the token of the request may use, and refuses every
// operation that it may not, whatever let the request come this far. rules
// must all agree to an item.
//
// Install it with (*mcp.Server).AddReceivingMiddleware after all others, so
// that it is the first to run.
func FilterLists(p *policy.Policy, catalog *scopes.Catalog, rules ...Rule) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			w := wall{policy: p, catalog: catalog, rules: rules}.before(req)
			for _, op := range operations(method, req) {
				if err := w.check(ctx, op); err != nil {
					return nil, err
				}
			}
			result, err := next(context.WithValue(ctx, wallKey{}, w), method, req)
			if err == nil {
				w.filter(ctx, result)
			}
			return result, err
		}
	}
}

// wall is what stands between one token and the server.
type wall struct {
	policy  *policy.Policy
	catalog *scopes.Catalog
	rules   []Rule
	info    *auth.TokenInfo
	held    scopes.Set
}

// wallKey finds the wall in the context of a request that is behind it.
type wallKey struct{}

// wallOf returns the wall that req has passed; without one scopes imply
// nothing.
func wallOf(ctx context.Context, req mcp.Request) wall {
	w, _ := ctx.Value(wallKey{}).(wall)
	return w.before(req)
}

// before returns the wall with what the token of req says.
func (w wall) before(req mcp.Request) wall {
	if extra := req.GetExtra(); extra != nil && extra.TokenInfo != nil {
		w.info, w.held = extra.TokenInfo, scopes.Of(extra.TokenInfo.Scopes...)
	}
	return w
}

// covers returns the error for a token that lacks some of needed.
func (w wall) covers(needed scopes.Set) error {
	missing := needed.Minus(w.held)
	if w.catalog != nil {
		missing = w.catalog.Missing(w.held, needed)
	}
	if len(missing) == 0 {
		return nil
	}
	return refusal("insufficient_scope", "insufficient_scope: the operation needs a token with the scopes "+needed.String(), needed)
}

// check returns the error for an operation that the token may not do.
func (w wall) check(ctx context.Context, op policy.Operation) error {
	if err := w.covers(w.policy.Required(op)); err != nil {
		return err
	}
	for _, rule := range w.rules {
		if !rule(ctx, w.info, op) {
			return refusal("access_denied", "access_denied: the operation is not allowed", nil)
		}
	}
	return nil
}

func refusal(code, message string, needed scopes.Set) error {
	data, err := json.Marshal(struct {
		Error string `json:"error"`
		Scope string `json:"scope,omitempty"`
	}{code, needed.String()})
	if err != nil {
		return err // two strings cannot fail
	}
	return &jsonrpc.Error{Code: codeRefused, Message: message, Data: data}
}

// filter removes from a list what the token may not use.
func (w wall) filter(ctx context.Context, result mcp.Result) {
	switch r := result.(type) {
	case *mcp.ListToolsResult:
		r.Tools = visible(ctx, w, r.Tools, func(t *mcp.Tool) policy.Operation {
			return policy.Operation{Method: "tools/call", Name: t.Name}
		})
	case *mcp.ListPromptsResult:
		r.Prompts = visible(ctx, w, r.Prompts, func(p *mcp.Prompt) policy.Operation {
			return policy.Operation{Method: "prompts/get", Name: p.Name}
		})
	case *mcp.ListResourcesResult:
		r.Resources = visible(ctx, w, r.Resources, func(r *mcp.Resource) policy.Operation {
			return policy.Operation{Method: "resources/read", URI: r.URI}
		})
	case *mcp.ListResourceTemplatesResult:
		r.ResourceTemplates = visible(ctx, w, r.ResourceTemplates, func(t *mcp.ResourceTemplate) policy.Operation {
			return policy.Operation{Method: "resources/read", URI: t.URITemplate}
		})
	}
}

// visible returns the items that the token may use, never nil: a list in JSON
// is not null.
func visible[T any](ctx context.Context, w wall, items []*T, use func(*T) policy.Operation) []*T {
	shown := make([]*T, 0, len(items))
	for _, item := range items {
		if w.check(ctx, use(item)) == nil {
			shown = append(shown, item)
		}
	}
	return shown
}

// operations returns what the request wants, as [policy.Read] reads it from
// the body.
func operations(method string, req mcp.Request) []policy.Operation {
	op := policy.Operation{Method: method}
	switch r := req.(type) {
	case *mcp.CallToolRequest:
		op.Name = r.Params.Name
	case *mcp.GetPromptRequest:
		op.Name = r.Params.Name
	case *mcp.ReadResourceRequest:
		op.URI = r.Params.URI
	case *mcp.SubscribeRequest:
		op.URI = r.Params.URI
	case *mcp.UnsubscribeRequest:
		op.URI = r.Params.URI
	case *mcp.CompleteRequest:
		if r.Params.Ref != nil {
			op.Name, op.URI = r.Params.Ref.Name, r.Params.Ref.URI
		}
	case *mcp.SubscriptionsListenRequest:
		ops := []policy.Operation{op}
		if wanted := r.Params.Notifications; wanted != nil {
			for _, uri := range wanted.ResourceSubscriptions {
				op.URI = uri
				ops = append(ops, op)
			}
		}
		return ops
	}
	return []policy.Operation{op}
}
