package authserver_test

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/authserver"
)

// The names and labels that dashboards and alerts rely on, and nothing in a
// label that a client can choose.
func TestMetrics_NamesAndBoundedLabels(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(c *authserver.Config) { c.Metrics = registry })
	secret := w.client("app", opaque, introspecting)
	token := w.token("app", secret)
	w.active("app", secret, token)
	w.revoke("app", secret, token)
	w.post("/oauth/token", "a-client-that-is-not", "x", "grant_type", "client_credentials")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				found[family.GetName()] = append(found[family.GetName()], label.GetName()+"="+label.GetValue())
			}
		}
		if found[family.GetName()] == nil {
			found[family.GetName()] = []string{}
		}
	}
	for name, label := range map[string]string{
		"oauth_tokens_issued_total":      "format=opaque",
		"oauth_token_errors_total":       "error=invalid_client",
		"oauth_introspections_total":     "active=true",
		"oauth_revocations_total":        "kind=token",
		"oauth_request_duration_seconds": "endpoint=token",
		"oauth_store_duration_seconds":   "step=create_access_token",
		"oauth_store_connections_open":   "",
		"oauth_store_connections_in_use": "",
		"oauth_store_connections_max":    "",
		"oauth_store_waits_total":        "",
		"oauth_store_wait_seconds_total": "",
	} {
		if labels, ok := found[name]; !ok || (label != "" && !slices.Contains(labels, label)) {
			t.Errorf("%s has labels %v, want %q among them", name, labels, label)
		}
	}
	for name, labels := range found {
		if slices.ContainsFunc(labels, func(l string) bool { return l == "client_id=app" || l == "error=a-client-that-is-not" }) {
			t.Errorf("%s has a label that a client chose: %v", name, labels)
		}
	}
}
