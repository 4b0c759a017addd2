package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

const (
	raceCodes     = 1000
	raceRefreshes = 1000
	racers        = 8 // for each of them, half at either process
	lanes         = 8 // races at a time
)

// What two processes of the binary decide when many callers come at once.
func TestRaces(t *testing.T) {
	t.Parallel()
	binary := build(t)
	t.Run("RFC6749_4_1_2_OneRedemptionPerCode", func(t *testing.T) {
		t.Parallel()
		oneRedemption(t, newProcesses(t, binary, time.Minute))
	})
	for name, window := range map[string]time.Duration{"shared": time.Minute, "strict": 0} {
		t.Run("RFC9700_4_14_2_OneSuccessorPerRefreshToken_"+name, func(t *testing.T) {
			t.Parallel()
			oneSuccessor(t, newProcesses(t, binary, window), window)
		})
	}
}

// oneRedemption presents each of a thousand codes by eight callers at once:
// exactly one gets tokens, nobody an error of ours, and because the others
// replayed the code its tokens are good for nothing afterwards.
func oneRedemption(t *testing.T, p *processes) {
	t.Helper()
	eachOf(t, newCrowd(t, p).requests(t, raceCodes), func(ctx context.Context, got presentable) error {
		answers, err := p.race(ctx, got.clientID, got.form)
		if err != nil {
			return err
		}
		if winners := succeeded(answers); len(winners) != 1 {
			return fmt.Errorf("%d callers got tokens for one code: %v", len(winners), answers)
		}
		return p.dead(ctx, got.clientID, succeeded(answers)...)
	})
}

// oneSuccessor presents each of five hundred refresh tokens by eight callers at
// once. Within the reuse window all get the same successor, which works; the old
// token after it ends the family. Without a window one gets it, and the others
// end the family.
func oneSuccessor(t *testing.T, p *processes, window time.Duration) {
	t.Helper()
	eachOf(t, newCrowd(t, p).requests(t, raceRefreshes/2), func(ctx context.Context, got presentable) error {
		_, first, err := present(ctx, p.World, p.servers[0], got.clientID, got.form)
		if err != nil || first.Refresh == "" {
			return fmt.Errorf("no refresh token: %q %w", first.Error, err)
		}
		if window == 0 {
			return p.strict(ctx, got.clientID, first)
		}
		return p.shared(ctx, got.clientID, first)
	})
}

// strict races for the successor of first.
func (p *processes) strict(ctx context.Context, clientID string, first tokens) error {
	answers, err := p.race(ctx, clientID, refreshing(first.Refresh))
	if err != nil {
		return err
	}
	winners := succeeded(answers)
	if len(winners) != 1 {
		return fmt.Errorf("%d callers got a successor: %v", len(winners), answers)
	}
	return p.dead(ctx, clientID, first, winners[0])
}

// shared races for the successor of first, goes on with it, and replays first.
func (p *processes) shared(ctx context.Context, clientID string, first tokens) error {
	answers, err := p.race(ctx, clientID, refreshing(first.Refresh))
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.status != http.StatusOK || a.Refresh == "" || a.Refresh != answers[0].Refresh {
			return fmt.Errorf("not one successor: %v", answers)
		}
	}
	status, next, err := present(ctx, p.World, p.servers[1], clientID, refreshing(answers[0].Refresh))
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("the successor: %d %s %w", status, next.Error, err)
	}
	if status, got, err := present(ctx, p.World, p.servers[0], clientID, refreshing(first.Refresh)); err != nil || status != http.StatusBadRequest || got.Error != "invalid_grant" {
		return fmt.Errorf("the replay: %d %s %w", status, got.Error, err)
	}
	return p.dead(ctx, clientID, append(succeeded(answers), first, next)...)
}

// outcome is what one caller of a race got.
type outcome struct {
	status int
	tokens
}

// String tells no token.
func (o outcome) String() string { return fmt.Sprintf("%d %s", o.status, o.Error) }

