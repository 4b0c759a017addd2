package resourceserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// TestSeed_S28_LabelsAreBounded: whatever strangers and a hook make up, the
// number of series stays what it was.
func TestSeed_S28_LabelsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(_ *world, cfg *Config) {
		cfg.Metrics, cfg.RateLimits = registry, RateLimits{PerAddress: -1, PerPrincipal: -1}
		cfg.Validate = func(_ context.Context, token string) (*AccessToken, error) {
			if strings.HasPrefix(token, "made-up") {
				return nil, &Refusal{Status: 400 + len(token)%5, Code: token, Description: "No."}
			}
			said := carol()
			said.Subject, said.ClientID = token, token
			return said, nil
		}
	}).ready(t)
	w.handler = func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(600 + len(r.Method)) }
	for i := range 1000 {
		name, token := rand.Text(), ""
		switch i % 4 {
		case 1:
			token = rand.Text()
		case 2:
			token = "made-up" + rand.Text()[:i%7]
		case 3:
			token = w.Token(rstest.Claims{"sub": rand.Text(), "client_id": rand.Text(), "scope": "mcp:admin " + rand.Text()})
		}
		body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": name, "method": name + "/" + rand.Text(), "params": map[string]any{"name": name}})
		if err != nil {
			t.Fatal(err)
		}
		verb := []string{"POST", "V" + name[:10]}[i%2]
		w.do(t, verb, token, string(body), func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json")
			r.URL.Path = "/mcp/" + name
		})
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	allowed := map[string][]string{
		"method": {"tools", "resources", "prompts", "admin", "session", "other"},
		"reason": {"missing_token", "invalid_token", "insufficient_scope", "other"},
		"code":   {"200", "400", "401", "402", "403", "404", "other"},
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			series++
			for _, label := range m.GetLabel() {
				if !slices.Contains(allowed[label.GetName()], label.GetValue()) {
					t.Errorf("%s{%s=%q}", family.GetName(), label.GetName(), label.GetValue())
				}
			}
		}
	}
	if series > 40 {
		t.Errorf("%d series", series)
	}
}

// TestSeed_S28_RulesOfTheNetworkAreReasons: each by its own code.
func TestSeed_S28_RulesOfTheNetworkAreReasons(t *testing.T) {
	t.Parallel()
	for reason, c := range map[string]struct {
		configure func(*Config)
		edit      func(*http.Request)
		before    int // requests that pass the rule
	}{
		"origin_not_allowed": {func(*Config) {}, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 0},
		"https_required":     {func(cfg *Config) { cfg.RequireHTTPS = true }, nil, 0},
		"rate_limited":       {func(cfg *Config) { cfg.RateLimits.PerAddress = 10 }, nil, 1},
		"too_many_headers":   {func(cfg *Config) { cfg.MaxHeaders = 20 }, func(r *http.Request) { r.Header["X-Many"] = make([]string, 30) }, 0},
		"request_too_large":  {func(cfg *Config) { cfg.MaxBodyBytes = 10 }, nil, 0},
	} {
		registry := prometheus.NewRegistry()
		w := newWorld(t, func(_ *world, cfg *Config) {
			cfg.Metrics = registry
			c.configure(cfg)
		})
		for range c.before + 1 {
			w.do(t, http.MethodPost, "", ping, c.edit)
		}
		eventually(t, func() bool { return len(w.events(t, "request")) == c.before+1 })
		if got := metric(t, registry, "mcp_auth_failure_total", "method=session reason="+reason); got != 1 {
			t.Errorf("%s: %v\n%s", reason, got, w.log)
		}
	}
}

// increase() does not see the event that makes a series exist.
func TestSeed_S28_RefusalsOfAdminAreCountedFromTheStart(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	newGate(t, func(c *Config) { c.Metrics = registry })
	if n := metric(t, registry, "mcp_auth_failure_total", "method=admin reason=insufficient_scope"); n != 0 { // -1: there is none
		t.Error(n)
	}
}
