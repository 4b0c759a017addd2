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
