package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/test/bench/load"
)

// calling is P4: both eras, with one token and with a new one on each call.
// The new ones come last, because what the gate remembers of them is heap that
// both sides would have to share.
func (b *bench) calling(ctx context.Context) ([]row, error) {
	var rows []row
	for _, f := range []figure{
		{name: "stateless, warm token", file: "p4-stateless-warm", bar: 0.97},
		{name: "stateful, warm token", file: "p4-stateful-warm", bar: 0.97},
		{name: "stateless, new ES256 token each", file: "p4-stateless-new", bar: 0.55},
		{name: "stateful, new ES256 token each", file: "p4-stateful-new", bar: 0.55},
	} {
		stateful, fresh := strings.HasPrefix(f.name, "stateful"), strings.Contains(f.name, "new")
		f.id, f.name = "P4", "MCP tools/call, "+f.name
		var err error
		if f.ours, f.limit, err = b.callers(ctx, stateful, fresh); err != nil {
			return nil, err
		}
		r, err := b.duel(ctx, f)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// callers returns the two sides.
func (b *bench) callers(ctx context.Context, stateful, fresh bool) (ours, limit side, err error) {
	s := b.stage
	token, err := s.token(ctx, jwtClient)
	if err != nil {
		return ours, limit, err
	}
	if ours, err = b.caller(ctx, s.resource, token, stateful); err != nil {
		return ours, limit, err
	}
	if limit, err = b.caller(ctx, s.bare, "", stateful); err != nil {
		return ours, limit, err
	}
	if fresh {
		ours.prepare = b.freshTokens(ours, token)
	}
	return ours, limit, nil
}

// caller makes a side that calls the tool with one token, or with none. In the
// era of sessions each connection has its own.
func (b *bench) caller(ctx context.Context, address, token string, stateful bool) (side, error) {
	var requests [connections][]byte
	for i := range requests {
		session := ""
		if stateful {
			var err error
			if session, err = b.stage.session(ctx, address, token); err != nil {
				return side{}, err
			}
		}
		var err error
		if requests[i], err = wire(call(ctx, address, token, session)); err != nil {
			return side{}, err
		}
	}
	return side{address: hostOf(address), want: greeting, prepare: func(context.Context, time.Duration) (func(int) load.Next, error) {
		return func(i int) load.Next { return load.Always(requests[i]) }, nil
	}}, nil
}

// fastest is more calls than a core and a half verify in a second: how many
// tokens are made for a slice, which ends early should they run out.
const fastest = 16_000

// freshTokens replaces the token in each request of a side by a new one.
func (b *bench) freshTokens(of side, token string) func(context.Context, time.Duration) (func(int) load.Next, error) {
	return func(ctx context.Context, d time.Duration) (func(int) load.Next, error) {
		same, err := of.prepare(ctx, d)
		if err != nil {
			return nil, err
		}
		each := int(d.Seconds()*fastest)/connections + 1
		tokens, err := b.stage.tokens(ctx, jwtClient, each*connections)
		if err != nil {
			return nil, fmt.Errorf("making tokens: %w", err)
		}
		return func(i int) load.Next {
			head, tail, _ := bytes.Cut(same(i)(nil), []byte(token))
			mine := tokens[i*each : (i+1)*each]
			return func(buffer []byte) []byte {
				if len(mine) == 0 {
					return nil
				}
				buffer = append(append(append(buffer, head...), mine[0]...), tail...)
				mine = mine[1:]
				return buffer
			}
		}, nil
	}
}
