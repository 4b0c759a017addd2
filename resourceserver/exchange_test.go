package resourceserver

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// events returns the log as one map per line with that message.
func (w *world) events(t *testing.T, msg string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for lines := bufio.NewScanner(strings.NewReader(w.log.String())); lines.Scan(); {
		var event map[string]any
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		if event["msg"] == msg {
			list = append(list, event)
		}
	}
	return list
}

func TestPanic_Is500WithoutDetail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	w.handler = func(http.ResponseWriter, *http.Request) { panic("hidden detail") }
	a := w.expect(t, w.Token(), listTools, http.StatusInternalServerError, "")
	if strings.Contains(a.body, "hidden") || !strings.Contains(a.body, `"id":7`) || !strings.Contains(a.body, `"message":"server_error: `) {
		t.Errorf("body %s", a.body)
	}
	if logged := w.events(t, "panic"); len(logged) != 1 || logged[0]["panic"] != "hidden detail" || logged[0]["request_id"] != a.Header.Get("X-Request-Id") {
		t.Errorf("logged %v", logged)
	}
	if e := w.events(t, "request"); len(e) != 1 || e[0]["outcome"] != "failed" || e[0]["status"] != 500.0 {
		t.Errorf("logged %v", e)
	}
}

func TestPanic_AfterTheAnswerBeganCutsTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	for _, with := range []any{errors.New("x"), http.ErrAbortHandler} {
		w.handler = func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(rw, "half")
			rw.(http.Flusher).Flush()
			panic(with)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.resource, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.Token())
		resp, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%v: the answer looks whole: %q", with, body)
		}
		resp.Body.Close()
	}
}

func TestLog_OneEventPerRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	secret := w.Token(rstest.Claims{"scope": "mcp:read"})
	long := strings.Repeat("x", 1000)
	w.post(t, "", ping)
	w.post(t, "forged-"+long, ping)
	w.post(t, secret, strings.Replace(callTool, "write_note", long, 1))
	w.post(t, secret, readAll)
	eventually(t, func() bool { return len(w.events(t, "request")) == 4 })
	e := w.events(t, "request")
	for i, want := range []struct{ outcome, reason, method any }{
		{"refused", "missing_token", "ping"}, {"refused", "invalid_token", "ping"}, {"refused", "insufficient_scope", "tools/call"}, {"passed", nil, "resources/read"},
	} {
		if e[i]["outcome"] != want.outcome || e[i]["reason"] != want.reason || e[i]["method"] != want.method || e[i]["request_id"] == "" || e[i]["duration"] == nil {
			t.Errorf("event %d: %v", i, e[i])
		}
	}
	if e[2]["subject"] != "alice" || e[2]["client_id"] != "client" || len(e[2]["name"].(string)) != 128 {
		t.Errorf("event %v", e[2])
	}
	if log := w.log.String(); strings.Contains(log, "forged-") || strings.Contains(log, secret[:20]) {
		t.Error("a token is in the log")
	}
	denied := w.events(t, "authorization failed")
	if len(denied) != 1 || denied[0]["level"] != "WARN" || denied[0]["scope_needed"] != "mcp:read mcp:tools" || denied[0]["remote_addr"] == "" {
		t.Errorf("security log %v", denied)
	}
	failed := w.events(t, "authentication failed")
	if len(failed) != 2 || failed[0]["level"] != "INFO" || failed[1]["level"] != "WARN" {
		t.Errorf("security log %v", failed)
	}
}

func TestMetrics_Contract(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(w *world, cfg *Config) {
		credentials(w, cfg)
		cfg.Metrics = registry
	}).ready(t)
	token := w.Token(rstest.Claims{"scope": "mcp:read"})
	w.post(t, token, readAll)
	w.post(t, token, readAll)
	w.post(t, token, callTool)
	w.post(t, "bad", "["+ping+","+admin+"]")
	w.post(t, "", "["+readAll+","+callTool+"]")
	w.do(t, "POST", "", ping, func(r *http.Request) { r.Host = "evil.example" })
	eventually(t, func() bool { return len(w.events(t, "request")) == 6 })
	for _, want := range []struct {
		name   string
		labels string
		value  float64
	}{
		{"mcp_auth_success_total", "method=resources", 2},
		{"mcp_auth_failure_total", "method=tools reason=insufficient_scope", 1},
		{"mcp_auth_failure_total", "method=admin reason=invalid_token", 1},
		{"mcp_auth_failure_total", "method=other reason=missing_token", 1},
		{"mcp_auth_failure_total", "method=session reason=origin_not_allowed", 1},
		{"mcp_requests_total", "code=200 method=resources", 2},
		{"mcp_requests_total", "code=403 method=tools", 1},
		{"mcp_requests_total", "code=401 method=admin", 1},
		{"mcp_request_duration_seconds", "", 6},
		{"mcp_token_cache_hits_total", "", 2},
	} {
		if got := metric(t, registry, want.name, want.labels); got != want.value {
			t.Errorf("%s{%s} is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	if lag := metric(t, registry, "mcp_revocation_feed_lag_seconds", ""); lag < 0 || lag > 25 {
		t.Errorf("lag %v", lag)
	}
	if _, err := New(t.Context(), Config{Resource: "https://h/mcp", Issuer: "http://localhost:1", Metrics: registry}); err == nil {
		t.Error("a second server on the same registry")
	}
}

// metric returns a counter, a gauge or the count of a histogram.
func metric(t *testing.T, registry *prometheus.Registry, name, labels string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var pairs []string
			for _, l := range m.GetLabel() {
				pairs = append(pairs, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(pairs)
			if family.GetName() == name && strings.Join(pairs, " ") == labels {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return -1
}

func TestExchange_Family(t *testing.T) {
	t.Parallel()
	for want, methods := range map[string][]string{
		"session": {"initialize", ""}, "tools": {"ping", "tools/call", "tools/list"}, "other": {"tools/call", "prompts/get"}, "resources": {"", "resources/read"},
	} {
		x := &exchange{}
		for _, method := range methods {
			x.ops = append(x.ops, policy.Operation{Method: method})
		}
		if got := x.family(); got != want {
			t.Errorf("%v: %s", methods, got)
		}
	}
}

// Whoever has no token writes no more into the log than a line.
func TestSeed_S25_LogIsBoundedWhateverTheVerb(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	w.do(t, strings.Repeat("V", 20_000), "", "", nil)
	eventually(t, func() bool { return strings.Contains(w.log.String(), `"verb":"V`) })
	if n := len(w.log.String()); n > 10_000 {
		t.Errorf("one request wrote %d bytes", n)
	}
}
