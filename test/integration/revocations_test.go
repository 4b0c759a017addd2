package integration

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	// revocationsOfAKind is how many tokens of each format are revoked in each
	// way, one by one but for everything.
	revocationsOfAKind = 200
	// revocationBound is the promise: after the answer, refused everywhere.
	revocationBound = time.Second
	// notifiedLanes and pollingLanes are how many are under way at a time: few
	// keep the machine busy, more if most of the time is waiting.
	notifiedLanes, pollingLanes = 8, 24
)

// everythingRounds is how often everything is revoked. Tokens issued in the
// second of such a revocation are revoked by it too, so a round takes a second,
// and revokes as many tokens of each format as make up revocationsOfAKind.
// REVOCATIONS_OF_EVERYTHING=200 makes as many rounds, of one token each, in four
// minutes.
func everythingRounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("REVOCATIONS_OF_EVERYTHING")
	if text == "" {
		return 10
	}
	rounds, err := strconv.Atoi(text)
	if err != nil || rounds < 1 || rounds > revocationsOfAKind {
		t.Fatalf("REVOCATIONS_OF_EVERYTHING is not a number up to %d", revocationsOfAKind)
	}
	return rounds
}

func TestSeed_S29_EmergencyRevocation(t *testing.T) {
	t.Parallel()
	binary := build(t)
	t.Run("RefusedEverywhereWithinASecond", func(t *testing.T) {
		t.Parallel()
		refusedWithinASecond(t, binary)
	})
	t.Run("SurvivesKill", func(t *testing.T) {
		t.Parallel()
		survivesKill(t, binary)
	})
	t.Run("RetiredKey", func(t *testing.T) {
		t.Parallel()
		retiredKey(t, binary)
	})
}

// After an emergency revocation is answered, both resource servers refuse what
// it covers, JWTs and opaque tokens, within a second, also when the database
// notifies nobody: 200 tokens of each kind and format.
func refusedWithinASecond(t *testing.T, binary string) {
	t.Helper()
	rounds := everythingRounds(t)
	for _, mode := range []struct {
		name  string
		lanes int
	}{{"notified", notifiedLanes}, {"polling", pollingLanes}} { // one after the other: each keeps the machine busy
		t.Run(mode.name, func(t *testing.T) {
			f := newFleet(t, binary, mode.name == "notified")
			lags := f.revokeEach(t, mode.lanes)
			f.revokeEverything(t, rounds, lags)
			for _, kind := range slices.Sorted(maps.Keys(lags)) {
				accepted, answered := lags.of(kind)
				t.Logf("%-14s %d: accepted until %s; the refusal had arrived after %s", kind, len(accepted), summary(accepted), summary(answered))
				if len(accepted) < 2*revocationsOfAKind || quantile(accepted, .99) > revocationBound {
					t.Errorf("%s: accepted for %s after the answer (p99 of %d)", kind, quantile(accepted, .99), len(accepted))
				}
			}
		})
	}
}

// lag is what one gate did to one token after its revocation was answered: when
// the last request began that was accepted, 0 if none was, and when the first
// refusal was read.
type lag struct{ accepted, refused time.Duration }

// lagsOf are the measurements by kind and format.
type lagsOf map[string][]lag

// of returns the measurements of a kind in ascending order.
func (l lagsOf) of(kind string) (accepted, refused []time.Duration) {
	for _, one := range l[kind] {
		accepted, refused = append(accepted, one.accepted), append(refused, one.refused)
	}
	slices.Sort(accepted)
	slices.Sort(refused)
	return accepted, refused
}

func quantile(sorted []time.Duration, share float64) time.Duration {
	return sorted[min(int(float64(len(sorted))*share), len(sorted)-1)].Round(time.Millisecond)
}

func summary(sorted []time.Duration) string {
	return fmt.Sprintf("p50 %s, p99 %s, at most %s", quantile(sorted, .5), quantile(sorted, .99), quantile(sorted, 1))
}

// victim is a token and the body of the revocation that ends it.
type victim struct{ token, body string }

// victim gets a token that only that revocation covers.
func (f *fleet) victim(ctx context.Context, kind, format string, at int) (victim, error) {
	id := rand.Text()
	switch kind {
	case "token":
		token, err := f.token(ctx, at, format)
		return victim{token, `{"token":"` + token + `"}`}, err
	case "client":
		err := f.register(ctx, id, func(c *storage.Client) { c.TokenFormat = storage.TokenFormat(format) })
		if err != nil {
			return victim{}, err
		}
		token, err := f.token(ctx, at, id)
		return victim{token, `{"client":"` + id + `"}`}, err
	}
	token, grant, err := f.consented(ctx, id, format, at)
	if kind == "user" {
		return victim{token, `{"user":"` + id + `"}`}, err
	}
	return victim{token, `{"grant":"` + grant + `"}`}, err
}