// race presents a form by all racers at once. Whoever gets no tokens must be
// told invalid_grant.
func (p *processes) race(ctx context.Context, clientID string, form url.Values) ([]outcome, error) {
	answers, errs := make([]outcome, racers), make([]error, racers)
	begin := make(chan struct{})
	var running sync.WaitGroup
	for i := range racers {
		running.Go(func() {
			<-begin
			answers[i].status, answers[i].tokens, errs[i] = present(ctx, p.World, p.servers[i%2], clientID, form)
		})
	}
	close(begin)
	running.Wait()
	for i, a := range answers {
		lost := a.status == http.StatusBadRequest && a.Error == "invalid_grant"
		if errs[i] != nil || (a.status != http.StatusOK && !lost) {
			return nil, fmt.Errorf("a caller got %v: %w", a, errs[i])
		}
	}
	return answers, nil
}

func succeeded(answers []outcome) []tokens {
	var got []tokens
	for _, a := range answers {
		if a.status == http.StatusOK {
			got = append(got, a.tokens)
		}
	}
	return got
}

// dead returns an error unless soon no token of the family is good at either
// process: the one that saw the replay knows at once, the other by the event.
func (p *processes) dead(ctx context.Context, clientID string, family ...tokens) error {
	last := family[len(family)-1]
	for _, server := range p.servers {
		if status, got, err := present(ctx, p.World, server, clientID, refreshing(last.Refresh)); err != nil || status != http.StatusBadRequest || got.Error != "invalid_grant" {
			return fmt.Errorf("a refresh token of the family: %d %s %w", status, got.Error, err)
		}
		for _, one := range family {
			if err := p.inactive(ctx, server, one.Access); err != nil {
				return err
			}
		}
	}
	return nil
}

// propagation is more than a revocation needs to reach the other process.
const propagation = 10 * time.Second

func (p *processes) inactive(ctx context.Context, server, token string) error {
	deadline, tick := time.Now().Add(propagation), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		status, body, err := p.PostTo(ctx, server+"/oauth/introspect", p.IntrospectID, p.IntrospectSecret, url.Values{"token": {token}})
		var answer struct{ Active bool }
		if err != nil || status != http.StatusOK || json.Unmarshal(body, &answer) != nil {
			return fmt.Errorf("introspection: %d %s %w", status, body, err)
		}
		if !answer.Active {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("an access token of the family is active: %s", body)
		}
		<-tick.C
	}
}

// presentable is a code that nobody has presented yet, ready to be.
type presentable struct {
	clientID string
	form     url.Values
}

// crowd is people who have allowed two clients before, one with tokens of each
// format, and so are not asked again.
type crowd struct {
	processes *processes
	browsers  []*world.Browser
}

func newCrowd(t *testing.T, p *processes) crowd {
	t.Helper()
	p.User(username, password)
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		p.PublicClient(string(format), func(c *storage.Client) {
			c.TokenFormat, c.RedirectURIs = format, []string{remembered}
		})
	}
	c := crowd{processes: p}
	// They sign in one after the other: tries at once count as guesses.
	for i := range lanes {
		c.browsers = append(c.browsers, p.Browser(username, password))
		if _, err := obtain(t.Context(), p.World, c.browsers[i], []string{"jwt", "opaque"}[i%2], remembered); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// requests returns so many codes.
func (c crowd) requests(t *testing.T, count int) []presentable {
	t.Helper()
	codes := make([]presentable, count)
	var running sync.WaitGroup
	for lane, browser := range c.browsers {
		running.Go(func() {
			for i := lane; i < count; i += len(c.browsers) {
				r := newRequest([]string{"jwt", "opaque"}[i%2], remembered)
				code, err := r.code(t.Context(), c.processes.World, browser)
				if err != nil {
					t.Error(err)
					return
				}
				codes[i] = presentable{r.clientID, r.redemption(code)}
			}
		})
	}
	if running.Wait(); t.Failed() {
		t.FailNow()
	}
	return codes
}

// eachOf does something with each code, some at a time.
func eachOf(t *testing.T, codes []presentable, do func(context.Context, presentable) error) {
	t.Helper()
	begin := time.Now()
	var running sync.WaitGroup
	for lane := range lanes {
		running.Go(func() {
			for i := lane; i < len(codes) && !t.Failed(); i += lanes {
				if err := do(t.Context(), codes[i]); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	running.Wait()
	t.Logf("%d races in %s", len(codes), time.Since(begin).Round(time.Millisecond))
}
