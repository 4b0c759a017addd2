package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type mcpError = jsonrpc.Error

// anyParams are the parameters of a method that the specification does not know.
type anyParams struct {
	mcp.ParamsBase
	members map[string]any
}

// MarshalJSON adds _meta, which the client fills in, to the members.
func (p *anyParams) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	maps.Copy(out, p.members)
	if len(p.Meta) > 0 {
		out["_meta"] = p.Meta
	}
	return json.Marshal(out)
}

// anyResult is the result as it came, to be printed so.
type anyResult struct {
	mcp.ResultBase
	json.RawMessage
}

type methodCall func(context.Context, *mcp.ClientSession, json.RawMessage) (any, error)

// standard maps the methods of the specification to the client's own calls,
// which add what each protocol version needs.
func standard() map[string]methodCall {
	return map[string]methodCall{
		"tools/list":               typed((*mcp.ClientSession).ListTools),
		"tools/call":               typed((*mcp.ClientSession).CallTool),
		"resources/list":           typed((*mcp.ClientSession).ListResources),
		"resources/templates/list": typed((*mcp.ClientSession).ListResourceTemplates),
		"resources/read":           typed((*mcp.ClientSession).ReadResource),
		"prompts/list":             typed((*mcp.ClientSession).ListPrompts),
		"prompts/get":              typed((*mcp.ClientSession).GetPrompt),
		"completion/complete":      typed((*mcp.ClientSession).Complete),
		"ping": func(ctx context.Context, s *mcp.ClientSession, _ json.RawMessage) (any, error) {
			return struct{}{}, s.Ping(ctx, nil)
		},
		"initialize":      handshake,
		"server/discover": handshake,
	}
}

// handshake shows what the client and the server agreed on when they met.
func handshake(_ context.Context, s *mcp.ClientSession, _ json.RawMessage) (any, error) {
	return s.InitializeResult(), nil
}

func typed[P, R any](call func(*mcp.ClientSession, context.Context, *P) (R, error)) methodCall {
	return func(ctx context.Context, s *mcp.ClientSession, raw json.RawMessage) (any, error) {
		params := new(P)
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(params); err != nil {
			return nil, usagef("--args do not fit the method: %w", err)
		}
		return call(s, ctx, params)
	}
}

func isStandard(method string) bool { return standard()[method] != nil }

func callMethod(ctx context.Context, s *mcp.ClientSession, method string, raw json.RawMessage) (any, error) {
	if call := standard()[method]; call != nil {
		return call(ctx, s, raw)
	}
	params := &anyParams{}
	if err := json.Unmarshal(raw, &params.members); err != nil {
		return nil, err
	}
	return mcp.CallCustomMethod[*anyParams, *anyResult](ctx, s, method, params)
}

// printAnswer prints JSON, indented for people.
func printAnswer(w io.Writer, compact bool, answer any) error {
	if compact {
		return printJSON(w, answer)
	}
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}
