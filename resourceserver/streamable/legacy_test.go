package streamable

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestTransport_TR03_AcceptNamesBothTypes(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	c.initialize()
	for accept, want := range map[string]int{
		"application/json, text/event-stream": 200, "*/*": 200, "text/event-stream;q=0.9, application/json": 200,
		"application/json": 400, "text/event-stream": 400, "text/html": 400, "": 400,
	} {
		legacy := c.sendAs(accept, request("ping", ""))
		modern := c.sendAs(accept, modernBody("tools/list", ""), modernHeader("tools/list", "")...)
		for era, a := range map[string]answer{"legacy": legacy, "modern": modern} {
			if a.status != want {
				t.Errorf("%s, %q: %d %s", era, accept, a.status, a.body)
			}
			if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") && !strings.HasPrefix(kind, "text/event-stream") {
				t.Errorf("%s, %q is answered with %s", era, accept, kind)
			}
		}
	}
}

// sendAs is send with another Accept header.
func (c *client) sendAs(accept, body string, header ...string) answer {
	c.t.Helper()
	other := *c
	other.accept = &accept
	return other.send(http.MethodPost, body, header...)
}

func TestTransport_TR04_Notifications(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	c.initialize()
	if a := c.send(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}`); a.status != http.StatusAccepted || a.body != "" {
		t.Errorf("accepted: %d %q", a.status, a.body)
	}
	for name, a := range map[string]answer{
		"without a session": func() answer {
			other := *c
			other.session = ""
			return other.send(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/cancelled"}`)
		}(),
		"of an unknown version": c.send(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/cancelled"}`, headerVersion, "1999-01-01"),
		"without a token":       c.as("none").send(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/cancelled"}`),
	} {
		if a.status < 400 || a.status > 499 || a.code() == 0 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestLegacy_S24_RefusalsAreAboutTheMessage(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	c.initialize()
	for body, code := range map[string]int{request("none/such", ""): -32601, request("notifications/cancelled", ""): -32600} {
		if a := c.send(http.MethodPost, body); a.status != http.StatusBadRequest || a.code() != code || string(a.rpc.ID) != "7" {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

// TL-05, TL-06: answers go to the request's own stream, and what the server
// says of its own accord goes once, to the standalone one.
func TestLegacy_TL05_TL06_EachMessageHasOneStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _, _ := gated(t, s, nil)
	c.initialize()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	standalone := c.do(ctx, http.MethodGet, "", headerVersion, "2025-11-25")
	if standalone.StatusCode != http.StatusOK || standalone.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", standalone.Status, standalone.Header)
	}
	call := c.do(ctx, http.MethodPost, request("tools/call", `"name":"slow"`), headerVersion, "2025-11-25")
	await(t, s.started)
	s.AddTool(&mcp.Tool{Name: "read2", InputSchema: map[string]any{"type": "object"}}, nil)
	_, first := nextData(t, bufio.NewReader(standalone.Body))
	if !strings.Contains(first, "notifications/tools/list_changed") {
		t.Errorf("the standalone stream begins with %s", first)
	}
	close(s.release)
	answered, err := io.ReadAll(call.Body)
	if err != nil || strings.Count(string(answered), "slow result") != 1 || strings.Contains(string(answered), "list_changed") {
		t.Errorf("%v: %s", err, answered)
	}
	if a := c.send(http.MethodDelete, ""); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
	if rest, err := io.ReadAll(standalone.Body); err != nil || strings.Contains(string(rest), "data: {") {
		t.Errorf("more on the standalone stream: %v %s", err, rest)
	}
	if a := c.send(http.MethodGet, "", headerSession, ""); a.status != http.StatusBadRequest {
		t.Errorf("two session ids: %d %s", a.status, a.body)
	}
}

func TestLegacy_TL08_StreamsBeginWithAnEventAndTellWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mcp.AddTool(s.Server, &mcp.Tool{Name: "leave"}, func(_ context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		req.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: 1_000_000})
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "later"}}}, nil, nil
	})
	c, _, _ := gated(t, s, nil)
	c.initialize()
	a := c.send(http.MethodPost, request("tools/call", `"name":"leave"`), headerVersion, "2025-11-25")
	first, rest, _ := strings.Cut(a.body, "\n\n")
	if !strings.HasPrefix(first, "event: prime\nid: ") || strings.Contains(first, "data: {") || !strings.Contains(rest, "retry: 1\n") {
		t.Fatalf("%s", a.body)
	}
	_, id, _ := strings.Cut(first, "id: ")
	id, _, _ = strings.Cut(id, "\n")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var resumed *http.Response
	eventually(t, func() bool { // until the server has let go of the stream
		resumed = c.do(ctx, http.MethodGet, "", headerVersion, "2025-11-25", headerLastEventID, id)
		return resumed.StatusCode != http.StatusConflict
	})
	if _, data := nextData(t, bufio.NewReader(resumed.Body)); !strings.Contains(data, "later") {
		t.Errorf("resumed with %s", data)
	}
}