// consented makes a user who has allowed an app, and redeems the code for it.
func (f *fleet) consented(ctx context.Context, user, format string, at int) (token, grant string, err error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	grant = base64.RawURLEncoding.EncodeToString(random[:])
	secret := sha256.Sum256([]byte(user))
	code, verifier := "ghc_"+base64.RawURLEncoding.EncodeToString(secret[:]), rand.Text()+rand.Text()
	challenge, hash, now := sha256.Sum256([]byte(verifier)), sha256.Sum256([]byte(code)), time.Now()
	client := "people-" + format
	err = errors.Join(
		f.store.CreateUser(ctx, storage.User{ID: user, Username: user, CreatedAt: now, UpdatedAt: now}, storage.Identity{}),
		f.store.CreateInteraction(ctx, storage.Interaction{Hash: hash, ClientID: client, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}),
		f.store.IssueCode(ctx, storage.Code{
			Hash: hash, GrantID: grant, ClientID: client, UserID: user, RedirectURI: remembered,
			CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]), Scopes: []string{"mcp:read", "mcp:tools"},
			Resource: f.resource, Audience: f.resource, TokenFormat: storage.TokenFormat(format), Refresh: true,
			AuthTime: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		}, hash))
	if err != nil {
		return "", "", err
	}
	var got tokens
	err = f.post(ctx, at, "/oauth/token", client, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {remembered}, "code_verifier": {verifier},
	}, &got)
	return got.Access, grant, err
}

// revoke calls the admin API of one of the authorization servers.
func (f *fleet) revoke(ctx context.Context, at int, admin, body string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.servers[at].address+"/admin/api/v1/revocations", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+admin)
	response, err := f.clients[at].HTTP.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("revocation: %d %s %w", response.StatusCode, answer, err)
	}
	return nil
}

// status is what a gate answers to a token.
func (f *fleet) status(ctx context.Context, gate int, token string) (int, error) {
	status, body, err := f.clients[gate].Call(ctx, token, "tools/list", "", "")
	if err == nil && status != http.StatusOK && status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		err = fmt.Errorf("gate %d answers %d %.200s", gate, status, body)
	}
	return status, err
}

// accepted returns an error unless both gates take the token.
func (f *fleet) accepted(ctx context.Context, token string) error {
	for gate := range f.gates {
		if status, err := f.status(ctx, gate, token); err != nil || status != http.StatusOK {
			return fmt.Errorf("gate %d answers %d to a good token: %w", gate, status, err)
		}
	}
	return nil
}

// refused calls both gates until they refuse the token.
func (f *fleet) refused(ctx context.Context, since time.Time, token string) (lags []lag, err error) {
	ctx, cancel := context.WithTimeout(ctx, propagation)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for gate := range f.gates {
		var got lag
		for ; ; <-tick.C {
			began := time.Since(since)
			status, err := f.status(ctx, gate, token)
			if err != nil {
				return nil, fmt.Errorf("not refused: %w", err)
			}
			if got.refused = time.Since(since); status == http.StatusUnauthorized {
				break
			}
			got.accepted = began
		}
		lags = append(lags, got)
	}
	return lags, nil
}

// revokeEach revokes one token after the other in each way, the first half at one
// server and the second at the other: whoever is asked looks at the event log at
// once, and it is the one that is not asked which takes time.
func (f *fleet) revokeEach(t *testing.T, lanes int) lagsOf {
	t.Helper()
	began := time.Now()
	admin, err := f.token(t.Context(), 0, "admin")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards all
	all := lagsOf{}
	kinds, formats := []string{"token", "grant", "client", "user"}, []string{"jwt", "opaque"}
	total := revocationsOfAKind * len(kinds) * len(formats)
	var running sync.WaitGroup
	for lane := range lanes {
		running.Go(func() {
			for i := lane; i < total && !t.Failed(); i += lanes {
				kind, format := kinds[i%len(kinds)], formats[i/len(kinds)%len(formats)]
				lags, err := f.revokeOne(t.Context(), admin, kind, format, 2*i/total)
				if err != nil {
					t.Errorf("%s, %s: %v", kind, format, err)
				}
				mu.Lock()
				all[kind+" "+format] = append(all[kind+" "+format], lags...)
				mu.Unlock()
			}
		})
	}
	if running.Wait(); t.Failed() {
		t.FailNow()
	}
	t.Logf("revocations one by one took %s", time.Since(began).Round(time.Millisecond))
	return all
}

func (f *fleet) revokeOne(ctx context.Context, admin, kind, format string, at int) ([]lag, error) {
	v, err := f.victim(ctx, kind, format, at)
	if err != nil {
		return nil, err
	}
	if err := f.accepted(ctx, v.token); err != nil {
		return nil, err
	}
	if err := f.revoke(ctx, at, admin, v.body); err != nil {
		return nil, err
	}
	return f.refused(ctx, time.Now(), v.token)
}

// revokeEverything does so in rounds and adds to all.
func (f *fleet) revokeEverything(t *testing.T, rounds int, all lagsOf) {
	t.Helper()
	ctx, revoked := t.Context(), time.Time{}
	for round := range rounds {
		<-time.After(time.Until(revoked.Truncate(time.Second).Add(time.Second))) // tokens of that second are revoked
		admin, err := f.token(ctx, 0, "admin")
		if err != nil {
			t.Fatal(err)
		}
		var alive []string
		for i := range 2 * (revocationsOfAKind / rounds) {
			token, err := f.token(ctx, i%2, []string{"jwt", "opaque"}[i%2])
			if err := errors.Join(err, f.accepted(ctx, token)); err != nil {
				t.Fatal(err)
			}
			alive = append(alive, token)
		}
		if err := f.revoke(ctx, round%2, admin, `{"all":true}`); err != nil {
			t.Fatal(err)
		}
		revoked = time.Now()
		var mu sync.Mutex // guards all
		var running sync.WaitGroup
		for i, token := range alive {
			running.Go(func() {
				lags, err := f.refused(ctx, revoked, token)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				kind := "all " + []string{"jwt", "opaque"}[i%2]
				all[kind] = append(all[kind], lags...)
			})
		}
		running.Wait()
	}
}
