package resourceserver

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkEdge is a request on the warm path: a token that was verified
// before, an address that was seen before. "rules" is what stands before the
// token, by itself.
func BenchmarkEdge(b *testing.B) {
	g := newGate(b, func(c *Config) {
		c.AuthExemptPaths, c.RateLimits = []string{"/health"}, RateLimits{PerAddress: 1 << 40, PerPrincipal: 1 << 40}
	})
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	run := func(name string, door http.Handler) {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodPost, publicMCP, http.NoBody)
			r.RemoteAddr, r.ContentLength = "127.0.0.1:50000", int64(len(ping))
			r.Header.Set("Authorization", "Bearer "+robotToken)
			r.Header.Set("Content-Type", "application/json")
			body := bytes.NewReader(nil)
			r.Body = io.NopCloser(body)
			b.ReportAllocs()
			for b.Loop() {
				body.Reset([]byte(ping))
				door.ServeHTTP(&discard{http.Header{}}, r)
			}
		})
	}
	run("token", g.Protect(next))
	run("open", g.Edge(next))
	run("rules", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{ResponseWriter: w}
		if g.Server.edge.admit(x, r) != nil {
			b.Fatal("refused")
		}
		if _, refusal := g.enter(x, r); refusal != nil {
			b.Fatal("refused")
		}
	}))
}
