package policy

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func version(v string) http.Header {
	if v == "" {
		return http.Header{}
	}
	return http.Header{"Mcp-Protocol-Version": {v}}
}

func TestRead_WhatAMessageWants(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]Operation{
		``:       {{}},
		" \r\n ": {{}},
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","arguments":{"name":"x"}}}`:                 {{Method: "tools/call", Name: "read_note", ID: json.RawMessage("1")}},
		` { "id" : "a" , "params" : { "uri" : "file:\/\/\/x" } , "method" : "resources/read" , "jsonrpc":"2.0" } `:              {{Method: "resources/read", URI: "file:///x", ID: json.RawMessage(`"a"`)}},
		`{"jsonrpc":"2.0","id":-1,"m\u0065thod":"pr\u006fmpts/get","params":{"n\u0061me":"p\"q"}}`:                              {{Method: "prompts/get", Name: `p"q`, ID: json.RawMessage("-1")}},
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:                                                                {{Method: "notifications/initialized"}},
		`{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}`:                                                             {{ID: json.RawMessage("1")}},
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}`:                                                              {{ID: json.RawMessage("1")}},
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}`:                                                          {{Method: "tools/list", ID: json.RawMessage("1")}},
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"}}}`:             {{Method: "completion/complete", Name: "p", ID: json.RawMessage("1")}},
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"notes://{id}"}}}`: {{Method: "completion/complete", URI: "notes://{id}", ID: json.RawMessage("1")}},
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`: {{
			Method: "server/discover", ID: json.RawMessage("1"), Version: "2026-07-28",
		}},
		`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:1","b:2"]}}}`: {
			{Method: "subscriptions/listen", ID: json.RawMessage("1")},
			{Method: "subscriptions/listen", ID: json.RawMessage("1"), URI: "a:1"},
			{Method: "subscriptions/listen", ID: json.RawMessage("1"), URI: "b:2"},
		},
		// A batch, in the revision that has them.
		`[{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}]`: {
			{Method: "tools/list", ID: json.RawMessage("1")}, {Method: "tools/call", Name: "t", ID: json.RawMessage("2")},
		},
	} {
		got, err := Read(http.Header{}, http.MethodPost, []byte(body))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n gives %+v, %v\n want %+v", body, got, err, want)
		}
	}
}

func TestRead_GetAndDeleteAreSessionOperations(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodHead} {
		ops, err := Read(http.Header{}, method, []byte(`{"method":"tools/call"`))
		if err != nil || len(ops) != 1 || ops[0].Family() != FamilySession {
			t.Errorf("%s: %+v, %v", method, ops, err)
		}
	}
}

func TestSeed_S24_BodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}`
	}
	if _, err := Read(nil, http.MethodPost, []byte(deep(maxDepth-2))); err != nil {
		t.Errorf("%d levels: %v", maxDepth, err)
	}
	many := strings.Repeat(`{"jsonrpc":"2.0","method":"notifications/x"},`, maxBatch)
	listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":%}}`
	for body, code := range map[string]int{
		`{"jsonrpc":"2.0","id":1,"method":"ping"`:                                         CodeParseError,
		`{"jsonrpc":"2.0","id":1,"method":"ping"} {}`:                                     CodeParseError, // the SDK reads the first value only
		"\xef\xbb\xbf" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`:                       CodeParseError,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\xff\"}":                          CodeParseError,
		`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`:                                 CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"x"}`:                      CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"ping","x":{"a":[{"b":1,"b":2}]}}`:              CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}`: CodeInvalidRequest,
		deep(maxDepth - 1): CodeInvalidRequest,
		`"tools/call"`:     CodeInvalidRequest,
		`5`:                CodeInvalidRequest,
		`null`:             CodeInvalidRequest,
		`{}`:               CodeInvalidRequest,
		`[]`:               CodeInvalidRequest,
		`[[]]`:             CodeInvalidRequest,
		`["tools/call"]`:   CodeInvalidRequest,
		`[` + many + `{"jsonrpc":"2.0","method":"notifications/x"}]`:                                              CodeInvalidRequest,
		`[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]`:                                            CodeInvalidRequest,
		`{"jsonrpc":"1.0","id":1,"method":"ping"}`:                                                                CodeInvalidRequest,
		`{"id":1,"method":"ping"}`:                                                                                CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`:                                                             CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":true,"method":"ping"}`:                                                             CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":{},"method":"ping"}`:                                                               CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", maxID) + `","method":"ping"}`:                             CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":null}`:                                                                  CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":""}`:                                                                    CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":["tools/call"]}`:                                                        CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1}`:                                                                                CodeInvalidRequest,
		`{"jsonrpc":"2.0","result":{}}`:                                                                           CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["t"]}`:                                           CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`:                                      CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":["a"]}}`:                               CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}`:                                          CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":"p"}}`:                            CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"name":"p","uri":"a:b"}}}`:       CodeInvalidParams,
		strings.Replace(listen, "%", `[]`, 1):                                                                     CodeInvalidParams,
		strings.Replace(listen, "%", `{"resourceSubscriptions":"a:b"}`, 1):                                        CodeInvalidParams,
		strings.Replace(listen, "%", `{"resourceSubscriptions":[5]}`, 1):                                          CodeInvalidParams,
		strings.Replace(listen, "%", `{"resourceSubscriptions":[""]}`, 1):                                         CodeInvalidParams,
		strings.Replace(listen, "%", `{"resourceSubscriptions":["a:b"`+strings.Repeat(`,"a:b"`, maxURIs)+`]}`, 1): CodeInvalidParams,
	} {
		ops, err := Read(http.Header{}, http.MethodPost, []byte(body))
		refusal, ok := errors.AsType[*Error](err)
		if !ok || refusal.Code != code || refusal.Status != http.StatusBadRequest || refusal.Message == "" {
			t.Errorf("%.200s\n gives %+v, %v; want the code %d", body, ops, err, code)
		}
	}
}

func TestRead_TR05_BatchOnlyIn20250326(t *testing.T) {
	t.Parallel()
	body := []byte(`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`)
	for v, want := range map[string]bool{"": true, "2025-03-26": true, "2024-11-05": false, "2025-06-18": false, "2025-11-25": false, "2026-07-28": false} {
		if _, err := Read(version(v), http.MethodPost, body); (err == nil) != want {
			t.Errorf("version %q: %v", v, err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","arguments":{"id":"01J","tags":["a","b"]},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
	header := version("2026-07-28")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(header, http.MethodPost, body); err != nil {
			b.Fatal(err)
		}
	}
}
