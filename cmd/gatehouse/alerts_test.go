package main

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/demo"
)

// Every metric that an alert watches is one that a server has after the
// demonstration; a renamed metric would be an alert that never fires.
func TestAlerts_WatchWhatExists(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil || len(file.Groups) == 0 || len(file.Groups[0].Rules) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	cfg := startPair(t)(t)
	if err := demo.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	exposed := scrape(t, cfg.Issuer+"/metrics") + scrape(t, strings.TrimSuffix(cfg.Resource, "/mcp")+"/metrics")
	name := regexp.MustCompile(`\b(?:oauth|mcp)_[a-z_]+`)
	for _, rule := range file.Groups[0].Rules {
		names := name.FindAllString(rule.Expr, -1)
		if rule.Alert == "" || len(names) == 0 {
			t.Errorf("the rule %q watches nothing", rule.Alert)
		}
		for _, n := range names {
			if !regexp.MustCompile(`(?m)^` + n + `[{ ]`).MatchString(exposed) {
				t.Errorf("%s watches %s, which no server has", rule.Alert, n)
			}
		}
	}
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
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
