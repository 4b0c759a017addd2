package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func attemptTests() []test {
	return []test{
		{"SignInAttempt_TheUserOfThatName", signInAttemptUser},
		{"SignInAttempt_TheFailuresInTheOrderOfTheirKeys", signInAttemptOrder},
		{"SignInAttempt_ReturnsACopy", signInAttemptCopy},
		{"CountFailures_CountsEachKey", countFailures},
		{"CountFailures_StartsAgainAfterItsLifetime", countFailuresExpired},
		{"CountFailures_EachFailureProlongsTheLifetime", countFailuresProlongs},
		{"CountFailures_OfNothing", countFailuresNothing},
		{"ForgetFailures_RemovesTheCounters", forgetFailures},
		{"Race_CountFailures_AllCount", raceCountFailures},
		{"Race_CountFailures_InAnyOrderOfKeys", raceCountFailuresOrder},
		{"Race_CountFailures_AllCountAfterExpiry", raceCountFailuresExpired},
	}
}

// keysOf are the keys of counters called names.
func keysOf(names ...string) [][32]byte {
	keys := make([][32]byte, 0, len(names))
	for _, name := range names {
		keys = append(keys, hash("failures "+name))
	}
	return keys
}

func count(t *testing.T, db *database, at time.Time, names ...string) []int {
	t.Helper()
	counts, err := db.CountFailures(db.ctx, keysOf(names...), at.Add(time.Hour), at)
	must(t, err)
	return counts
}

func wantFailures(t *testing.T, db *database, at time.Time, names []string, want ...storage.Failures) {
	t.Helper()
	got, err := db.SignInAttempt(db.ctx, "nobody", keysOf(names...), at)
	must(t, err)
	wantEqual(t, got.User, storage.User{})
	wantEqual(t, got.Failures, want)
}

func signInAttemptUser(t *testing.T, db *database) {
	signUp(t, db, "u1", "u2")
	for range 2 {
		got, err := db.SignInAttempt(db.ctx, user("u1").Username, keysOf("a"), now())
		must(t, err)
		wantEqual(t, got, storage.SignInAttempt{User: user("u1"), Failures: make([]storage.Failures, 1)})
	}
	want := setDisabled(t, db, true)
	got, err := db.SignInAttempt(db.ctx, want.Username, nil, now())
	must(t, err)
	wantEqual(t, got.User, want)
	wantEqual(t, len(got.Failures), 0)
	for _, name := range []string{"u1", "", "NAME OF u1", "name of u1 "} {
		got, err = db.SignInAttempt(db.ctx, name, nil, now())
		must(t, err)
		wantEqual(t, got.User, storage.User{})
	}
}

func signInAttemptOrder(t *testing.T, db *database) {
	count(t, db, now(), "a", "b")
	count(t, db, now().Add(time.Second), "a")
	a := storage.Failures{Count: 2, LastAt: now().Add(time.Second)}
	b := storage.Failures{Count: 1, LastAt: now()}
	at := now().Add(time.Minute)
	wantFailures(t, db, at, []string{"a", "b", "c"}, a, b, storage.Failures{})
	wantFailures(t, db, at, []string{"c", "b", "a"}, storage.Failures{}, b, a)
	wantFailures(t, db, at, []string{"b"}, b)
	for i := range 20 { // whatever order their hashes have
		name := fmt.Sprint(i)
		count(t, db, now(), name)
		wantFailures(t, db, at, []string{name, "a", "none", "b"}, b, a, storage.Failures{}, b)
	}
}

func signInAttemptCopy(t *testing.T, db *database) {
	signUp(t, db, "u1")
	count(t, db, now(), "a")
	got, err := db.SignInAttempt(db.ctx, user("u1").Username, keysOf("a"), now())
	must(t, err)
	scribbleUser(got.User)
	clear(got.Failures)
	wantUser(t, db, user("u1"))
	wantFailures(t, db, now(), []string{"a"}, storage.Failures{Count: 1, LastAt: now()})
}

