package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

const day = 24 * time.Hour

// partitions lists the partitions of a table with their bounds, in UTC.
func partitions(t *testing.T, conn *pgx.Conn, table string) []string {
	t.Helper()
	execute(t, conn, "SET TIME ZONE 'UTC'")
	rows, err := conn.Query(t.Context(), `
		SELECT c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid)
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = $1::text::regclass ORDER BY 1`, table)
	must(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return found
}

// tables lists every table of the schema by name.
func tables(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT relname::text FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`)
	must(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return found
}

func TestMaintain_MakesDaysAheadAndDropsThosePast(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, conn := open(t, postgres.Config{URL: url}), session(t, url)
	must(t, s.Maintain(t.Context(), noon, 36*time.Hour))
	for _, table := range []string{"access_token", "event"} {
		want := []string{
			table + "_20310506 FOR VALUES FROM ('2031-05-06 00:00:00+00') TO ('2031-05-07 00:00:00+00')",
			table + "_20310507 FOR VALUES FROM ('2031-05-07 00:00:00+00') TO ('2031-05-08 00:00:00+00')",
			table + "_20310508 FOR VALUES FROM ('2031-05-08 00:00:00+00') TO ('2031-05-09 00:00:00+00')",
		}
		if got := partitions(t, conn, table); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	// The last moment of a day, and its end.
	must(t, s.Maintain(t.Context(), noon.Truncate(day).Add(day-time.Microsecond), 0))
	if n := len(partitions(t, conn, "event")); n != 3 {
		t.Errorf("%d partitions before the day's end, want 3", n)
	}
	must(t, s.Maintain(t.Context(), noon.Truncate(day).Add(day), 0))
	if got := partitions(t, conn, "event"); len(got) != 2 || !strings.HasPrefix(got[0], "event_20310507") {
		t.Errorf("after the day's end: %q", got)
	}
	if got := tables(t, conn); slices.Contains(got, "access_token_20310506") || slices.Contains(got, "event_20310506") {
		t.Errorf("a detached partition is left: %q", got)
	}
}

func TestMaintain_SeveralAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := session(t, url)
	for round := range 5 {
		now := noon.Add(time.Duration(round) * 3 * day)
		var wg sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			s := open(t, postgres.Config{URL: url, MaxConns: 2})
			wg.Go(func() { errs[i] = s.Maintain(t.Context(), now, 2*day) })
		}
		wg.Wait()
		must(t, errors.Join(errs...))
		// One that found another at work may have left something.
		must(t, open(t, postgres.Config{URL: url}).Maintain(t.Context(), now, 2*day))
		for _, table := range []string{"access_token", "event"} {
			if got := partitions(t, conn, table); len(got) != 3 {
				t.Fatalf("round %d: %q", round, got)
			}
		}
	}
	if got := tables(t, conn); len(got) != 15+2*3 {
		t.Errorf("tables left over: %q", got)
	}
}

func TestInsert_MakesAMissingPartition(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var count counter
	s := open(t, postgres.Config{URL: url, Tracer: &count}) // never maintained
	for _, step := range steps() {
		if err := step.run(t.Context(), s); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	before := count.n.Load()
	far := token("far", noon.Add(1000*day))
	must(t, s.CreateAccessToken(t.Context(), far))
	if n := count.n.Load() - before; n != 3 {
		t.Errorf("%d statements, want 3: refused, made, written", n)
	}
	got, err := s.AccessToken(t.Context(), far.Hash, far.ExpiresAt)
	must(t, err)
	if got.ClientID != far.ClientID {
		t.Errorf("got %+v", got)
	}
}

func TestInsert_SeveralStoresMakeTheSamePartition(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		s := open(t, postgres.Config{URL: url, MaxConns: 2})
		wg.Go(func() {
			for d := range 5 {
				at := noon.Add(time.Duration(d) * day)
				errs[i] = errors.Join(errs[i], s.CreateAccessToken(t.Context(), token(fmt.Sprint(i, "/", d), at)))
			}
		})
	}
	wg.Wait()
	must(t, errors.Join(errs...))
	conn := session(t, url)
	if n := value[int](t, conn, "SELECT count(*) FROM access_token"); n != len(errs)*5 {
		t.Errorf("%d rows", n)
	}
}

// TestMaintain_WaitsForNoTransaction makes partitions beside a transaction
// that reads and writes: nothing stronger is asked of the parent.
func TestMaintain_WaitsForNoTransaction(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url})
	must(t, s.Maintain(t.Context(), noon, 0))
	tx, err := session(t, url).Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO event (kind, target, audience, created_at, expires_at)
		VALUES ('all', '', '{}', '2031-05-06T12:00:00Z', '2031-05-06T13:00:00Z')`)
	must(t, err)
	must(t, s.Maintain(t.Context(), noon, 3*day))
	must(t, tx.Commit(t.Context()))
	if got := partitions(t, session(t, url), "event"); len(got) != 4 {
		t.Errorf("partitions: %q", got)
	}
}

// TestMaintain_LeavesAPartitionThatIsHeld: a long reader (a dump, say) delays
// the drop, not Maintain and not those who write meanwhile.
func TestMaintain_LeavesAPartitionThatIsHeld(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var log bytes.Buffer
	s := open(t, postgres.Config{URL: url, StatementTimeout: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, s.Maintain(t.Context(), noon, 0))
	old := token("old", noon)
	must(t, s.CreateAccessToken(t.Context(), old))

	tx, err := session(t, url).Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM access_token")
	must(t, err)
	for range 2 { // the first detaches it half, the second meets it so
		must(t, s.Maintain(t.Context(), noon.Add(day), 0))
	}
	if !strings.Contains(log.String(), "access_token_20310506") {
		t.Errorf("the log does not tell: %s", &log)
	}
	must(t, s.CreateAccessToken(t.Context(), token("new", noon.Add(day))))
	must(t, tx.Rollback(t.Context()))

	must(t, s.Maintain(t.Context(), noon.Add(day), 0))
	if got := tables(t, session(t, url)); slices.Contains(got, "access_token_20310506") {
		t.Errorf("still there: %q", got)
	}
}

func TestMaintain_DropsWhatWasDetachedOnly(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, conn := open(t, postgres.Config{URL: url}), session(t, url)
	must(t, s.Maintain(t.Context(), noon, 0))
	execute(t, conn, "ALTER TABLE event DETACH PARTITION event_20310506")
	execute(t, conn, "CREATE TABLE event_20310599 ()") // somebody else's
	must(t, s.Maintain(t.Context(), noon.Add(day), 0))
	got := tables(t, conn)
	if slices.Contains(got, "event_20310506") || !slices.Contains(got, "event_20310599") {
		t.Errorf("tables: %q", got)
	}
}
