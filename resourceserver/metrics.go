package resourceserver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
)

// metrics are registered as one collector: all of them or none. Labels are
// bounded: method is a family of the policy, code an HTTP status, reason the
// code of a refusal.
type metrics struct {
	successes *prometheus.CounterVec
	failures  *prometheus.CounterVec
	requests  *prometheus.CounterVec
	duration  prometheus.Histogram
	hits      prometheus.Counter
	lag       prometheus.GaugeFunc // nil without a feed
}

func newMetrics(f *feed, clock func() time.Time) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		successes: counter("mcp_auth_success_total", "Requests that passed authentication and authorization.", "method"),
		failures:  counter("mcp_auth_failure_total", "Requests refused, by OAuth error or network rule.", "reason", "method"),
		requests:  counter("mcp_requests_total", "Requests answered, by HTTP status.", "method", "code"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mcp_request_duration_seconds", Help: "Duration of requests; event streams last as long as they are open.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 600},
		}),
		hits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mcp_token_cache_hits_total", Help: "Tokens that did not have to be verified again.",
		}),
	}
	// An alert asks for the increase of this one: the first event must not be
	// what makes it exist.
	m.failures.WithLabelValues(CodeInsufficientScope, policy.FamilyAdmin)
	if f != nil {
		m.lag = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mcp_revocation_feed_lag_seconds", Help: "Time since all revocations of the issuer were known.",
		}, func() float64 { return f.lag(clock()).Seconds() })
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	list := []prometheus.Collector{m.successes, m.failures, m.requests, m.duration, m.hits}
	if m.lag != nil {
		list = append(list, m.lag)
	}
	return list
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
}
