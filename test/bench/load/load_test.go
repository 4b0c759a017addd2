package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHistogram_QuantilesAreAtMostOneStepTooHigh(t *testing.T) {
	t.Parallel()
	for _, unit := range []time.Duration{1, time.Microsecond, 17 * time.Millisecond} {
		var h, half Histogram
		for i := range 1000 {
			to := &h
			if i%2 == 1 {
				to = &half
			}
			to.Add(time.Duration(i+1) * unit)
		}
		h.Merge(&half)
		for _, q := range []float64{0.001, 0.5, 0.99, 1} {
			want := time.Duration(q*1000) * unit
			if got := h.Quantile(q); got < want || got > want+want/(steps/2)+1 {
				t.Errorf("unit %s, q %v: %s, want %s", unit, q, got, want)
			}
		}
		if h.Count() != 1000 {
			t.Error(h.Count())
		}
	}
	if got := new(Histogram).Quantile(0.5); got != 0 {
		t.Errorf("an empty one says %s", got)
	}
}

// open starts a server and a generator with two connections to it.
func open(t *testing.T, want string, handler http.HandlerFunc) *Generator {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	g, err := Open(t.Context(), server.Listener.Addr().String(), 2, want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func get(t *testing.T) []byte {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://server/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request, err := Bytes(r)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// Answers with a length, in chunks and empty ones follow each other on the
// same connections; everything sent is answered and counted.
func TestGenerator_ReadsEveryKindOfBody(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	g := open(t, "", func(w http.ResponseWriter, _ *http.Request) {
		if n := served.Add(1); n%3 != 0 {
			fmt.Fprint(w, strings.Repeat("x", 3000))
			if n%3 == 1 {
				_ = http.NewResponseController(w).Flush()
				fmt.Fprint(w, "more")
			}
		}
	})
	request := get(t)
	result, err := g.Run(t.Context(), time.Minute, func(int) Next {
		left := 30
		return func(buffer []byte) []byte {
			if left--; left < 0 {
				return nil
			}
			return append(buffer, request...)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.Latency.Count() != 60 || served.Load() != 60 || result.PerSecond() <= 0 {
		t.Errorf("%d answered, %d served, %v a second", result.Latency.Count(), served.Load(), result.PerSecond())
	}
}

// A wrong answer is an error that shows it, never a figure.
func TestGenerator_RefusesWrongAnswers(t *testing.T) {
	t.Parallel()
	for want, handler := range map[string]http.HandlerFunc{
		"good": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "bad body") },
		"":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad status", http.StatusForbidden) },
	} {
		g := open(t, want, handler)
		_, err := g.Run(t.Context(), time.Minute, func(int) Next { return Always(get(t)) })
		if err == nil || !strings.Contains(err.Error(), "bad") {
			t.Errorf("%v", err)
		}
	}
}

func TestGenerator_EndsInTime(t *testing.T) {
	t.Parallel()
	g := open(t, "", func(http.ResponseWriter, *http.Request) {})
	request := get(t)
	result, err := g.Run(t.Context(), 10*time.Millisecond, func(int) Next { return Always(request) })
	if err != nil || result.Elapsed < 10*time.Millisecond {
		t.Errorf("%+v, %v", result, err)
	}
}
