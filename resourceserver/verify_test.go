package resourceserver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// offline returns a verifier that has loaded its keys, with a feed in sync and
// some revocations, and nothing running.
func offline(tb testing.TB) (*Server, *rstest.Issuer) {
	tb.Helper()
	issuer := rstest.NewIssuer(tb, "http://localhost/mcp")
	s, err := New(tb.Context(), Config{
		Resource: issuer.Resource, Issuer: issuer.URL,
		Introspection: &ClientCredentials{ClientID: rstest.ClientID, ClientSecret: rstest.ClientSecret},
		RateLimits:    RateLimits{PerAddress: -1, PerPrincipal: -1},
	})
	if err != nil {
		tb.Fatal(err)
	}
	issuer.RevokeToken("another")
	for deadline := time.Now().Add(20 * time.Second); s.Ready(tb.Context()) != nil; {
		if time.Now().After(deadline) {
			tb.Fatal("not ready")
		}
		<-s.keys.loaded
	}
	return s, issuer
}

func TestP10_CacheHitDoesNotAllocate(t *testing.T) { //nolint:paralleltest // allocations are counted for the whole process
	s, issuer := offline(t)
	token := issuer.Token()
	if _, err := s.verifier.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := s.verifier.Verify(ctx, token); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkVerify_CacheHit(b *testing.B) {
	s, issuer := offline(b)
	token := issuer.Token()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify_NeverSeenES256(b *testing.B) {
	s, issuer := offline(b)
	token := issuer.Token()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.verifier.jwt.accessToken(b.Context(), token, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProtect is the whole way of a warm request, without a network.
func BenchmarkProtect(b *testing.B) {
	s, issuer := offline(b)
	token := issuer.Token()
	h := s.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", strings.NewReader(callTool))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
