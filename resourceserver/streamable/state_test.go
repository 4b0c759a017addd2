package streamable

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

func newSealer(t *testing.T, fill byte) *StateSealer {
	t.Helper()
	s, err := NewStateSealer(bytes.Repeat([]byte{fill}, 32), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// callOf is a tools/call by user with that state.
func callOf(user, name, arguments, state string) *mcp.CallToolRequest {
	return &mcp.CallToolRequest{
		Params: &mcp.CallToolParamsRaw{Name: name, Arguments: json.RawMessage(arguments), RequestState: state},
		Extra:  &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: user}},
	}
}

func TestState_RS19_IsSealed(t *testing.T) {
	t.Parallel()
	s := newSealer(t, 1)
	sealed, err := s.Seal(callOf("alice", "delete", `{"id":1,"really":true}`, ""), []byte("confirmed"))
	if err != nil || strings.Contains(sealed, "confirmed") {
		t.Fatalf("%q, %v", sealed, err)
	}
	if plain, err := s.Open(callOf("alice", "delete", `{ "really" : true, "id" : 1 }`, sealed)); err != nil || string(plain) != "confirmed" {
		t.Errorf("%q, %v", plain, err)
	}
	last := byte('A')
	if sealed[len(sealed)-1] == last {
		last = 'E'
	}
	for name, req := range map[string]*mcp.CallToolRequest{
		"another principal": callOf("bob", "delete", `{"id":1,"really":true}`, sealed),
		"another tool":      callOf("alice", "read", `{"id":1,"really":true}`, sealed),
		"other arguments":   callOf("alice", "delete", `{"id":2,"really":true}`, sealed),
		"changed":           callOf("alice", "delete", `{"id":1,"really":true}`, sealed[:len(sealed)-1]+string(last)),
		"cut":               callOf("alice", "delete", `{"id":1,"really":true}`, sealed[:20]),
		"none":              callOf("alice", "delete", `{"id":1,"really":true}`, ""),
		"moved boundary":    callOf("alice", "delet", `e{"id":1,"really":true}`, sealed),
	} {
		if plain, err := s.Open(req); err == nil || err.Error() != "requestState is not valid" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	if _, err := newSealer(t, 2).Open(callOf("alice", "delete", `{"id":1,"really":true}`, sealed)); err == nil {
		t.Error("another key opens it")
	}
	if _, err := NewStateSealer(make([]byte, 16), time.Minute); err == nil {
		t.Error("a short key")
	}
	if _, err := s.Seal(&mcp.ListToolsRequest{}, nil); err == nil {
		t.Error("a list with state")
	}
}

func TestState_RS19_Expires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSealer(t, 1)
		req := &mcp.GetPromptRequest{Params: &mcp.GetPromptParams{Name: "p", Arguments: map[string]string{"a": "b"}}}
		sealed, err := s.Seal(req, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Params.RequestState = sealed
		<-time.After(time.Minute - time.Millisecond)
		if _, err := s.Open(req); err != nil {
			t.Errorf("in time: %v", err)
		}
		<-time.After(time.Millisecond)
		if _, err := s.Open(req); err == nil {
			t.Error("late")
		}
	})
}

// A handle is no authentication: whoever else has it can do nothing with it.
func TestState_RS18_HandlesOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	s, sealer := newServer(t), newSealer(t, 1)
	mcp.AddTool(s.Server, &mcp.Tool{Name: "basket"}, func(_ context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		if req.Params.RequestState == "" {
			state, err := sealer.Seal(req, []byte("three apples"))
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"roots": &mcp.ListRootsParams{}}, RequestState: state}, nil, err //nolint:staticcheck // deprecated, and still served
		}
		state, err := sealer.Open(req)
		if err != nil {
			return nil, nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(state)}}}, nil, nil
	})
	c, _, issuer := gated(t, s, nil)
	send := func(token, state string) answer {
		body := strings.Replace(modernBody("tools/call", `"name":"basket","requestState":"`+state+`"`), `clientCapabilities":{}`, `clientCapabilities":{"roots":{}}`, 1)
		return c.as(token).send(http.MethodPost, body, modernHeader("tools/call", "basket")...)
	}
	var result struct {
		State string `json:"requestState"`
	}
	a := send(c.token, "")
	if err := json.Unmarshal(a.rpc.Result, &result); err != nil || result.State == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := send(c.token, result.State); !strings.Contains(a.body, "three apples") {
		t.Errorf("the owner: %d %s", a.status, a.body)
	}
	for _, other := range []rstest.Claims{{"sub": "bob"}, {"client_id": "other"}} {
		if a := send(issuer.Token(all, other), result.State); a.status != http.StatusBadRequest || a.code() != -32602 {
			t.Errorf("%v: %d %s", other, a.status, a.body)
		}
	}
}
