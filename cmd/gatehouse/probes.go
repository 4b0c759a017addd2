package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// exposeMetrics puts /metrics in front of next, or on an address of its own.
func (r *pair) exposeMetrics(ctx context.Context, address string, registry *prometheus.Registry, next http.Handler) (http.Handler, error) {
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	only := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.URL.EscapedPath() == "/metrics" {
				plainHeaders(w)
				metrics.ServeHTTP(w, request)
				return
			}
			next.ServeHTTP(w, request)
		})
	}
	if address == "" {
		return only(next), nil
	}
	listeners, _, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	r.servers = append(r.servers, httpServer{"metrics", listeners, only(http.NotFoundHandler()), nil})
	return next, nil
}

// probe answers whether check finds nothing wrong; what is wrong goes to the
// log of whoever checks, not to the caller.
func probe(status string, check func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plainHeaders(w)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		if check(r.Context()) != nil {
			writeStatus(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		writeStatus(w, http.StatusOK, status)
	})
}

func writeStatus(w http.ResponseWriter, code int, status string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, "{\"status\":%q}\n", status)
}

// plainHeaders are right for every answer that is not a page.
func plainHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}