func countFailures(t *testing.T, db *database) {
	wantEqual(t, count(t, db, now(), "a", "b"), []int{1, 1})
	wantEqual(t, count(t, db, now(), "b", "c"), []int{2, 1})
	for i := range 20 {
		wantEqual(t, count(t, db, now(), fmt.Sprint(i), "a", "b", "c"), []int{1, i + 2, i + 3, i + 2})
	}
	got, err := db.CountFailures(db.ctx, keysOf("a"), now().Add(time.Hour).Add(999), now().Add(999).In(time.FixedZone("east", 3600)))
	must(t, err)
	wantEqual(t, got, []int{22})
	wantFailures(t, db, now(), []string{"a"}, storage.Failures{Count: 22, LastAt: now()})
}

func countFailuresExpired(t *testing.T, db *database) {
	end := now().Add(time.Hour)
	count(t, db, now(), "a", "b")
	wantFailures(t, db, end.Add(-time.Microsecond), []string{"a"}, storage.Failures{Count: 1, LastAt: now()})
	wantFailures(t, db, end, []string{"a"}, storage.Failures{})
	wantEqual(t, count(t, db, end.Add(-time.Microsecond), "a"), []int{2})
	wantEqual(t, count(t, db, end, "b", "a"), []int{1, 3})
	wantFailures(t, db, end, []string{"b"}, storage.Failures{Count: 1, LastAt: end})
}

func countFailuresProlongs(t *testing.T, db *database) {
	for i := range 5 {
		wantEqual(t, count(t, db, now().Add(time.Duration(i)*50*time.Minute), "a"), []int{i + 1})
	}
}

func countFailuresNothing(t *testing.T, db *database) {
	count(t, db, now(), "a")
	wantEqual(t, len(count(t, db, now())), 0)
	must(t, db.ForgetFailures(db.ctx, nil))
	wantFailures(t, db, now(), []string{"a"}, storage.Failures{Count: 1, LastAt: now()})
}

func forgetFailures(t *testing.T, db *database) {
	count(t, db, now(), "a", "b", "c")
	must(t, db.ForgetFailures(db.ctx, keysOf("c", "a", "unknown")))
	wantFailures(t, db, now(), []string{"a", "b", "c"},
		storage.Failures{}, storage.Failures{Count: 1, LastAt: now()}, storage.Failures{})
	must(t, db.ForgetFailures(db.ctx, keysOf("a")))
	wantEqual(t, count(t, db, now(), "a", "b"), []int{1, 2})
}

func raceCountFailures(t *testing.T, db *database) {
	wantAllCounted(t, db, func(int) []string { return []string{"a"} })
}

// raceCountFailuresOrder has racers name the same keys in different orders,
// which must neither deadlock nor lose a count.
func raceCountFailuresOrder(t *testing.T, db *database) {
	names := []string{"a", "b", "c", "d", "e"}
	wantAllCounted(t, db, func(i int) []string {
		turned := append(slices.Clone(names[i%5:]), names[:i%5]...)
		if i%2 == 0 {
			slices.Reverse(turned)
		}
		return turned
	})
}

func raceCountFailuresExpired(t *testing.T, db *database) {
	for range 3 {
		count(t, db, now().Add(-time.Hour), "a")
	}
	wantAllCounted(t, db, func(int) []string { return []string{"a"} })
}

// wantAllCounted has every racer count a few times under names(i): each
// answer is a count of its own, and in the end none is missing.
func wantAllCounted(t *testing.T, db *database, names func(i int) []string) {
	t.Helper()
	const each = 4
	store := either(t, db)
	seen := make([][]int, racers)
	errs := race(racers, func(i int) error {
		for range each {
			counts, err := store(i).CountFailures(db.ctx, keysOf(names(i)...), now().Add(time.Hour), now())
			if err != nil {
				return err
			}
			seen[i] = append(seen[i], counts[slices.Index(names(i), "a")])
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	all := slices.Concat(seen...)
	slices.Sort(all)
	for i, n := range all {
		wantEqual(t, n, i+1)
	}
	for _, name := range names(0) {
		wantFailures(t, db, now(), []string{name}, storage.Failures{Count: racers * each, LastAt: now()})
	}
}
