package authserver

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// metrics are the server's own. Labels are bounded: no client, user, address
// or scope is one.
type metrics struct {
	tokensIssued   *prometheus.CounterVec
	tokenErrors    *prometheus.CounterVec
	introspections *prometheus.CounterVec
	revocations    *prometheus.CounterVec
	loginFailures  prometheus.Counter
	durations      *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		tokensIssued: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oauth_tokens_issued_total", Help: "Access tokens issued.",
		}, []string{"grant_type", "format"}),
		tokenErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oauth_token_errors_total", Help: "Requests answered with an OAuth error, by its code.",
		}, []string{"error"}),
		introspections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oauth_introspections_total", Help: "Introspections answered, by whether the token was active.",
		}, []string{"active"}),
		revocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oauth_revocations_total", Help: "Revocations that took effect at this server, whoever revoked, by kind.",
		}, []string{"kind"}),
		loginFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "oauth_login_failures_total", Help: "Sign-ins of people that were refused.",
		}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "oauth_request_duration_seconds", Help: "Time to answer, by endpoint.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint"}),
	}
	for _, c := range []prometheus.Collector{m.tokensIssued, m.tokenErrors, m.introspections, m.revocations, m.loginFailures, m.durations} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	// From nothing to one is no increase to those who watch.
	for _, kind := range revocationKinds() {
		m.revocations.WithLabelValues(string(kind))
	}
	return m, nil
}

func (m *metrics) issued(grantType string, format storage.TokenFormat) {
	m.tokensIssued.WithLabelValues(grantType, string(format)).Inc()
}

func (m *metrics) failed(code string) { m.tokenErrors.WithLabelValues(code).Inc() }

func (m *metrics) introspected(active bool) {
	m.introspections.WithLabelValues(strconv.FormatBool(active)).Inc()
}

func (m *metrics) revoked(kind storage.EventKind) { m.revocations.WithLabelValues(string(kind)).Inc() }

func (m *metrics) loginFailed() { m.loginFailures.Inc() }

// duration returns the observer of one endpoint.
func (m *metrics) duration(endpoint string) func(time.Duration) {
	observer := m.durations.WithLabelValues(endpoint)
	return func(d time.Duration) { observer.Observe(d.Seconds()) }
}
