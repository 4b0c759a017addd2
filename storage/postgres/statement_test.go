package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

// counter counts statements.
type counter struct{ n atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart counts what is sent at once as one.
func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// counted returns a store with partitions for the time ahead of noon, the URL
// of its database and the count of its statements.
func counted(t *testing.T, ahead time.Duration) (*postgres.Store, string, *counter) {
	t.Helper()
	url, count := pgtest.Database(t), &counter{}
	s := open(t, postgres.Config{URL: url, Tracer: count})
	must(t, s.Maintain(t.Context(), noon, ahead))
	return s, url, count
}

func TestStatements_EachStepIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	s, _, count := counted(t, 48*time.Hour)
	for _, step := range steps() {
		before := count.n.Load()
		must(t, step.run(t.Context(), s))
		if n := count.n.Load() - before; n != 1 {
			t.Errorf("%s: %d statements, want 1", step.name, n)
		}
	}
	before := count.n.Load()
	must(t, s.Maintain(t.Context(), noon, 48*time.Hour))
	if n := count.n.Load() - before; n != 9 {
		t.Errorf("Maintain with nothing to do: %d statements, want one for the partitions and one for each of 8 tables", n)
	}
}

// TestStatements_RefusalsAreOneRoundTrip: what went wrong is known from the
// statement that failed, not from a second one.
func TestStatements_RefusalsAreOneRoundTrip(t *testing.T) {
	t.Parallel()
	s, _, count := counted(t, 48*time.Hour)
	must(t, s.CreateClient(t.Context(), client("c")))
	must(t, s.CreateKey(t.Context(), key(1)))
	must(t, s.UseJTI(t.Context(), "c", "jti", noon.Add(time.Minute), noon))
	stale := client("c")
	stale.Revision = 7
	for name, tc := range map[string]struct {
		want error
		run  func() error
	}{
		"CreateClient taken":   {storage.ErrExists, func() error { return s.CreateClient(t.Context(), client("c")) }},
		"Client none":          {storage.ErrNotFound, func() error { _, err := s.Client(t.Context(), "x"); return err }},
		"UpdateClient changed": {storage.ErrConflict, func() error { _, err := s.UpdateClient(t.Context(), stale, noon); return err }},
		"UpdateClient none":    {storage.ErrNotFound, func() error { _, err := s.UpdateClient(t.Context(), client("x"), noon); return err }},
		"DeleteClient none":    {storage.ErrNotFound, func() error { return s.DeleteClient(t.Context(), "x", event("x")) }},
		"CreateKey taken":      {storage.ErrExists, func() error { return s.CreateKey(t.Context(), key(1)) }},
		"RetireKey none":       {storage.ErrNotFound, func() error { return s.RetireKey(t.Context(), "x", noon) }},
		"UseJTI spent":         {storage.ErrSpent, func() error { return s.UseJTI(t.Context(), "c", "jti", noon.Add(time.Hour), noon) }},
	} {
		before := count.n.Load()
		wantErr(t, tc.run(), tc.want)
		if n := count.n.Load() - before; n != 1 {
			t.Errorf("%s: %d statements, want 1", name, n)
		}
	}
}

// gather calls run from n goroutines while nobody can write to table, so that
// all but the first few calls meet in one batch, and returns their errors and
// the number of statements they took.
func gather(t *testing.T, url, table string, count *counter, n int, run func(i int) error) ([]error, int64) {
	t.Helper()
	tx, err := session(t, url).Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE "+table+" IN SHARE MODE")
	must(t, err)
	before := count.n.Load()
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			errs[i] = run(i)
		})
	}
	ready.Wait()
	eventually(t, "the first write has begun", func() bool { return count.n.Load() > before })
	must(t, tx.Rollback(t.Context()))
	done.Wait()
	return errs, count.n.Load() - before
}

func TestCreateAccessToken_ConcurrentCallsShareStatements(t *testing.T) {
	t.Parallel()
	const n = 200
	s, url, count := counted(t, 0)
	name := func(i int) storage.AccessToken { return token(fmt.Sprint(i), noon.Add(time.Hour)) }
	errs, statements := gather(t, url, "access_token", count, n, func(i int) error {
		return s.CreateAccessToken(t.Context(), name(i))
	})
	must(t, errors.Join(errs...))
	if statements > n/10 {
		t.Errorf("%d calls took %d statements", n, statements)
	}
	if stored := value[int](t, session(t, url), "SELECT count(*) FROM access_token"); stored != n {
		t.Errorf("%d rows, want %d", stored, n)
	}
}

func TestAppendEvent_ConcurrentCallsShareStatementsAndKeepTheirSeq(t *testing.T) {
	t.Parallel()
	const n = 200
	s, url, count := counted(t, 0)
	seqs := make([]int64, n)
	errs, statements := gather(t, url, "event", count, n, func(i int) (err error) {
		seqs[i], err = s.AppendEvent(t.Context(), event(fmt.Sprint(i)))
		return err
	})
	must(t, errors.Join(errs...))
	if statements > n/10 {
		t.Errorf("%d calls took %d statements", n, statements)
	}
	log, err := s.Events(t.Context(), 0, n+1, noon)
	must(t, err)
	targets := map[int64]string{}
	for _, e := range log {
		targets[e.Seq] = e.Target
	}
	for i, seq := range seqs {
		if targets[seq] != fmt.Sprint(i) {
			t.Fatalf("seq %d of call %d is the event of %q", seq, i, targets[seq])
		}
	}
}

func TestAppendEvent_ARefusedOneDoesNotHurtItsBatch(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*storage.Event){
		"a check of the schema":   func(e *storage.Event) { e.Kind = "unknown" },
		"text with a NUL":         func(e *storage.Event) { e.Target = "a\x00b" },
		"no partition's year":     func(e *storage.Event) { e.ExpiresAt = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"beyond the server's era": func(e *storage.Event) { e.ExpiresAt = time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n, bad = 40, 23
			s, url, count := counted(t, 0)
			errs, _ := gather(t, url, "event", count, n, func(i int) error {
				e := event(fmt.Sprint(i))
				if i == bad {
					spoil(&e)
				}
				_, err := s.AppendEvent(t.Context(), e)
				return err
			})
			wantErr(t, errs[bad], storage.ErrUnavailable)
			errs[bad] = nil
			must(t, errors.Join(errs...))
		})
	}
}

// BenchmarkCreateAccessToken has 32 callers at a time, each waiting for its
// own token to be durable.
func BenchmarkCreateAccessToken(b *testing.B) {
	s := open(b, postgres.Config{URL: pgtest.Database(b)})
	must(b, s.Maintain(b.Context(), noon, 0))
	var n atomic.Int64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			must(b, s.CreateAccessToken(b.Context(), token(fmt.Sprint(n.Add(1)), noon.Add(time.Hour))))
		}
	})
}

func BenchmarkAccessToken(b *testing.B) {
	s := open(b, postgres.Config{URL: pgtest.Database(b)})
	must(b, s.Maintain(b.Context(), noon, 48*time.Hour))
	tok := token("t", noon.Add(time.Hour))
	must(b, s.CreateAccessToken(b.Context(), tok))
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := s.AccessToken(b.Context(), tok.Hash, tok.ExpiresAt)
			must(b, err)
		}
	})
}
