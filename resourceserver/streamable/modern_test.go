package streamable

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestModern_TM01_Discover(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	a := c.modern("server/discover", "", "")
	var found struct {
		SupportedVersions []string                   `json:"supportedVersions"`
		Capabilities      map[string]json.RawMessage `json:"capabilities"`
		CacheScope        string                     `json:"cacheScope"`
		TTL               *int                       `json:"ttlMs"`
	}
	if err := json.Unmarshal(a.rpc.Result, &found); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %v %s", a.status, err, a.body)
	}
	if len(found.SupportedVersions) < 4 || found.SupportedVersions[0] != firstModern || found.Capabilities["tools"] == nil || a.header.Get(headerSession) != "" {
		t.Errorf("%s", a.body)
	}
	if found.CacheScope != "private" || found.TTL == nil || *found.TTL < 0 {
		t.Errorf("RS-20: %s", a.body)
	}
}

// RS-20: whatever depends on the token is nobody else's to cache.
func TestModern_RS20_CacheScopeIsPrivate(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	for method, params := range map[string]string{
		"server/discover": "", "tools/list": "", "prompts/list": "", "resources/list": "", "resources/templates/list": "",
		"resources/read": `"uri":"file:///public/readme"`,
	} {
		a := c.modern(method, params, strings.TrimSuffix(strings.TrimPrefix(params, `"uri":"`), `"`))
		if a.status != http.StatusOK || !strings.Contains(a.body, `"cacheScope":"private"`) || !strings.Contains(a.body, `"ttlMs":`) {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestModern_TM05_MetaIsRequired(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	const version, capable = `"io.modelcontextprotocol/protocolVersion":"2026-07-28"`, `"io.modelcontextprotocol/clientCapabilities":{}`
	for meta, want := range map[string]int{
		"": 400, `"_meta":{}`: 400, `"_meta":{` + version + `}`: 400, `"_meta":{` + capable + `}`: 400,
		`"_meta":{` + version + `,"io.modelcontextprotocol/clientCapabilities":7}`: 400,
		`"_meta":{` + version + `,` + capable + `}`:                                200,
	} {
		a := c.send(http.MethodPost, request("tools/list", meta), modernHeader("tools/list", "")...)
		if a.status != want || want == 400 && a.code() != -32602 {
			t.Errorf("%s: %d %s", meta, a.status, a.body)
		}
	}
}

func TestModern_TM06_TM09_OnlyDeclaredCapabilitiesAreUsed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, ask := range map[string]mcp.InputRequest{
		"elicitation": &mcp.ElicitParams{Message: "?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}}},
		"sampling":    &mcp.CreateMessageParams{MaxTokens: 1}, //nolint:staticcheck // deprecated, and still served
		"roots":       &mcp.ListRootsParams{},                 //nolint:staticcheck // deprecated, and still served
	} {
		mcp.AddTool(s.Server, &mcp.Tool{Name: name}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"q": ask}}, nil, nil
		})
	}
	c, _, _ := gated(t, s, nil)
	for _, name := range []string{"elicitation", "sampling", "roots"} {
		a := c.modern("tools/call", `"name":"`+name+`"`, name)
		if a.status != http.StatusBadRequest || a.code() != mcp.CodeMissingRequiredClientCapabilities || string(a.rpc.Error.Data) != `{"requiredCapabilities":{"`+name+`":{}}}` {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		declared := strings.Replace(modernBody("tools/call", `"name":"`+name+`"`), `clientCapabilities":{}`, `clientCapabilities":{"`+name+`":{}}`, 1)
		a = c.send(http.MethodPost, declared, modernHeader("tools/call", name)...)
		if a.status != http.StatusOK || !strings.Contains(string(a.rpc.Result), `"resultType":"input_required"`) || strings.Count(a.body, "data: {") != 1 {
			t.Errorf("%s, declared: %d %s", name, a.status, a.body)
		}
	}
}

func TestModern_TM08_MirroredParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddTool(&mcp.Tool{Name: "mirror", InputSchema: json.RawMessage(`{"type":"object","properties":{
		"region":{"type":"string","x-mcp-header":"Region"},"count":{"type":"integer","x-mcp-header":"Count"}}}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{}, nil
		})
	c, _, _ := gated(t, s, nil)
	for arguments, headers := range map[string]map[string]int{
		`{"region":"eu","count":1000}`: {
			"eu|1000": 200, "eu|1e3": 200, "=?base64?ZXU=?=|1000": 200, "EU|1000": 400, "eu|1001": 400, "|1000": 400, "eu|": 400, "=?base64?!?=|1000": 400,
		},
		`{"region":"caf\u00e9"}`:       {"=?base64?Y2Fmw6k=?=|": 200, "cafe|": 400},
		`{"region":null}`:              {"|": 200, "eu|": 400},
		`{"region":"a\r\nX-Admin: 1"}`: {"a X-Admin: 1|": 400},
	} {
		for values, want := range headers {
			region, count, _ := strings.Cut(values, "|")
			var header []string
			if region != "" {
				header = append(header, "Mcp-Param-Region", region)
			}
			if count != "" {
				header = append(header, "Mcp-Param-Count", count)
			}
			a := c.modern("tools/call", `"name":"mirror","arguments":`+arguments, "mirror", header...)
			if a.status != want || want == 400 && a.code() != mcp.CodeHeaderMismatch {
				t.Errorf("%s, %s: %d %s", arguments, values, a.status, a.body)
			}
		}
	}
}

func TestModern_TM12_ListenAcknowledgesFirst(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, e, _ := gated(t, s, nil)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	resp := c.do(ctx, http.MethodPost, modernBody("subscriptions/listen", `"notifications":{"toolsListChanged":true}`), modernHeader("subscriptions/listen", "")...)
	stream := bufio.NewReader(resp.Body)
	const tag = `"io.modelcontextprotocol/subscriptionId":7`
	if _, data := nextData(t, stream); !strings.Contains(data, "notifications/subscriptions/acknowledged") || !strings.Contains(data, `"toolsListChanged":true`) || !strings.Contains(data, tag) {
		t.Errorf("first: %s", data)
	}
	s.RemovePrompts("audit") // nobody asked for that
	s.RemoveTools("plain")
	if _, data := nextData(t, stream); !strings.Contains(data, "notifications/tools/list_changed") || !strings.Contains(data, tag) {
		t.Errorf("then: %s", data)
	}
	e.CloseSessions(nil) // the server stops
	if _, data := nextData(t, stream); !strings.Contains(data, `"result":{`) || !strings.Contains(data, `"id":7`) || !strings.Contains(data, tag) {
		t.Errorf("last: %s", data)
	}
	if _, err := stream.ReadString(0); err == nil || ctx.Err() != nil {
		t.Errorf("the stream goes on: %v", err)
	}
}

func TestModern_TM13_LogMessagesOnlyOnRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mcp.AddTool(s.Server, &mcp.Tool{Name: "chatter"}, func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "error", Data: "here"}) //nolint:staticcheck // deprecated, and still served
	})
	c, _, _ := gated(t, s, nil)
	for level, want := range map[string]bool{"": false, "warning": true, "emergency": false} {
		body := modernBody("tools/call", `"name":"chatter"`)
		if level != "" {
			body = strings.Replace(body, `"_meta":{`, `"_meta":{"io.modelcontextprotocol/logLevel":"`+level+`",`, 1)
		}
		a := c.send(http.MethodPost, body, modernHeader("tools/call", "chatter")...)
		if a.status != http.StatusOK || strings.Contains(a.body, "notifications/message") != want {
			t.Errorf("%q: %d %s", level, a.status, a.body)
		}
	}
}

func TestModern_TM14_ResultsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	for method, params := range map[string]string{
		"server/discover": "", "tools/list": "", "prompts/list": "", "resources/list": "", "resources/templates/list": "",
		"tools/call": `"name":"read"`, "prompts/get": `"name":"audit"`, "resources/read": `"uri":"file:///public/readme"`,
		"completion/complete": `"ref":{"type":"ref/prompt","name":"audit"},"argument":{"name":"x","value":""}`,
	} {
		_, name, _ := strings.Cut(params, `:"`)
		name, _, _ = strings.Cut(name, `"`)
		if method == "completion/complete" {
			name = ""
		}
		a := c.modern(method, params, name)
		if a.status != http.StatusOK || !strings.Contains(string(a.rpc.Result), `"resultType":"complete"`) || !strings.Contains(string(a.rpc.Result), "serverInfo") {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestModern_TM15_OnlyDefinedErrorCodes(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	if a := c.modern("resources/read", `"uri":"notes://a/b/c"`, "notes://a/b/c"); a.code() != -32602 {
		t.Errorf("a missing resource: %d %s", a.status, a.body)
	}
	defined := map[int]bool{-32020: true, -32021: true, -32022: true}
	for method, names := range map[string][]string{
		"tools/call": {`"name":"none"`, `"name":"read","arguments":[]`, ""}, "prompts/get": {`"name":"none"`, ""},
		"resources/read": {`"uri":"x"`, ""}, "tools/list": {`"cursor":"x"`, `"cursor":7`}, "none/such": {""},
		"completion/complete": {"", `"ref":{"type":"none"}`}, "subscriptions/listen": {""}, "server/discover": {`"x":1`},
	} {
		for _, params := range names {
			_, name, _ := strings.Cut(params, `:"`)
			name, _, _ = strings.Cut(name, `"`)
			a := c.modern(method, params, name)
			if code := a.code(); code == -32002 || code == -32042 || code <= -32020 && code >= -32099 && !defined[code] {
				t.Errorf("%s %s: %d %s", method, params, a.status, a.body)
			}
			if a.rpc.Error != nil && (a.code() == 0 || strings.Contains(a.body, "mcp.") || strings.Contains(a.body, "unmarshal")) {
				t.Errorf("S25: %s %s: %d %s", method, params, a.status, a.body)
			}
		}
	}
}

// Two endpoints take turns: neither knows what the other was told.
func TestModern_TM17_NoRequestNeedsAnEarlierOne(t *testing.T) {
	t.Parallel()
	one, _, _ := gated(t, newServer(t), nil)
	two, _, _ := gated(t, newServer(t), nil)
	for i, method := range []string{"tools/list", "server/discover", "prompts/list", "tools/call", "tools/list", "tools/call"} {
		params, name := "", ""
		if method == "tools/call" {
			params, name = `"name":"read"`, "read"
		}
		if a := []*client{one, two}[i%2].modern(method, params, name); a.status != http.StatusOK || a.rpc.Error != nil {
			t.Errorf("%d, %s: %d %s", i, method, a.status, a.body)
		}
	}
}

// A schema may refer to another one somewhere else; nobody goes there for it.
func TestModern_TM18_ReferencesOfSchemasAreNotFetched(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		_, _ = w.Write([]byte(`{"type":"string"}`))
	}))
	t.Cleanup(elsewhere.Close)
	s := newServer(t)
	schema := json.RawMessage(`{"type":"object","properties":{"x":{"$ref":"` + elsewhere.URL + `/schema.json"}}}`)
	s.AddTool(&mcp.Tool{Name: "refers", InputSchema: schema}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{}, nil
	})
	c, _, _ := gated(t, s, nil)
	c.initialize()
	arguments := `"name":"refers","arguments":{"x":{"$ref":"` + elsewhere.URL + `/argument.json"}}`
	for _, a := range []answer{
		c.modern("tools/call", arguments, "refers"), c.send(http.MethodPost, request("tools/call", arguments)), c.modern("tools/list", "", ""),
	} {
		if a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests went elsewhere", hits.Load())
	}
}
