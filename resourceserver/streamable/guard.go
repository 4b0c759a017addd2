package streamable

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// guard turns a panic of whatever handles a message into an error for that
// message. The SDK calls handlers in goroutines of its own, where nothing else
// would keep a panic from ending the process.
func guard(log *slog.Logger) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
			defer func() {
				crash := recover()
				if crash == nil {
					return
				}
				log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("method", method),
					slog.String("panic", fmt.Sprint(crash)), slog.String("stack", string(debug.Stack())))
				result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "server_error: the request failed"}
			}()
			return next(ctx, method, req)
		}
	}
}
