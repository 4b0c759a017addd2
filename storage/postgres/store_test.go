package postgres_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/storage/storagetest"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

func TestStorage(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		t.Helper()
		config := postgres.Config{URL: pgtest.Database(t)}
		another := func() storage.Store { return open(t, config) }
		return another(), another
	})
}

// patience bounds every wait; it is not reached.
const patience = 30 * time.Second

// noon is the present of these tests.
var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, c postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// session is a connection of somebody else to the database.
func session(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func execute(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	must(t, err)
}

func value[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	must(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

// eventually polls until ok, for what a server does in its own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in %s", what, patience)
		}
	}
}

func token(name string, expiresAt time.Time) storage.AccessToken {
	return storage.AccessToken{
		Hash: sha256.Sum256([]byte(name)), ExpiresAt: expiresAt, ClientID: "c1", Subject: "c1",
		Scopes: []string{"mcp:read"}, Audience: []string{"http://localhost:3001/mcp"}, IssuedAt: noon,
	}
}

func event(target string) storage.Event {
	return storage.Event{Kind: storage.EventGrantRevoked, Target: target, IssuedBefore: noon, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
}

func client(id string) storage.Client {
	return storage.Client{ID: id, AuthMethod: "none", Revision: 1, CreatedAt: noon, UpdatedAt: noon}
}

func key(generation int64) storage.Key {
	return storage.Key{
		KID: fmt.Sprint("k", generation), Alg: "ES256", Generation: generation,
		Public: []byte("{}"), Sealed: []byte{1}, CreatedAt: noon, ActivateAt: noon,
	}
}

// step is one method of the contract, to be run in the order of steps.
type step struct {
	name string
	run  func(ctx context.Context, s *postgres.Store) error
}

func steps() []step {
	tok := token("t", noon.Add(time.Hour))
	return []step{
		{"Ready", func(ctx context.Context, s *postgres.Store) error { return s.Ready(ctx) }},
		{"CreateClient", func(ctx context.Context, s *postgres.Store) error { return s.CreateClient(ctx, client("c")) }},
		{"Client", func(ctx context.Context, s *postgres.Store) error { _, err := s.Client(ctx, "c"); return err }},
		{"ListClients", func(ctx context.Context, s *postgres.Store) error { _, err := s.ListClients(ctx, "", 9); return err }},
		{"UpdateClient", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.UpdateClient(ctx, client("c"), noon)
			return err
		}},
		{"DeleteClient", func(ctx context.Context, s *postgres.Store) error { return s.DeleteClient(ctx, "c", event("c")) }},
		{"CreateAccessToken", func(ctx context.Context, s *postgres.Store) error { return s.CreateAccessToken(ctx, tok) }},
		{"AccessToken", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.AccessToken(ctx, tok.Hash, tok.ExpiresAt)
			return err
		}},
		{"UseJTI", func(ctx context.Context, s *postgres.Store) error {
			return s.UseJTI(ctx, "c", "jti", noon.Add(time.Minute), noon)
		}},
		{"CreateKey", func(ctx context.Context, s *postgres.Store) error { return s.CreateKey(ctx, key(1)) }},
		{"Keys", func(ctx context.Context, s *postgres.Store) error { _, err := s.Keys(ctx); return err }},
		{"RetireKey", func(ctx context.Context, s *postgres.Store) error { return s.RetireKey(ctx, "k1", noon) }},
		{"RemoveKey", func(ctx context.Context, s *postgres.Store) error { return s.RemoveKey(ctx, "k1") }},
		{"AppendEvent", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.AppendEvent(ctx, event("g"))
			return err
		}},
		{"Events", func(ctx context.Context, s *postgres.Store) error { _, err := s.Events(ctx, 0, 9, noon); return err }},
	}
}
