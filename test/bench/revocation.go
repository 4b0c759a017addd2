package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/test/bench/load"
)

// mostLag is the bar of P8 in milliseconds, at the 99th percentile.
const mostLag = 1000

// revokers revoke at once.
const revokers = 4

// revoking is P8: how long a token that was revoked at a replica is still
// accepted by a gate that is connected to the same or to the other one.
func (b *bench) revoking(ctx context.Context) ([]row, error) {
	s := b.stage
	token, err := s.token(ctx, jwtClient)
	if err != nil {
		return nil, err
	}
	busy, err := b.caller(ctx, s.resource, token, false)
	if err != nil {
		return nil, err
	}
	player, err := busy.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = player.Close() }()
	var rows []row
	for _, client := range []string{jwtClient, opaqueClient} {
		for _, at := range []struct{ name, address string }{{"same replica", s.issuer}, {"another replica", s.replica}} {
			r, err := b.lag(ctx, player, client, at.name, at.address)
			if err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// lag measures one kind of revocation while the gate is busy.
func (b *bench) lag(ctx context.Context, busy *player, client, name, address string) (row, error) {
	b.say("P8 revocation at %s, %s", name, client)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loaded error
	var background sync.WaitGroup
	background.Go(func() { _, loaded = busy.play(ctx, time.Hour) })
	var lags [revokers]load.Histogram
	var errs [revokers]error
	var sampling sync.WaitGroup
	end := time.Now().Add(b.pace.patience)
	for i := range revokers {
		sampling.Go(func() {
			for n := 0; n < b.pace.samples/revokers && time.Now().Before(end); n++ {
				lag, err := b.stage.revokeOne(ctx, client, address)
				if err != nil {
					errs[i] = err
					return
				}
				lags[i].Add(lag)
			}
		})
	}
	sampling.Wait()
	cancel()
	background.Wait()
	if err := errors.Join(append(errs[:], loaded)...); err != nil {
		return row{}, err
	}
	var all load.Histogram
	for i := range lags {
		all.Merge(&lags[i])
	}
	r := atMost("P8", "revocation at "+name+", "+client, "ms", milliseconds(all.Quantile(0.99)), mostLag,
		fmt.Sprintf("%d revocations; the answer of the refusal included", all.Count()))
	r.OursLatency = latencyOf(&all)
	return r, nil
}

// revokeOne gets a token, uses it, revokes it, and returns how long after the
// answer to that the first refusal arrived.
func (s *stage) revokeOne(ctx context.Context, client, address string) (time.Duration, error) {
	token, err := s.token(ctx, client)
	if err != nil {
		return 0, err
	}
	if refused, err := s.refused(ctx, token); err != nil || refused {
		return 0, errors.Join(errors.New("a good token is refused"), err)
	}
	r, err := s.form(ctx, address+"/oauth/revoke", client, url.Values{"token": {token}})
	if err != nil {
		return 0, err
	}
	status, body, _, err := s.send(r)
	if err != nil || status != http.StatusOK {
		return 0, errors.Join(fmt.Errorf("revoke: %d %.300s", status, body), err)
	}
	answered := time.Now()
	for {
		refused, err := s.refused(ctx, token)
		if err != nil || refused {
			return time.Since(answered), err
		}
	}
}

// refused reports whether the gate refuses a token as invalid.
func (s *stage) refused(ctx context.Context, token string) (bool, error) {
	r, err := call(ctx, s.resource, token, "")
	if err != nil {
		return false, err
	}
	status, body, _, err := s.send(r)
	switch {
	case err != nil:
		return false, err
	case status == http.StatusUnauthorized && bytes.Contains(body, []byte("invalid_token")):
		return true, nil
	case status == http.StatusOK && (len(body) == 0 || bytes.Contains(body, []byte(greeting))):
		return false, nil // a call under way when its token dies is cut off: not an answer, and no refusal yet
	}
	return false, fmt.Errorf("the gate answers %d %.300s", status, body)
}
