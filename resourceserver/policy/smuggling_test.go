package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TM-19: mirrored headers grant nothing, in no revision.
func TestRead_TM19_HeadersAreNotTheMessage(t *testing.T) {
	t.Parallel()
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"admin_tool"}}`)
	for _, v := range []string{"", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
		header := version(v)
		header.Set("Mcp-Method", "ping")
		header.Set("Mcp-Name", "read_tool")
		ops, err := Read(header, http.MethodPost, body)
		if err != nil || len(ops) != 1 || ops[0].Method != "tools/call" || ops[0].Name != "admin_tool" {
			t.Errorf("version %q: %+v, %v", v, ops, err)
		}
	}
	batch := []byte(`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_tool"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"admin_tool"}}]`)
	ops, err := Read(version("2025-03-26"), http.MethodPost, batch)
	if err != nil || len(ops) != 2 || ops[1].Name != "admin_tool" {
		t.Errorf("a batch: %+v, %v", ops, err)
	}
}

// What readers of JSON understand differently is refused: what the policy
// judges is what every server behind it does.
func TestRead_TM19_NothingHasTwoMeanings(t *testing.T) {
	t.Parallel()
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`
	}
	for name, body := range map[string]string{
		"name twice":             call(`{"name":"read_tool","name":"admin_tool"}`),
		"name twice, escaped":    call(`{"name":"read_tool","na\u006de":"admin_tool"}`),
		"Name beside name":       call(`{"name":"read_tool","Name":"admin_tool"}`),
		"NAME alone":             call(`{"NAME":"admin_tool"}`),
		"Name, escaped":          call(`{"name":"read_tool","\u004eame":"admin_tool"}`),
		"_META":                  call(`{"name":"read_tool","_META":{}}`),
		"the version's member":   call(`{"name":"read_tool","_meta":{"io.modelcontextprotocol/protocolversion":"2026-07-28"}}`),
		"params twice":           `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_tool"},"params":{"name":"admin_tool"}}`,
		"Params":                 `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_tool"},"Params":{"name":"admin_tool"}}`,
		"a long s in params":     `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_tool"},"paramſ":{"name":"admin_tool"}}`,
		"method twice":           `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"admin_tool"}}`,
		"Method":                 `{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"admin_tool"}}`,
		"method, escaped":        `{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call","params":{"name":"admin_tool"}}`,
		"Method of a response":   `{"jsonrpc":"2.0","id":1,"result":{},"METHOD":"tools/call","params":{"name":"admin_tool"}}`,
		"ID":                     `{"jsonrpc":"2.0","id":1,"ID":2,"method":"ping"}`,
		"jsonRPC":                `{"jsonRPC":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}`,
		"Result":                 `{"jsonrpc":"2.0","id":1,"method":"ping","Result":{}}`,
		"URI":                    `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b","URI":"c:d"}}`,
		"Uri to subscribe to":    `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"Uri":"c:d"}}`,
		"Ref":                    `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"},"Ref":{}}}`,
		"Name of a prompt":       `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p","Name":"q"}}}`,
		"Notifications":          `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"Notifications":{"resourceSubscriptions":["a:b"]}}}`,
		"resourcesubscriptions":  `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourcesubscriptions":["a:b"]}}}`,
		"twice in the arguments": call(`{"name":"read_tool","arguments":{"a":[{"x":1,"x":2}]}}`),
		"a mark in front":        "\xef\xbb\xbf" + call(`{"name":"read_tool"}`),
		"UTF-16":                 "\xff\xfe{\x00}\x00",
		"two messages":           call(`{"name":"read_tool"}`) + call(`{"name":"admin_tool"}`),
		"a zero behind":          call(`{"name":"read_tool"}`) + "\x00",
		"a zero in a string":     call("{\"name\":\"read_tool\x00\"}"),
		"a comment":              call(`{"name":"read_tool"/*","x":"*/}`),
		"a batch within":         `[[` + call(`{"name":"admin_tool"}`) + `]]`,
		"one of a batch":         `[` + call(`{"name":"read_tool"}`) + `,` + call(`{"name":"read_tool","Name":"admin_tool"}`) + `]`,
	} {
		ops, err := Read(http.Header{}, http.MethodPost, []byte(body))
		if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Status != http.StatusBadRequest || strings.Contains(refusal.Message, "tool") {
			t.Errorf("%s: %+v, %v", name, ops, err)
		}
	}
}

