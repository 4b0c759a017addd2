package integration

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// What was revoked stays so when processes are killed and start again: a
// resource server that does not know the revocations yet, or cannot get them,
// refuses or asks, and an authorization server reads them before it answers.
func survivesKill(t *testing.T, binary string) {
	t.Helper()
	f := newFleet(t, binary, true)
	ctx := t.Context()
	admin, err := f.token(ctx, 0, "admin")
	check(t, err)
	var revoked []string
	for _, kind := range []string{"token", "grant", "client", "user"} {
		for _, format := range []string{"jwt", "opaque"} {
			v, err := f.victim(ctx, kind, format, 0)
			check(t, err)
			check(t, f.accepted(ctx, v.token)) // and so both gates remember it
			check(t, f.revoke(ctx, 1, admin, v.body))
			revoked = append(revoked, v.token)
		}
	}
	alive, err := f.token(ctx, 0, "jwt")
	check(t, err)

	t.Log("the authorization server that was asked dies at once")
	answered := time.Now()
	f.servers[1].kill()
	f.refusedWithin(ctx, answered, revoked...) // one gate hears of it from the other server
	f.allRefused(ctx, revoked, 0, 1)
	t.Log("a resource server dies, and starts")
	f.gates[0].kill()
	f.gates[0].start(f.secret)
	f.refusedUntil(ctx, revoked, alive, 0)
	t.Log("nobody is left who knows what is revoked")
	f.servers[0].kill()
	f.gates[1].kill()
	f.gates[1].start(f.secret)
	f.neverAccepted(ctx, revoked, alive, 1)
	t.Log("both authorization servers start again")
	for at, n := range f.servers {
		n.start(f.secret)
		f.inactiveFrom(ctx, at, revoked)
	}
	for gate := range f.gates {
		f.refusedUntil(ctx, revoked, alive, gate)
	}
	t.Log("everything is revoked, and every process dies")
	check(t, f.accepted(ctx, alive))
	check(t, f.revoke(ctx, 0, admin, `{"all":true}`))
	for _, n := range f.nodes() {
		n.kill()
	}
	for _, n := range f.nodes() {
		n.start(f.secret)
	}
	for _, n := range f.nodes() {
		n.awaitReady()
	}
	f.allRefused(ctx, append(revoked, alive, admin), 0, 1)
	if err := f.revoke(ctx, 0, admin, `{"all":true}`); err == nil {
		t.Error("a revoked administrator revokes")
	}
}

// A signing key that an operator retires is refused at both resource servers
// within a second, though one of them has fetched the keys just now; tokens of
// the next key are good.
func retiredKey(t *testing.T, binary string) {
	t.Helper()
	f := newFleet(t, binary, false)
	ctx := t.Context()
	old, err := f.token(ctx, 0, "jwt")
	check(t, errors.Join(err, f.accepted(ctx, old)))
	keys, err := f.store.Keys(ctx)
	check(t, err)
	check(t, f.store.RetireKey(ctx, keys[0].KID, time.Now()))
	f.refusedWithin(ctx, time.Now(), old)
	for at := range f.servers {
		eventually(t, "tokens are signed with another key", func() bool {
			token, err := f.token(ctx, at, "jwt")
			return err == nil && f.accepted(ctx, token) == nil
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusedWithin fails unless both gates refuse every token within the bound
// after since.
func (f *fleet) refusedWithin(ctx context.Context, since time.Time, tokens ...string) {
	f.t.Helper()
	for _, token := range tokens {
		lags, err := f.refused(ctx, since, token)
		check(f.t, err)
		for gate, got := range lags {
			if got.accepted > revocationBound {
				f.t.Errorf("gate %d accepts it for %s", gate, got.accepted)
			}
		}
	}
}

// allRefused fails unless the gates refuse every token, and not only because
// they cannot tell.
func (f *fleet) allRefused(ctx context.Context, revoked []string, gates ...int) {
	f.t.Helper()
	for _, gate := range gates {
		for i, token := range revoked {
			status := 0
			eventually(f.t, "a gate refuses what was revoked", func() bool {
				var err error
				status, err = f.status(ctx, gate, token)
				return err == nil && status != http.StatusServiceUnavailable
			})
			if status != http.StatusUnauthorized {
				f.t.Fatalf("gate %d answers %d to revoked token %d", gate, status, i)
			}
		}
	}
}

// refusedUntil calls a gate that is starting from its first connection on until
// it takes a good token: it takes no revoked one meanwhile, and refuses them all
// afterwards.
func (f *fleet) refusedUntil(ctx context.Context, revoked []string, alive string, gate int) {
	f.t.Helper()
	calls := 0
	eventually(f.t, "the gate takes a good token", func() bool {
		token := revoked[calls%len(revoked)]
		calls++
		if status, err := f.status(ctx, gate, token); err == nil && status == http.StatusOK {
			f.t.Fatalf("gate %d takes a revoked token", gate)
		}
		status, err := f.status(ctx, gate, alive)
		return err == nil && status == http.StatusOK
	})
	f.allRefused(ctx, revoked, gate)
}

// neverAccepted calls a gate that has no issuer: it takes nothing, and says that
// it cannot tell.
func (f *fleet) neverAccepted(ctx context.Context, revoked []string, alive string, gate int) {
	f.t.Helper()
	answers := 0
	eventually(f.t, "the gate answers that it cannot tell", func() bool {
		for _, token := range append([]string{alive}, revoked...) {
			switch status, err := f.status(ctx, gate, token); {
			case err != nil: // it does not listen yet
				return false
			case status == http.StatusOK:
				f.t.Fatalf("gate %d takes a token that nobody vouches for", gate)
			case status == http.StatusServiceUnavailable:
				answers++
			}
		}
		return answers > 2*len(revoked)
	})
}

// inactiveFrom introspects at a server that is starting until it is ready: it
// calls no revoked token active.
func (f *fleet) inactiveFrom(ctx context.Context, at int, revoked []string) {
	f.t.Helper()
	for i, token := range revoked {
		var err error
		eventually(f.t, "the authorization server answers", func() bool {
			err = f.inactive(ctx, at, token)
			return err == nil || errors.Is(err, errActive)
		})
		if err != nil {
			f.t.Fatalf("server %d, token %d: %v", at, i, err)
		}
	}
}

var errActive = errors.New("an authorization server calls a revoked token active")

// inactive returns an error unless an authorization server calls a token so.
func (f *fleet) inactive(ctx context.Context, at int, token string) error {
	var answer struct{ Active *bool }
	if err := f.post(ctx, at, "/oauth/introspect", "gate-0", url.Values{"token": {token}}, &answer); err != nil {
		return err
	}
	if answer.Active == nil || *answer.Active {
		return errActive
	}
	return nil
}
