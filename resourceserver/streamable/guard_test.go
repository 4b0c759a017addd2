package streamable

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The SDK runs tools in goroutines of its own, where no HTTP server catches a
// panic: one bad argument would end the process for everyone.
func TestSeed_S24_PanicOfAToolEndsOnlyItsCall(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newServer(t)
	mcp.AddTool(s.Server, &mcp.Tool{Name: "crash"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		panic("internal detail")
	})
	c, _ := start(t, s, &Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))})
	c.initialize()
	for era, a := range map[string]answer{
		"legacy": c.send(http.MethodPost, request("tools/call", `"name":"crash"`)),
		"modern": c.modern("tools/call", `"name":"crash"`, "crash"),
	} {
		if a.code() != -32603 || strings.Contains(a.body, "internal detail") {
			t.Errorf("%s: %d %s", era, a.status, a.body)
		}
	}
	if a := c.modern("tools/call", `"name":"read"`, "read"); a.code() != 0 {
		t.Errorf("the server is broken: %s", a.body)
	}
	if !strings.Contains(log.String(), "internal detail") || !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("nobody learns where: %s", log.String())
	}
}

// What a handler or the SDK says about an error is for the log: a client gets
// what was written for it.
func TestSeed_S25_ErrorsOfHandlersStayInside(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := newServer(t)
	s.AddResource(&mcp.Resource{Name: "db", URI: "notes://db"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return nil, errors.New("open /var/lib/secret.db: permission denied")
	})
	mcp.AddTool(s.Server, &mcp.Tool{Name: "quote"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		return nil, map[string]any{"error": map[string]any{"code": 0, "message": "handling 'x': of somebody else"}}, nil
	})
	c, _, _ := gated(t, s, &Options{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	c.initialize()
	for era, send := range map[string]func(method, params, name string) answer{
		"legacy": func(method, params, _ string) answer { return c.send(http.MethodPost, request(method, params)) },
		"modern": func(method, params, name string) answer { return c.modern(method, params, name) },
	} {
		if a := send("resources/read", `"uri":"notes://db"`, "notes://db"); a.code() != -32603 || strings.Contains(a.body, "secret") {
			t.Errorf("%s: %d %s", era, a.status, a.body)
		}
		if a := send("tools/list", `"cursor":7`, ""); a.code() != -32602 || strings.Contains(a.body, "mcp.") || string(a.rpc.ID) != "7" {
			t.Errorf("%s: %d %s", era, a.status, a.body)
		}
		if a := send("tools/call", `"name":"quote"`, "quote"); !strings.Contains(a.body, "of somebody else") {
			t.Errorf("%s: content is changed: %s", era, a.body)
		}
	}
	if text := log.String(); strings.Count(text, "secret.db") != 2 {
		t.Errorf("logged: %s", text)
	}
}
