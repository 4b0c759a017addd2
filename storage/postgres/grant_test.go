package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

const callers = 32

// queue runs callers calls at once that all begin while another session holds
// the row that lock selects, so that each has a snapshot of before the first of
// them, and returns their errors. One table, one row: what they then see of
// each other is what the statement makes of the row's newest version.
func queue(t *testing.T, lock string, prepare func(s *postgres.Store), call func(s *postgres.Store, i int) error) ([]error, *postgres.Store, string) {
	t.Helper()
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url, MaxConns: callers, StatementTimeout: 9 * time.Second})
	must(t, s.Maintain(t.Context(), noon, 48*time.Hour))
	must(t, s.CreateUser(t.Context(), user("u"), storage.Identity{}))
	prepare(s)
	tx, err := session(t, url).Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), lock+" FOR UPDATE")
	must(t, err)
	errs := make([]error, callers)
	var done sync.WaitGroup
	for i := range callers {
		done.Go(func() { errs[i] = call(s, i) })
	}
	watch := session(t, url)
	const waiting = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'
		AND wait_event_type = 'Lock'`
	eventually(t, "all callers wait", func() bool { return value[int](t, watch, waiting) == callers })
	must(t, tx.Rollback(t.Context()))
	done.Wait()
	return errs, s, url
}

// wantWinners fails unless n errors are nil and all others lost.
func wantWinners(t *testing.T, errs []error, n int, lost error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, lost) {
			t.Errorf("error is %v, want %v", err, lost)
		}
	}
	if won != n {
		t.Errorf("%d callers won, want %d", won, n)
	}
}

func issue(t *testing.T, s *postgres.Store, name string) {
	t.Helper()
	must(t, s.CreateInteraction(t.Context(), interaction(name)))
	must(t, s.IssueCode(t.Context(), code(name), hash(name)))
}

// wantRevoked fails unless exactly the grant g is revoked, for that reason and
// by one event, and n access tokens are stored.
func wantRevoked(t *testing.T, s *postgres.Store, url, reason string, n int) {
	t.Helper()
	g, err := s.Grant(t.Context(), "g")
	must(t, err)
	if g.RevokeReason != reason || g.RevokedAt.IsZero() != (reason == "") {
		t.Errorf("the grant is revoked at %s (%s), want %q", g.RevokedAt, g.RevokeReason, reason)
	}
	log, err := s.Events(t.Context(), 0, 99, noon)
	must(t, err)
	switch {
	case reason == "" && len(log) != 0:
		t.Errorf("events: %v", log)
	case reason != "" && (len(log) != 1 || log[0].Target != "g"):
		t.Errorf("events: %v, want one of the grant", log)
	}
	if stored := value[int](t, session(t, url), "SELECT count(*) FROM access_token WHERE grant_id = 'g'"); stored != n {
		t.Errorf("%d access tokens, want %d", stored, n)
	}
}

func TestRedeemCode_RFC6749_4_1_2_OneOfThoseWhoWaited(t *testing.T) {
	t.Parallel()
	errs, s, url := queue(t, "SELECT FROM token_grant", func(s *postgres.Store) { issue(t, s, "g") },
		func(s *postgres.Store, i int) error {
			_, _, err := s.RedeemCode(t.Context(), redemption("g", fmt.Sprint(i)))
			return err
		})
	wantWinners(t, errs, 1, storage.ErrSpent)
	wantRevoked(t, s, url, "code_reuse", 1)
}

func TestRotateRefreshToken_ThoseWhoWaited(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		window  time.Duration
		winners int
		reason  string
	}{
		"no window": {0, 1, "refresh_reuse"},
		"a window":  {time.Minute, callers, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errs, s, url := queue(t, "SELECT FROM token_grant", func(s *postgres.Store) {
				issue(t, s, "g")
				_, _, err := s.RedeemCode(t.Context(), redemption("g", ""))
				must(t, err)
			}, func(s *postgres.Store, i int) error {
				g, _, err := s.RotateRefreshToken(t.Context(), rotation("g", fmt.Sprint(i), 1, tc.window))
				if err == nil && g.Generation != 2 {
					t.Errorf("generation %d", g.Generation)
				}
				return err
			})
			wantWinners(t, errs, tc.winners, storage.ErrSpent)
			wantRevoked(t, s, url, tc.reason, 1+tc.winners)
		})
	}
}

func TestPollDevice_OneOfThoseWhoWaited(t *testing.T) {
	t.Parallel()
	errs, _, url := queue(t, "SELECT FROM device_authorization", func(s *postgres.Store) {
		must(t, s.CreateDeviceAuthorization(t.Context(), device("d")))
		must(t, s.CreateInteraction(t.Context(), interaction("d")))
		must(t, s.DecideDevice(t.Context(), decision("d"), hash("d"), noon))
	}, func(s *postgres.Store, i int) error {
		_, _, err := s.PollDevice(t.Context(), poll("d", fmt.Sprint(i)))
		return err
	})
	wantWinners(t, errs, 1, storage.ErrSpent)
	if n := value[int](t, session(t, url), "SELECT count(*) FROM token_grant"); n != 1 {
		t.Errorf("%d grants", n)
	}
}

func TestDecideDevice_OneOfThoseWhoWaited(t *testing.T) {
	t.Parallel()
	errs, _, url := queue(t, "SELECT FROM device_authorization", func(s *postgres.Store) {
		must(t, s.CreateDeviceAuthorization(t.Context(), device("d")))
		for i := range callers {
			must(t, s.CreateInteraction(t.Context(), interaction(fmt.Sprint(i))))
		}
	}, func(s *postgres.Store, i int) error {
		return s.DecideDevice(t.Context(), decision("d"), hash(fmt.Sprint(i)), noon)
	})
	wantWinners(t, errs, 1, storage.ErrSpent)
	if n := value[int](t, session(t, url), "SELECT count(*) FROM interaction"); n != callers-1 {
		t.Errorf("%d interactions are left, want those of the losers", n)
	}
}

func TestIssueCode_OneOfThoseWhoWaited(t *testing.T) {
	t.Parallel()
	errs, _, url := queue(t, "SELECT FROM interaction", func(s *postgres.Store) {
		must(t, s.CreateInteraction(t.Context(), interaction("i")))
	}, func(s *postgres.Store, i int) error {
		return s.IssueCode(t.Context(), code(fmt.Sprint(i)), hash("i"))
	})
	wantWinners(t, errs, 1, storage.ErrSpent)
	if n := value[int](t, session(t, url), "SELECT count(*) FROM token_grant"); n != 1 {
		t.Errorf("%d codes", n)
	}
}

// TestCountFailures_ThoseWhoWaited ask for their two counters in either order.
func TestCountFailures_ThoseWhoWaited(t *testing.T) {
	t.Parallel()
	a, b := hash("a"), hash("b")
	count := func(s *postgres.Store, keys ...[32]byte) error {
		_, err := s.CountFailures(t.Context(), keys, noon.Add(time.Hour), noon)
		return err
	}
	errs, s, _ := queue(t, "SELECT FROM failure_counter", func(s *postgres.Store) { must(t, count(s, a, b)) },
		func(s *postgres.Store, i int) error {
			if i%2 == 0 {
				return count(s, a, b)
			}
			return count(s, b, a, b)
		})
	must(t, errors.Join(errs...))
	attempt, err := s.SignInAttempt(t.Context(), "nobody", [][32]byte{a, b}, noon)
	must(t, err)
	for _, f := range attempt.Failures {
		if f.Count != callers+1 {
			t.Errorf("counted %d, want %d", f.Count, callers+1)
		}
	}
}
