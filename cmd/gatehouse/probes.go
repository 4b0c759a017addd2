package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Paths that tell how a server is.
const (
	pathHealth  = "/health"
	pathStatus  = "/status"
	pathReady   = "/ready"
	pathMetrics = "/metrics"
)

// routes leads exact paths, compared as they were sent, to their handlers: no
// other spelling of them leads there. The rest goes to other.
type routes struct {
	exact map[string]http.Handler
	other http.Handler
}

// ServeHTTP implements http.Handler.
func (t routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler, ok := t.exact[r.URL.EscapedPath()]; ok {
		handler.ServeHTTP(w, r)
		return
	}
	t.other.ServeHTTP(w, r)
}

// serveApart serves paths on an address of their own, by plain http and for
// everybody who can reach it.
func (r *pair) serveApart(ctx context.Context, address string, exact map[string]http.Handler) error {
	listeners, _, err := listen(ctx, address)
	if err != nil {
		return err
	}
	r.servers = append(r.servers, httpServer{"metrics", listeners, plain(routes{exact, http.NotFoundHandler()}), nil})
	return nil
}

// metricsOf exposes what a registry has.
func metricsOf(registry *prometheus.Registry) http.Handler {
	return readOnly(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}

// readOnly lets nothing but GET and HEAD through.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// probe answers whether check finds nothing wrong; what is wrong goes to the
// log of whoever checks, not to the caller.
func probe(status string, check func(context.Context) error) http.Handler {
	return readOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if check(r.Context()) != nil {
			writeStatus(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		writeStatus(w, http.StatusOK, status)
	}))
}

func writeStatus(w http.ResponseWriter, code int, status string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, "{\"status\":%q}\n", status)
}

// plain sets the headers that are right for every answer that is not a page,
// where no gate does. A body, which nobody needs, holds no connection: net/http
// waits for it before it answers.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)) // a test's writer has none
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
