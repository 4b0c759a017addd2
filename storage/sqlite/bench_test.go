package sqlite_test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
)

func benchStore(b *testing.B) *sqlite.Store {
	b.Helper()
	cfg := sqlite.Config{Path: filepath.Join(b.TempDir(), "data.db")}
	m, err := sqlite.Migrator(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	if err := m.Up(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	s, err := sqlite.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func BenchmarkCreateAccessToken(b *testing.B) {
	s := benchStore(b)
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tok := storage.AccessToken{
				Hash: sha256.Sum256(fmt.Append(nil, n.Add(1))), ExpiresAt: moment().Add(time.Hour),
				ClientID: "c1", Subject: "c1", Scopes: []string{"mcp:read"}, IssuedAt: moment(),
			}
			if err := s.CreateAccessToken(b.Context(), tok); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkAccessToken(b *testing.B) {
	s := benchStore(b)
	tok := killToken(1)
	if err := s.CreateAccessToken(b.Context(), tok); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.AccessToken(b.Context(), tok.Hash, tok.ExpiresAt); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRotateRefreshToken follows one chain: each step is one transaction
// that is synced.
func BenchmarkRotateRefreshToken(b *testing.B) {
	s := benchStore(b)
	if err := settle(b.Context(), s, "b"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	generation := int64(0)
	for b.Loop() {
		generation++
		if _, _, err := s.RotateRefreshToken(b.Context(), rotation("b", generation)); err != nil {
			b.Fatal(err)
		}
	}
}
