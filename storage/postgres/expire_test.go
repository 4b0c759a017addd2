package postgres_test

import (
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

// fill writes one record that expires in each table that Maintain empties row
// by row; all have expired a minute after noon.
func fill(t *testing.T, s *postgres.Store) {
	t.Helper()
	soon := noon.Add(time.Minute)
	must(t, s.CreateUser(t.Context(), user("u"), storage.Identity{}))
	must(t, s.UseJTI(t.Context(), "c", "jti", soon, noon))
	issue(t, s, "g")
	i := interaction("i")
	i.ExpiresAt = soon
	must(t, s.CreateInteraction(t.Context(), i))
	must(t, s.PushRequest(t.Context(), storage.PushedRequest{Hash: hash("p"), ClientID: "c", ExpiresAt: soon}))
	browser := session1()
	browser.ExpiresAt = soon
	_, err := s.SignIn(t.Context(), browser, [32]byte{}, [32]byte{})
	must(t, err)
	_, err = s.CountFailures(t.Context(), [][32]byte{hash("f")}, soon, noon)
	must(t, err)
	must(t, s.CreateDeviceAuthorization(t.Context(), device("d")))
	for _, id := range []string{"c", "unused"} {
		c := client(id)
		c.Registration, c.ExpiresAt = storage.RegisteredDynamically, soon
		must(t, s.CreateClient(t.Context(), c))
	}
}

func TestMaintain_DeletesWhatHasExpired(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, conn := open(t, postgres.Config{URL: url}), session(t, url)
	must(t, s.Maintain(t.Context(), noon, 0))
	fill(t, s)
	at := []string{"assertion_jti", "interaction", "pushed_request", "session", "failure_counter"}
	anHourLater := []string{"device_authorization", "token_grant"}
	want := func(tables []string, n int) {
		t.Helper()
		for _, table := range tables {
			if got := value[int](t, conn, "SELECT count(*) FROM "+table); got != n {
				t.Errorf("%s: %d rows, want %d", table, got, n)
			}
		}
	}
	soon := noon.Add(time.Minute)
	must(t, s.Maintain(t.Context(), soon.Add(-time.Microsecond), 0))
	want(append(at, anHourLater...), 1)
	want([]string{"client"}, 2)
	must(t, s.Maintain(t.Context(), soon, 0))
	want(at, 0)
	want([]string{"client"}, 1) // the one with a code on its way is used
	must(t, s.Maintain(t.Context(), soon.Add(time.Hour-time.Microsecond), 0))
	want(anHourLater, 1)
	must(t, s.Maintain(t.Context(), soon.Add(time.Hour), 0))
	want(anHourLater, 0)
	must(t, s.Maintain(t.Context(), soon.Add(time.Hour), 0))
	want([]string{"client"}, 0)
	want([]string{"users"}, 1)
}

// TestMaintain_LeavesRowsThatAreHeld: whoever is at work on a row is not waited
// for.
func TestMaintain_LeavesRowsThatAreHeld(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, conn := open(t, postgres.Config{URL: url}), session(t, url)
	must(t, s.Maintain(t.Context(), noon, 0))
	fill(t, s)
	tx, err := conn.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM token_grant FOR UPDATE")
	must(t, err)
	late := noon.Add(2 * time.Hour)
	must(t, s.Maintain(t.Context(), late, 0))
	must(t, tx.Rollback(t.Context()))
	if n := value[int](t, conn, "SELECT count(*) FROM token_grant"); n != 1 {
		t.Errorf("%d rows, want the one that was held", n)
	}
	must(t, s.Maintain(t.Context(), late, 0))
	if n := value[int](t, conn, "SELECT count(*) FROM token_grant"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// TestMaintain_DeletesManyRows in more batches than one.
func TestMaintain_DeletesManyRows(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, conn := open(t, postgres.Config{URL: url}), session(t, url)
	execute(t, conn, `INSERT INTO pushed_request (request_hash, client_id, params, expires_at)
		SELECT sha256(i::text::bytea), 'c', '', '2031-05-06T11:00:00Z' FROM generate_series(1, 5001) AS i`)
	must(t, s.Maintain(t.Context(), noon, 0))
	if n := value[int](t, conn, "SELECT count(*) FROM pushed_request"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
