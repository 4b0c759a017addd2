package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/demo"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
)

// Every metric, label and value that an alert or a dashboard watches is one
// that the servers have; a renamed one would be an alert that never fires and
// a panel that stays empty.
func TestSeed_S28_AlertsAndDashboardsWatchWhatExists(t *testing.T) {
	t.Parallel()
	cfg := startPair(t)(t)
	if err := demo.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	provoke(t, cfg)
	exposed := exposition{}
	exposed.read(scrape(t, cfg.Issuer+"/metrics"))
	exposed.read(scrape(t, strings.TrimSuffix(cfg.Resource, "/mcp")+"/metrics"))
	for _, watched := range slices.Concat(readAlerts(t), readDashboard(t)) {
		exposed.check(t, watched)
	}
}

// expression is PromQL and who asks it.
type expression struct{ owner, text string }

func readAlerts(t *testing.T) (out []expression) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" {
				t.Errorf("%s does not say how bad it is, or what", rule.Alert)
			}
			out = append(out, expression{"the alert " + rule.Alert, rule.Expr})
		}
	}
	for _, needed := range []string{`reason="insufficient_scope",method="admin"`, "mcp_auth_success_total", `reason="rate_limited"`, "mcp_sessions_active"} {
		if !slices.ContainsFunc(out, func(e expression) bool { return strings.Contains(e.text, needed) }) {
			t.Errorf("no alert watches %s", needed)
		}
	}
	return out
}

// dashboard is what of Grafana's model matters here.
type dashboard struct {
	SchemaVersion int
	UID           string
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Annotations struct {
		List []struct{ Name, Expr string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Targets     []query
	}
}

type query struct {
	Expr, LegendFormat string
	Datasource         struct{ UID string }
}

func readDashboard(t *testing.T) (out []expression) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/gatehouse.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil || d.SchemaVersion < 36 || d.UID == "" {
		t.Fatalf("schema %d, %v", d.SchemaVersion, err)
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			out = append(out, expression{"the variable " + v.Name, v.Definition})
		}
	}
	for _, a := range d.Annotations.List {
		out = append(out, expression{"the annotation " + a.Name, a.Expr})
	}
	d.checkLayout(t)
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			target.check(t, p.Title)
			out = append(out, expression{"the panel " + p.Title, target.Expr})
		}
	}
	if len(out) < 20 {
		t.Errorf("only %d expressions", len(out))
	}
	return out
}

// checkLayout finds panels that lie on each other, or are one.
func (d dashboard) checkLayout(t *testing.T) {
	t.Helper()
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d has no identity of its own", p.ID)
		}
		ids[p.ID] = true
		for i := range p.GridPos.W * p.GridPos.H {
			at := [2]int{p.GridPos.X + i%p.GridPos.W, p.GridPos.Y + i/p.GridPos.W}
			if other := taken[at]; other != "" || at[0] >= 24 {
				t.Fatalf("%q lies on %q, or beyond the edge", p.Title, other)
			}
			taken[at] = p.Title
		}
	}
}

// check finds a query that heeds no variable, or whose legend names what is
// summed up.
func (q query) check(t *testing.T, title string) {
	t.Helper()
	if q.Datasource.UID != "${datasource}" || !strings.Contains(q.Expr, `instance=~"$instance"`) {
		t.Errorf("%q does not heed the variables", title)
	}
	for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.LegendFormat, -1) {
		if !regexp.MustCompile(`by \([^)]*\b` + label[1] + `\b`).MatchString(q.Expr) {
			t.Errorf("the legend of %q names %s, which is summed up", title, label[1])
		}
	}
}

// exposition is what the servers have: values by metric and label.
type exposition map[string]map[string][]string

func (e exposition) read(text string) {
	sample := regexp.MustCompile(`(?m)^(\w+)(?:{([^\n]*)})? `)
	for _, line := range sample.FindAllStringSubmatch(text, -1) {
		labels := e[line[1]]
		if labels == nil {
			labels = map[string][]string{}
			e[line[1]] = labels
		}
		for _, pair := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(line[2], -1) {
			labels[pair[1]] = append(labels[pair[1]], pair[2])
		}
	}
}

// rare are values that exist and that the test does not provoke.
func rare(label string) []string {
	return map[string][]string{
		"reason": {resourceserver.CodeIPNotAllowed, resourceserver.CodeHTTPSRequired, resourceserver.CodeOriginNotAllowed, resourceserver.CodeRateLimited},
		"error":  {"server_error", "temporarily_unavailable"}, // RFC 6749 §4.1.2.1
	}[label]
}

// check finds every metric, label and value of an expression.
func (e exposition) check(t *testing.T, watched expression) {
	t.Helper()
	selectors := regexp.MustCompile(`\b((?:oauth|mcp)_\w+)(?:{([^}]*)})?`).FindAllStringSubmatch(watched.text, -1)
	if len(selectors) == 0 {
		t.Errorf("%s watches nothing", watched.owner)
	}
	for _, s := range selectors {
		metric := s[1]
		if e[metric] == nil {
			t.Errorf("%s watches %s, which no server has", watched.owner, metric)
			continue
		}
		for _, m := range regexp.MustCompile(`(\w+)\s*[=!]~?\s*"([^"]*)"`).FindAllStringSubmatch(s[2], -1) {
			if !e.has(metric, m[1], m[2]) {
				t.Errorf("%s watches %s{%s=%q}, which no server has", watched.owner, metric, m[1], m[2])
			}
		}
		for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(watched.text, -1) {
			for label := range strings.SplitSeq(by[1], ", ") {
				if !e.has(metric, label, "") {
					t.Errorf("%s groups %s by %s, which it does not have", watched.owner, metric, label)
				}
			}
		}
	}
}

// has reports whether the metric has the label and each of the values, which
// "|" separates. Prometheus itself adds the label instance.
func (e exposition) has(metric, label, values string) bool {
	if label == "instance" {
		return true
	}
	there := e[metric][label]
	for value := range strings.SplitSeq(values, "|") {
		if value != "" && !slices.Contains(there, value) && !slices.Contains(rare(label), value) {
			return false
		}
	}
	return there != nil
}

// provoke makes the servers refuse what the alerts are about.
func provoke(t *testing.T, cfg demo.Config) {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {cfg.Resource}}
	token := func(client demo.Client) string {
		request, err := http.NewRequest(http.MethodPost, cfg.Issuer+"/oauth/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(client.ID, client.Secret)
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(send(t, request)), &answer); err != nil {
			t.Fatal(err)
		}
		return answer.AccessToken
	}
	token(demo.Client{ID: cfg.JWT.ID, Secret: "wrong"})
	for _, credential := range []string{token(cfg.Reader), "nonsense"} {
		request, err := http.NewRequest(http.MethodPost, cfg.Resource, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"admin/status"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Accept", "application/json, text/event-stream")
		request.Header.Set("Authorization", "Bearer "+credential)
		send(t, request)
	}
}

func scrape(t *testing.T, address string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, request)
}

func send(t *testing.T, request *http.Request) string {
	t.Helper()
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
