package streamable

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// errFailed is all that a client learns of an error that nobody wrote for it.
var errFailed = &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "server_error: the request failed"}

// guard turns a panic of whatever handles a message into an error for that
// message. The SDK calls handlers in goroutines of its own, where nothing else
// would keep a panic from ending the process. An error that is not a JSON-RPC
// one, and hence not meant for the client, goes to the log.
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
				result, err = nil, errFailed
			}()
			result, err = next(ctx, method, req)
			if _, meant := errors.AsType[*jsonrpc.Error](err); err == nil || meant {
				return result, err
			}
			if ctx.Err() == nil { // otherwise nobody waits for it any more
				log.LogAttrs(ctx, slog.LevelWarn, "a request failed", slog.String("method", method), slog.Any("error", err))
			}
			return nil, errFailed
		}
	}
}

// sdkError begins the errors in which the SDK quotes parameters that it could
// not read, together with its own types. No other error begins like that.
const sdkError = "handling '"

// conceal returns the message, or the event with the message, without what such
// an error says. It looks for one only where it would have to be.
func conceal(message []byte) []byte {
	if !bytes.Contains(message[:min(len(message), 1<<10)], []byte(`"message":"`+sdkError)) {
		return message
	}
	trimmed := bytes.TrimRight(message, "\n")
	frame, body := message[:max(bytes.IndexByte(message, '{'), 0)], struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   *rpcError       `json:"error"`
	}{}
	if json.Unmarshal(trimmed[len(frame):], &body) != nil || body.Error == nil || !strings.HasPrefix(body.Error.Message, sdkError) {
		return message // it is somebody's content
	}
	body.Error.Code, body.Error.Message = jsonrpc.CodeInvalidParams, "invalid_request: the parameters are not those of the method"
	fixed, err := json.Marshal(body)
	if err != nil {
		return message // it was JSON before
	}
	return bytes.Join([][]byte{frame, fixed, message[len(trimmed):]}, nil)
}
