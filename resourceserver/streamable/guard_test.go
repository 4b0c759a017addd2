package streamable

import (
	"bytes"
	"context"
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
