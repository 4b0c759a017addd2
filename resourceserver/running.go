package resourceserver

import (
	"context"
	"sync"
)

// running are the requests being handled, so that those of a revoked token,
// event streams above all, can be ended.
type running struct {
	mu  sync.Mutex
	all map[*run]struct{}
}

type run struct {
	token  *verified
	cancel context.CancelFunc
}

func newRunning() *running { return &running{all: map[*run]struct{}{}} }

// begin registers a request until end is called with what it returns. The
// caller looks at the revocations afterwards: one that came before was not
// applied to this request.
func (r *running) begin(token *verified, cancel context.CancelFunc) *run {
	one := &run{token, cancel}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[one] = struct{}{}
	return one
}

func (r *running) end(one *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, one)
}

// cancelRevoked cancels the requests whose token is revoked.
func (r *running) cancelRevoked(revoked *revocations) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for one := range r.all {
		if revoked.cover(one.token) {
			one.cancel()
		}
	}
}
