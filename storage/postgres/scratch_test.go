package postgres_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

// A store in a scratch schema works, touches nothing of the database it is in,
// and is gone when it is dropped.
func TestScratch_LivesBesideOthersAndLeavesNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	before := relations(t, url)
	in, drop, err := postgres.Scratch(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	migrator, err := postgres.Migrator(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(migrator.Up(t.Context(), nil), migrator.Close()); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Ready(t.Context()), store.Maintain(t.Context(), time.Now(), time.Hour)); err != nil {
		t.Error(err)
	}
	if during := relations(t, url); len(during) <= len(before) {
		t.Errorf("nothing was made: %v", during)
	}
	if err := errors.Join(store.Close(), drop(t.Context())); err != nil {
		t.Error(err)
	}
	if after := relations(t, url); !slices.Equal(after, before) {
		t.Errorf("relations before %v, after %v", before, after)
	}
}

func relations(t *testing.T, url string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}
