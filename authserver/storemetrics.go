package authserver

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// measuredStore measures the steps of the store that requests wait for, and
// tells of its connections.
type measuredStore struct {
	storage.Store
	steps *prometheus.HistogramVec
	pool  [5]*prometheus.Desc // open, in use, max, waits, wait duration
}

func newMeasuredStore(store storage.Store) *measuredStore {
	gauge := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return &measuredStore{
		Store: store,
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "oauth_store_duration_seconds", Help: "Time of a step of the store that a request waits for.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5},
		}, []string{"step"}),
		pool: [...]*prometheus.Desc{
			gauge("oauth_store_connections_open", "Connections to the database."),
			gauge("oauth_store_connections_in_use", "Connections that do something."),
			gauge("oauth_store_connections_max", "Connections at most."),
			gauge("oauth_store_waits_total", "Calls that had to wait for a connection."),
			gauge("oauth_store_wait_seconds_total", "Time spent waiting for a connection."),
		},
	}
}

// Describe implements prometheus.Collector.
func (m *measuredStore) Describe(descs chan<- *prometheus.Desc) {
	m.steps.Describe(descs)
	for _, d := range m.pool {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (m *measuredStore) Collect(metrics chan<- prometheus.Metric) {
	m.steps.Collect(metrics)
	s := m.Stats()
	for i, value := range [...]float64{float64(s.Open), float64(s.InUse), float64(s.Max), float64(s.Waits), s.WaitDuration.Seconds()} {
		kind := prometheus.GaugeValue
		if i > 2 {
			kind = prometheus.CounterValue
		}
		metrics <- prometheus.MustNewConstMetric(m.pool[i], kind, value)
	}
}

// measure returns the function that ends the measurement of a step.
func (m *measuredStore) measure(step string) func() {
	began := time.Now()
	return func() { m.steps.WithLabelValues(step).Observe(time.Since(began).Seconds()) }
}

func (m *measuredStore) Client(ctx context.Context, id string) (storage.Client, error) {
	defer m.measure("client")()
	return m.Store.Client(ctx, id)
}

func (m *measuredStore) CreateAccessToken(ctx context.Context, t storage.AccessToken) error {
	defer m.measure("create_access_token")()
	return m.Store.CreateAccessToken(ctx, t)
}

func (m *measuredStore) AccessToken(ctx context.Context, hash [32]byte, expiresAt time.Time) (storage.AccessToken, error) {
	defer m.measure("access_token")()
	return m.Store.AccessToken(ctx, hash, expiresAt)
}

func (m *measuredStore) UseJTI(ctx context.Context, issuer, jti string, expiresAt, now time.Time) error {
	defer m.measure("use_jti")()
	return m.Store.UseJTI(ctx, issuer, jti, expiresAt, now)
}

func (m *measuredStore) AppendEvent(ctx context.Context, e storage.Event) (int64, error) {
	defer m.measure("append_event")()
	return m.Store.AppendEvent(ctx, e)
}

func (m *measuredStore) Events(ctx context.Context, after int64, limit int, now time.Time) ([]storage.Event, error) {
	defer m.measure("events")()
	return m.Store.Events(ctx, after, limit, now)
}
