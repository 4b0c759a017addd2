package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func memory(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: Memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func moment() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC) }

func count(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	if err := s.reader.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// fill stores n tokens that expire at moment and one that does later.
func fill(t *testing.T, s *Store, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n + 1 {
		wg.Go(func() {
			tok := storage.AccessToken{Hash: sha256.Sum256(fmt.Append(nil, i)), ExpiresAt: moment()}
			if i == n {
				tok.ExpiresAt = moment().Add(time.Hour)
			}
			if err := s.CreateAccessToken(t.Context(), tok); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMaintain_DropsMoreThanOneBatch(t *testing.T) {
	t.Parallel()
	s := memory(t)
	fill(t, s, 2*sweepBatch+7)
	if err := s.Maintain(t.Context(), moment(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "access_token"); n != 2*sweepBatch+8 {
		t.Fatalf("%d tokens are left on the moment of expiry, want all", n)
	}
	if err := s.Maintain(t.Context(), moment().Add(time.Second), time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "access_token"); n != 1 {
		t.Fatalf("%d tokens are left, want 1", n)
	}
}

// A Maintain whose context ends stops between two batches.
func TestMaintain_StopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := memory(t)
	fill(t, s, 2*sweepBatch)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Maintain(ctx, moment().Add(time.Second), time.Hour); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	if n := count(t, s, "access_token"); n != 2*sweepBatch+1 {
		t.Fatalf("%d tokens are left", n)
	}
}

// What is alive must not cost anything: every sweep is a range of an index on
// expires_at, and every deletion a look-up by key.
func TestMaintain_NeverScansATable(t *testing.T) {
	t.Parallel()
	s := memory(t)
	for _, sweep := range sweeps() {
		statement := sweep.statement()
		plan := explain(t, s.reader, statement, 0, 1)
		if !strings.Contains(plan, "_expires_at (expires_at<?)") {
			t.Errorf("the index is not used:\n%s\n%s", statement, plan)
		}
		if strings.Contains(plan, "SCAN") {
			t.Errorf("something is scanned:\n%s\n%s", statement, plan)
		}
	}
}

func explain(t *testing.T, db *sql.DB, statement string, args ...any) string {
	t.Helper()
	rows, err := db.Query(`EXPLAIN QUERY PLAN `+statement, args...)
	steps, err := collect(rows, err, func(row scanner) (step string, err error) {
		var id, parent, unused int
		err = row.Scan(&id, &parent, &unused, &step)
		return step, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

// people fills every table that the people's steps write, with rows that
// expire at moment; and the code and the device's request are spent.
func people(t *testing.T, s *Store) {
	t.Helper()
	ctx, expires, hash := t.Context(), moment(), sha256.Sum256([]byte("h"))
	begun := expires.Add(-time.Minute)
	c := storage.Client{ID: "c1", AuthMethod: "none", CreatedAt: begun, UpdatedAt: begun, ExpiresAt: expires}
	_, registered := s.RegisterClient(ctx, c)
	_, signedIn := s.SignIn(ctx, storage.Session{Hash: hash, UserID: "u1", ExpiresAt: expires}, [32]byte{}, [32]byte{})
	_, counted := s.CountFailures(ctx, [][32]byte{hash}, expires, begun)
	i := storage.Interaction{Hash: hash, CreatedAt: begun, ExpiresAt: expires}
	begin := func() error { return s.CreateInteraction(ctx, i) }
	for _, err := range []error{
		registered, signedIn, counted,
		s.CreateUser(ctx, storage.User{ID: "u1", Username: "ada"}, storage.Identity{}),
		s.PushRequest(ctx, storage.PushedRequest{Hash: hash, ExpiresAt: expires}),
		begin(),
		s.IssueCode(ctx, storage.Code{Hash: hash, GrantID: "g1", UserID: "u1", CreatedAt: begun, ExpiresAt: expires}, hash),
		begin(),
		s.CreateDeviceAuthorization(ctx, storage.DeviceAuthorization{DeviceCode: hash, UserCode: hash, CreatedAt: begun, ExpiresAt: expires}),
		s.DecideDevice(ctx, storage.DeviceDecision{UserCode: hash, Approved: true, UserID: "u1", GrantID: "g2"}, hash, begun),
		begin(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.RedeemCode(ctx, storage.Redemption{CodeHash: hash, GrantExpiresAt: expires, Now: begun}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.PollDevice(ctx, storage.DevicePoll{DeviceCode: hash, GrantExpiresAt: expires, Now: begun}); err != nil {
		t.Fatal(err)
	}
}

// Everything of people's goes when it has expired, but that a code was spent
// is known for an hour more, and users stay.
func TestMaintain_DropsWhatExpiredOfPeople(t *testing.T) {
	t.Parallel()
	s := memory(t)
	people(t, s)
	expiring := []string{"client", "session", "failure_counter", "interaction", "pushed_request", "token_grant"}
	late := []string{"authorization_code", "device_authorization"}
	for _, step := range []struct {
		at             time.Time
		expiring, late int
	}{
		{moment(), 1, 1},
		{moment().Add(time.Microsecond), 0, 1},
		{moment().Add(remembered), 0, 1},
		{moment().Add(remembered + time.Microsecond), 0, 0},
	} {
		if err := s.Maintain(t.Context(), step.at, time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, table := range expiring {
			if n := count(t, s, table); min(n, 1) != step.expiring {
				t.Errorf("at %v there are %d of %s", step.at, n, table)
			}
		}
		for _, table := range late {
			if n := count(t, s, table); n != step.late {
				t.Errorf("at %v there are %d of %s", step.at, n, table)
			}
		}
		if n := count(t, s, "users"); n != 1 {
			t.Fatalf("%d users are left", n)
		}
	}
}