// What looks strange but has one meaning is read for what it is.
func TestRead_TM19_OneMeaningIsEnough(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]string{
		`{"na\u006de":"admin_\u0074ool"}`:                                            "admin_tool",
		`{"name":"admin_tool","arguments":{"name":"read_tool","Name":"x","NAME":1}}`: "admin_tool",
		`{"arguments":{"params":{"name":"read_tool"}},"name":"admin_tool"}`:          "admin_tool",
		`{"name":"admin_tool\u0000"}`:                                                "admin_tool\x00", // is no tool
		`{"name":" admin_tool"}`:                                                     " admin_tool",
		`{"name":"Admin_Tool"}`:                                                      "Admin_Tool",
		`{"name":"\ud800"}`:                                                          "\ufffd",
		`{"_meta":{"name":"read_tool"},"name":"admin_tool"}`:                         "admin_tool",
		`{"name":"` + strings.Repeat("x", 1<<20) + `"}`:                              strings.Repeat("x", 1<<20),
	} {
		ops, err := Read(http.Header{}, http.MethodPost, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`))
		if err != nil || len(ops) != 1 || ops[0].Name != want {
			t.Errorf("%.100s: %.200v, %v", params, ops, err)
		}
	}
}

// An answer has to find its request: an id that a reader would change is no id.
func TestRead_IDsAreKept(t *testing.T) {
	t.Parallel()
	for id, good := range map[string]bool{
		"0": true, "-1": true, "9007199254740991": true, "-9007199254740991": true, "1.0": true, "1e3": true, `""`: true, `"1"`: true, `"\u00e9"`: true,
		"9007199254740992": false, "9007199254740993": false, "-9007199254740992": false, "1.5": false, "1e400": false, "1e-1": false,
		"null": false, "true": false, "[1]": false, `{"a":1}`: false,
	} {
		ops, err := Read(http.Header{}, http.MethodPost, []byte(`{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`))
		if (err == nil) != good || good && string(ops[0].ID) != id {
			t.Errorf("%s: %+v, %v", id, ops, err)
		}
	}
}

// A huge body with very many members is read in a time that grows with its size.
func TestRead_TM19_ManyMembersAreNoBurden(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	body.WriteString(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"admin_tool"`)
	for i := range 200_000 {
		fmt.Fprintf(&body, `,"n%d":0`, i)
	}
	body.WriteString("}}")
	if ops, err := Read(http.Header{}, http.MethodPost, []byte(body.String())); err != nil || ops[0].Name != "admin_tool" {
		t.Errorf("%+v, %v", ops, err)
	}
}

// FuzzRead proves that Read and the SDK agree on the kind of message, its id,
// its method and what it names whenever both accept it, and so does the
// standard decoder, which does not mind case; and that Read never panics.
func FuzzRead(f *testing.F) {
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":[1,{"b":null}]}}}`,
		`{"jsonrpc":"2.0","id":"x","m\u0065thod":"resources/read","Method":"ping","params":{"uri":"file:///x\ud800"}}`,
		`{"jsonrpc":"2.0","id":1e3,"result":{}}`, `{"jsonrpc":"2.0","method\u0000":"x","method":"ping","id":1} {}`,
		"\ufeff{}", `{"jsonrpc":"2.0","id":1,"method":"\u0000tools/call"}`, `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`,
		`{"jsonrpc":"2.0","id":9007199254740993,"method":"prompts/get","params":{"name":"p","Name":"q"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","paramſ":{"name":"t"},"params":{"NAME":"u"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"a:{b}"},"argument":{"name":"x","value":""}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a:b"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["a:b","c:d"]}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ops, err := Read(http.Header{}, http.MethodPost, body)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%T is not an *Error", err)
			}
			return
		}
		message, err := jsonrpc.DecodeMessage(body)
		if err != nil || len(ops) == 0 {
			return // the SDK is stricter, or this is a batch or nothing
		}
		request, ok := message.(*jsonrpc.Request)
		if !ok {
			request = &jsonrpc.Request{ID: message.(*jsonrpc.Response).ID}
		}
		if ops[0].Method != request.Method {
			t.Fatalf("%q: we read the method %q, the SDK %q", body, ops[0].Method, request.Method)
		}
		if ours, theirs := decodedID(t, ops[0].ID), request.ID.Raw(); ours != theirs {
			t.Fatalf("%q: we read the id %v, the SDK %v", body, ours, theirs)
		}
		wantSameNames(t, request, ops)
	})
}

// decodedID is what the SDK makes of an id.
func decodedID(t *testing.T, id json.RawMessage) any {
	t.Helper()
	if id == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(id, &v); err != nil {
		t.Fatal(err)
	}
	if number, ok := v.(float64); ok {
		return int64(number)
	}
	return v
}

// wantSameNames decodes the parameters into the SDK's types by the standard
// decoder and compares what they name with ops.
func wantSameNames(t *testing.T, request *jsonrpc.Request, ops []Operation) {
	t.Helper()
	var params any
	var names func() []string
	switch request.Method {
	case "tools/call":
		p := &mcp.CallToolParamsRaw{}
		params, names = p, func() []string { return []string{p.Name} }
	case "prompts/get":
		p := &mcp.GetPromptParams{}
		params, names = p, func() []string { return []string{p.Name} }
	case "resources/read":
		p := &mcp.ReadResourceParams{}
		params, names = p, func() []string { return []string{p.URI} }
	case "resources/subscribe", "resources/unsubscribe":
		p := &mcp.SubscribeParams{}
		params, names = p, func() []string { return []string{p.URI} }
	case "completion/complete":
		p := &mcp.CompleteParams{Ref: &mcp.CompleteReference{}}
		params, names = p, func() []string { return []string{p.Ref.Name + p.Ref.URI} }
	case "subscriptions/listen":
		p := &mcp.SubscriptionsListenParams{Notifications: &mcp.NotificationSubscriptions{}}
		params, names = p, func() []string { return append([]string{""}, p.Notifications.ResourceSubscriptions...) }
	default:
		return
	}
	if len(request.Params) == 0 || string(request.Params) == "null" || json.Unmarshal(request.Params, params) != nil {
		return // the SDK is stricter
	}
	if strings.Contains(string(request.Params), "null") {
		return // nothing is named where something could be
	}
	for i, name := range names() {
		if i >= len(ops) || ops[i].Name+ops[i].URI != name {
			t.Fatalf("%s %s: we read %+v, the SDK %q", request.Method, request.Params, ops, names())
		}
	}
}
