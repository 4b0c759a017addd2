package streamable

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestEras_OneEndpointServesBoth(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	a := c.modern("server/discover", "", "")
	if a.status != http.StatusOK || a.header.Get(headerSession) != "" {
		t.Fatalf("discover: %d %s", a.status, a.body)
	}
	for _, version := range []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
		if !strings.Contains(string(a.rpc.Result), `"`+version+`"`) {
			t.Errorf("discover does not list %s: %s", version, a.rpc.Result)
		}
	}
	if a := c.modern("tools/call", `"name":"read"`, "read"); a.status != http.StatusOK || !strings.Contains(a.body, "read for mcp:admin") {
		t.Errorf("modern call: %d %s", a.status, a.body)
	}
	if a := c.initialize(); a.status != http.StatusOK || !strings.Contains(a.body, `"protocolVersion":"2025-11-25"`) {
		t.Fatalf("initialize: %d %s", a.status, a.body)
	}
	if a := c.send(http.MethodPost, request("tools/call", `"name":"read"`), headerVersion, "2025-11-25"); !strings.Contains(a.body, "read for mcp:admin") {
		t.Errorf("legacy call: %d %s", a.status, a.body)
	}
}

func TestEras_TM02_ModernBodyNeedsTheHeader(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	withSession := *c
	withSession.initialize()
	for _, c := range []*client{c, &withSession} {
		for _, header := range [][]string{nil, {headerVersion, "2025-11-25"}, {headerMethod, "tools/list"}} {
			a := c.send(http.MethodPost, modernBody("tools/list", ""), header...)
			if a.status != http.StatusBadRequest || a.code() != mcp.CodeHeaderMismatch || string(a.rpc.ID) != "7" {
				t.Errorf("session %q, %q: %d %s", c.session, header, a.status, a.body)
			}
		}
	}
	a := c.send(http.MethodPost, request("tools/list", ""), modernHeader("tools/list", "")...)
	if a.status != http.StatusBadRequest || a.code() != -32602 {
		t.Errorf("TM-05: no _meta: %d %s", a.status, a.body)
	}
}

func TestEras_TM03_UnknownVersion(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	body := strings.Replace(modernBody("tools/list", ""), "2026-07-28", "2099-01-01", 1)
	a := c.send(http.MethodPost, body, headerVersion, "2099-01-01", headerMethod, "tools/list")
	var data struct {
		Supported []string `json:"supported"`
		Requested string   `json:"requested"`
	}
	if a.status != http.StatusBadRequest || a.code() != mcp.CodeUnsupportedProtocolVersion {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.rpc.Error.Data, &data); err != nil || data.Requested != "2099-01-01" || len(data.Supported) < 4 {
		t.Errorf("%+v, %v", data, err)
	}
}

func TestEras_TR06_UnsupportedLegacyVersion(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	a := c.send(http.MethodPost, request("tools/list", ""), headerVersion, "2023-01-01")
	if a.status != http.StatusBadRequest || a.code() != -32600 || !strings.Contains(a.rpc.Error.Message, "2025-11-25") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestEras_TR05_Batches(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	batch := "[" + request("tools/list", "") + "]"
	if a := c.send(http.MethodPost, batch, headerVersion, "2025-03-26"); a.status != http.StatusOK {
		t.Errorf("2025-03-26: %d %s", a.status, a.body)
	}
	for _, version := range []string{"2025-06-18", "2025-11-25", "2026-07-28"} {
		if a := c.send(http.MethodPost, batch, headerVersion, version); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", version, a.status, a.body)
		}
	}
}

func TestEras_TM04_RemovedMethods(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	for _, method := range []string{"initialize", "ping", "logging/setLevel", "resources/subscribe", "nothing/such"} {
		params := `"protocolVersion":"2026-07-28","capabilities":{},"level":"info","uri":"notes://all"`
		if a := c.modern(method, params, ""); a.status != http.StatusNotFound || a.code() != -32601 {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestEras_TM07_MirroredHeaders(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	uri := "notes://caf\u00e9"
	encoded := "=?base64?bm90ZXM6Ly9jYWbDqQ==?="
	if a := c.modern("resources/read", `"uri":"`+uri+`"`, encoded); a.status != http.StatusOK {
		t.Errorf("an encoded name: %d %s", a.status, a.body)
	}
	if a := c.modern("tools/call", `"name":"read"`, "=?base64?cmVhZA==?="); a.status != http.StatusOK {
		t.Errorf("an encoded name that need not be: %d %s", a.status, a.body)
	}
	for _, name := range []string{"", "write", "READ", "=?base64?!!!?=", "=?base64?d3JpdGU=?=", "=?base64?cmVhZB==?="} {
		if a := c.modern("tools/call", `"name":"read"`, name); a.status != http.StatusBadRequest || a.code() != mcp.CodeHeaderMismatch {
			t.Errorf("name %q: %d %s", name, a.status, a.body)
		}
	}
	for _, twice := range [][]string{{headerName, "read"}, {headerMethod, "ping"}, {headerVersion, "2025-11-25"}} {
		if a := c.modern("tools/call", `"name":"read"`, "read", twice...); a.status != http.StatusBadRequest || a.code() != mcp.CodeHeaderMismatch {
			t.Errorf("twice %q: %d %s", twice, a.status, a.body)
		}
	}
}

func TestEras_TM11_SessionLeftoversAreIgnored(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	a := c.modern("tools/call", `"name":"read"`, "read", headerSession, "forged", headerLastEventID, "x_1")
	if a.status != http.StatusOK || a.header.Get(headerSession) != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		a := c.send(method, "", headerVersion, "2026-07-28")
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestEras_TM10_ClosingTheResponseCancels(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _ := start(t, s, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	go func() {
		await(t, s.started)
		hangUp()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(modernBody("tools/call", `"name":"slow"`)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Content-Type", "application/json")
	for header := modernHeader("tools/call", "slow"); len(header) > 0; header = header[2:] {
		r.Header.Set(header[0], header[1])
	}
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
	}
	if err := await(t, s.done); err == nil {
		t.Error("the tool was not cancelled")
	}
}

func TestEras_S24_BodiesAreBounded(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), &Options{MaxBodyBytes: 1000})
	big := `"name":"read","arguments":{"x":"` + strings.Repeat("x", 1000) + `"}`
	if a := c.send(http.MethodPost, request("tools/call", big)); a.status != http.StatusRequestEntityTooLarge || a.code() != -32600 {
		t.Errorf("legacy: %d %s", a.status, a.body)
	}
	if a := c.modern("tools/call", big, "read"); a.status != http.StatusRequestEntityTooLarge || a.code() != -32600 {
		t.Errorf("modern: %d %s", a.status, a.body)
	}
}

func TestEras_S25_RefusalsAreJSON(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	a := c.send(http.MethodPost, "{", headerVersion, "2026-07-28")
	if a.status != http.StatusBadRequest || a.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(a.rpc.Error.Message, "invalid_request: ") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}
