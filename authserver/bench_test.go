package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
)

// quiet is a response writer that keeps nothing but the status.
type quiet struct {
	header http.Header
	status int
}

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) WriteHeader(status int)      { q.status = status }
func (q *quiet) Write(b []byte) (int, error) { return len(b), nil }

// bench sends one form over and over, without a network.
func bench(b *testing.B, handler http.Handler, path, id, secret string, form url.Values) {
	b.Helper()
	body := form.Encode()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(id, secret)
			w := &quiet{header: http.Header{}, status: http.StatusOK}
			handler.ServeHTTP(w, r)
			if w.status != http.StatusOK {
				b.Fatal(w.status)
			}
		}
	})
}

func silent(c *authserver.Config) { c.Logger = nil }

func BenchmarkToken_ClientCredentialsJWT(b *testing.B) {
	w := newWorld(b, silent)
	secret := w.client("app")
	bench(b, w.handler, "/oauth/token", "app", secret, values("grant_type", "client_credentials"))
}

func BenchmarkToken_ClientCredentialsOpaque(b *testing.B) {
	w := newWorld(b, silent)
	secret := w.client("app", opaque)
	bench(b, w.handler, "/oauth/token", "app", secret, values("grant_type", "client_credentials"))
}

func BenchmarkIntrospect_Warm(b *testing.B) {
	w := newWorld(b, silent)
	secret := w.client("app", introspecting)
	bench(b, w.handler, "/oauth/introspect", "app", secret, values("token", w.token("app", secret)))
}
