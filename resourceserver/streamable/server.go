package streamable

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sessionIDBytes gives session ids 256 bits of randomness.
const sessionIDBytes = 32

// ServerOptions completes the options of a server whose answers depend on the
// token:
//
//   - every cacheScope is "private": the SDK's default lets a shared cache
//     hand one user's list to another,
//   - session ids have 256 random bits, unless GetSessionID is set,
//   - lists are one page, unless PageSize is set: the SDK's cursor contains
//     the name of an item, which may be one that [FilterLists] hides.
func ServerOptions(opts mcp.ServerOptions) *mcp.ServerOptions {
	inner := opts.SetCacheable
	opts.SetCacheable = func(ctx context.Context, req mcp.Request, c *mcp.Cacheable) {
		if inner != nil {
			inner(ctx, req, c)
		}
		c.CacheScope = "private"
	}
	if opts.GetSessionID == nil {
		opts.GetSessionID = SessionID(sessionIDBytes)
	}
	if opts.PageSize == 0 {
		opts.PageSize = 1 << 30
	}
	return &opts
}

// SessionID returns a source of session ids with that many random bytes, at
// least 16, in visible ASCII.
func SessionID(bytes int) func() string {
	return func() string {
		id := make([]byte, max(bytes, 16))
		rand.Read(id) // never fails
		return base64.RawURLEncoding.EncodeToString(id)
	}
}
