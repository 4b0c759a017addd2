package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Guessing gets slow, and the owner of an account is not kept out of it. Who
// has signed in to it from this browser before counts for himself; everybody
// else counts together, and by address too. After some failures the next try
// must wait twice as long as the one before: 2 s, 4 s, … up to 15 minutes. A
// counter that rests for a day starts again.
//
// So strangers try at most 13 passwords in the first quarter of an hour and 96
// a day after it, however many they are, and the owner notices nothing in the
// browser he always uses. A passkey and an upstream provider are never slow:
// there is nothing to guess.
const (
	freeFailures        = 5  // of an account
	freeAddressFailures = 30 // of an address, behind which there may be an office
	firstWait           = 2 * time.Second
	longestWait         = 15 * time.Minute
	failureLifetime     = 24 * time.Hour
)

// waitAfter is how long to wait after so many failures.
func waitAfter(failures, free int) time.Duration {
	if failures < free {
		return 0
	}
	return min(firstWait<<min(failures-free, 16), longestWait)
}

// counter is a key under which failures count.
type counter struct {
	key  [32]byte
	free int
}

// newCounter names a counter by what it counts. The lengths keep apart what
// would read the same when joined.
func newCounter(free int, parts ...string) counter {
	var name []byte
	for _, part := range parts {
		name = append(strconv.AppendInt(name, int64(len(part)), 10), ':')
		name = append(name, part...)
	}
	return counter{sha256.Sum256(name), free}
}

// counters are those of a try of the account called name: for a password or a
// code, as what says.
func (s *Server) counters(r *http.Request, what, name string, now time.Time) []counter {
	if _, browser := s.cookie(r, cookieBrowser); s.knownHere(r, name, now) {
		return []counter{newCounter(freeFailures, what, "known", name, string(browser[:]))}
	}
	return []counter{
		newCounter(freeFailures, what, "strangers", name),
		newCounter(freeAddressFailures, "address", remoteAddress(r)),
	}
}

// guesses are the tries that this process is working on. They count as failures
// until they are done, so that many at once are no better than one by one.
type guesses struct {
	mu     sync.Mutex
	counts map[[32]byte]int
}

func newGuesses() *guesses { return &guesses{counts: map[[32]byte]int{}} }

// attempt is one try of a password or code.
type attempt struct {
	storage.SignInAttempt
	server   *Server
	counters []counter
	now      time.Time
}

// begin reads the account called name and how often somebody failed there, and
// returns how long to wait before this try may be judged (0: now). Whoever
// begins must end it.
func (s *Server) begin(ctx context.Context, name string, counters []counter, now time.Time) (try attempt, wait time.Duration, err error) {
	try = attempt{server: s, counters: counters, now: now}
	before := s.people.guesses.enter(counters)
	try.SignInAttempt, err = s.cfg.Store.SignInAttempt(ctx, name, try.keys(), now)
	if err != nil {
		try.end()
		return attempt{}, 0, err
	}
	for i, c := range counters {
		stored := try.Failures[i]
		wait = max(wait, stored.LastAt.Add(waitAfter(stored.Count, c.free)).Sub(now))
		if before[i] > 0 && stored.Count+before[i] >= c.free {
			wait = max(wait, firstWait)
		}
	}
	return try, wait, nil
}

func (a attempt) keys() [][32]byte {
	keys := make([][32]byte, len(a.counters))
	for i, c := range a.counters {
		keys[i] = c.key
	}
	return keys
}

// end says that the try is done and counted.
func (a attempt) end() { a.server.people.guesses.leave(a.counters) }

// failed counts the try and returns how long the next one must wait.
func (a attempt) failed(ctx context.Context) (wait time.Duration, err error) {
	// Who hangs up has guessed as well.
	counts, err := a.server.cfg.Store.CountFailures(context.WithoutCancel(ctx), a.keys(), a.now.Add(failureLifetime), a.now)
	for i, count := range counts {
		wait = max(wait, waitAfter(count, a.counters[i].free))
	}
	return wait, err
}

// succeeded forgets the account's failures, and never the address's: its owner
// may have an account here too.
func (a attempt) succeeded(ctx context.Context) error {
	if a.Failures[0].Count == 0 {
		return nil
	}
	return a.server.cfg.Store.ForgetFailures(ctx, a.keys()[:1])
}

// enter adds a try and returns how many were there before, by counter.
func (g *guesses) enter(counters []counter) []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := make([]int, len(counters))
	for i, c := range counters {
		before[i] = g.counts[c.key]
		g.counts[c.key]++
	}
	return before
}

func (g *guesses) leave(counters []counter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range counters {
		if g.counts[c.key]--; g.counts[c.key] == 0 {
			delete(g.counts, c.key)
		}
	}
}

// cookieKnown holds who has signed in with this browser: sealed, bound to the
// browser's own cookie, and good for nothing else than a counter of one's own.
const (
	cookieKnown = "known"
	maxKnown    = 5
)

// knownName is how an account is listed in the cookie.
func knownName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// known lists the accounts that have signed in with this browser, the last first.
func (s *Server) known(r *http.Request, now time.Time) (names []string) {
	if s.openCookie(r, cookieKnown, now, &names) != nil {
		return nil
	}
	return names
}

func (s *Server) knownHere(r *http.Request, name string, now time.Time) bool {
	return slices.Contains(s.known(r, now), knownName(name))
}

// rememberHere lists an account in the cookie of known ones.
func (s *Server) rememberHere(w http.ResponseWriter, r *http.Request, browser [32]byte, name string, now time.Time) error {
	names := s.known(r, now)
	if len(names) > 0 && names[0] == knownName(name) {
		return nil
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == knownName(name) })
	names = slices.Insert(names, 0, knownName(name))
	return s.sealCookie(w, browser, cookieKnown, names[:min(len(names), maxKnown)], browserLifetime, now)
}
