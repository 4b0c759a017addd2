package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	modern = "2026-07-28" // no sessions: every request stands alone
	legacy = "2025-11-25" // begins with initialize
)

// modernCall is a request of the stateless revision: what it is about stands
// in headers too, and who calls in _meta.
func (d *demonstration) modernCall(token, method, name string, params map[string]any) request {
	if params == nil {
		params = map[string]any{}
	}
	params["_meta"] = map[string]any{
		"io.modelcontextprotocol/protocolVersion":    modern,
		"io.modelcontextprotocol/clientInfo":         map[string]string{"name": "demo", "version": "1"},
		"io.modelcontextprotocol/clientCapabilities": map[string]any{},
	}
	r := d.call(token, method, params)
	r.headers = append(r.headers, [2]string{"MCP-Protocol-Version", modern}, [2]string{"Mcp-Method", method})
	if name != "" {
		r.headers = append(r.headers, [2]string{"Mcp-Name", name})
	}
	return r
}

func (d *demonstration) call(token, method string, params map[string]any) request {
	body, _ := json.Marshal(map[string]any{ //nolint:errchkjson // text, numbers and mappings of them always have a JSON form
		"jsonrpc": "2.0", "id": 1, "method": method, "params": params,
	})
	r := request{url: d.Resource, body: string(body), headers: [][2]string{
		{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"},
	}}
	if token != "" {
		r.headers = append([][2]string{{"Authorization", "Bearer " + token}}, r.headers...)
	}
	return r
}

// result is a JSON-RPC response.
type result struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// expectResult sends r and decodes the result of a successful call.
func (d *demonstration) expectResult(ctx context.Context, r request, into any) (answer, error) {
	var response result
	a, err := d.expect(ctx, r, 200, &response)
	switch {
	case err != nil:
		return a, err
	case response.Error != nil:
		return a, fmt.Errorf("expected a result, got the error %q", response.Error.Message)
	}
	return a, json.Unmarshal(response.Result, into)
}

func (d *demonstration) challenge(ctx context.Context) error {
	challenge, err := d.expectChallenge(ctx, d.modernCall("", "server/discover", "", nil), 401, nil)
	switch {
	case err != nil:
		return err
	case challenge["resource_metadata"] == "":
		return errors.New("expected resource_metadata in the challenge (RFC 9728)")
	case challenge["error"] != "":
		return errors.New("expected no error code: nothing was wrong with the request (RFC 6750 section 3.1)")
	}
	return nil
}

func (d *demonstration) discoverServer(token *string) func(context.Context) error {
	return func(ctx context.Context) error {
		var discovered struct {
			Versions []string `json:"supportedVersions"`
		}
		if _, err := d.expectResult(ctx, d.modernCall(*token, "server/discover", "", nil), &discovered); err != nil {
			return err
		}
		if !slices.Contains(discovered.Versions, modern) {
			return fmt.Errorf("expected %s among the supported versions", modern)
		}
		return nil
	}
}

func (d *demonstration) initialize(token *string) func(context.Context) error {
	return func(ctx context.Context) error {
		var initialized struct {
			Version string `json:"protocolVersion"`
		}
		a, err := d.expectResult(ctx, d.call(*token, "initialize", map[string]any{
			"protocolVersion": legacy, "capabilities": map[string]any{},
			"clientInfo": map[string]string{"name": "demo", "version": "1"},
		}), &initialized)
		switch {
		case err != nil:
			return err
		case initialized.Version != legacy || a.session == "":
			return fmt.Errorf("expected a session of version %s", legacy)
		}
		d.session = a.session
		return nil
	}
}

func (d *demonstration) endSession(token *string) func(context.Context) error {
	return func(ctx context.Context) error {
		r := request{url: d.Resource, remove: true, headers: [][2]string{
			{"Authorization", "Bearer " + *token}, {"Mcp-Session-Id", d.session}, {"MCP-Protocol-Version", legacy},
		}}
		_, err := d.expect(ctx, r, 204, nil)
		return err
	}
}

func (d *demonstration) listTools(token *string) func(context.Context) error {
	return func(ctx context.Context) error {
		var list struct {
			Tools []struct {
				Name string `json:"name"`
			} `json:"tools"`
		}
		if _, err := d.expectResult(ctx, d.modernCall(*token, "tools/list", "", nil), &list); err != nil {
			return err
		}
		for _, tool := range list.Tools {
			if tool.Name == "list_notes" {
				return nil
			}
		}
		return errors.New("expected the tool list_notes")
	}
}

func (d *demonstration) toolCall(token string) request {
	return d.modernCall(token, "tools/call", "list_notes", map[string]any{"name": "list_notes", "arguments": map[string]any{}})
}

func (d *demonstration) callTool(token *string) func(context.Context) error {
	return func(ctx context.Context) error {
		var called struct {
			IsError bool              `json:"isError"`
			Content []json.RawMessage `json:"content"`
		}
		if _, err := d.expectResult(ctx, d.toolCall(*token), &called); err != nil {
			return err
		}
		if called.IsError || len(called.Content) == 0 {
			return errors.New("expected content and no error")
		}
		return nil
	}
}

func (d *demonstration) stepUp(ctx context.Context) error {
	var response result
	challenge, err := d.expectChallenge(ctx, d.toolCall(d.reader), 403, &response)
	switch {
	case err != nil:
		return err
	case challenge["error"] != "insufficient_scope" || !slices.Contains(strings.Fields(challenge["scope"]), "mcp:tools"):
		return errors.New("expected insufficient_scope with mcp:tools among the scopes")
	case response.Error == nil || !strings.HasPrefix(response.Error.Message, "insufficient_scope"):
		return errors.New("expected a JSON-RPC error whose message begins with insufficient_scope")
	}
	return nil
}

// refused waits for a revocation to arrive, which takes less than a second.
func (d *demonstration) refused(token *string) func(context.Context) error {
	return func(ctx context.Context) error {
		r := d.toolCall(*token)
		deadline := time.Now().Add(revocationPatience)
		for {
			a, err := r.send(ctx, d.HTTP)
			if err != nil {
				return err
			}
			if a.code == 401 || time.Now().After(deadline) {
				return d.checkRefused(r, a)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

func (d *demonstration) checkRefused(r request, a answer) error {
	fmt.Fprintf(d.Out, "$ %s\n", r.curl())
	a.print(d.Out)
	if err := a.check(401, nil); err != nil {
		return err
	}
	challenge, err := bearerChallenge(a)
	if err != nil {
		return err
	}
	if challenge["error"] != "invalid_token" {
		return errors.New("expected the error invalid_token")
	}
	return nil
}
