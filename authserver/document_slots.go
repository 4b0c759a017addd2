package authserver

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// maxFetches is how many documents are fetched at a time: strangers cause
	// them, and each may take as long as its host likes, up to cimd.Timeout.
	maxFetches = 32
	// maxHostFetches is how many of these may be one host's, so that a slow one
	// does not keep the others waiting.
	maxHostFetches = 4
	// slotWait bounds how long a fetch waits for its turn.
	slotWait = 2 * time.Second
)

// slots are the turns of fetches.
type slots struct {
	all   chan struct{}
	mu    sync.Mutex // guards hosts and their users
	hosts map[string]*hostSlots
}

// hostSlots are those of one host, forgotten with their last user.
type hostSlots struct {
	taken chan struct{}
	users int // that have a slot or wait for one
}

func newSlots() *slots {
	return &slots{all: make(chan struct{}, maxFetches), hosts: map[string]*hostSlots{}}
}

// take waits for a slot of host, which the caller gives back with release. Who
// waits for a slow host holds none of the others' slots.
func (s *slots) take(ctx context.Context, host string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, slotWait)
	defer cancel()
	own := s.enter(host)
	if err := fill(ctx, own.taken); err != nil {
		s.leave(host)
		return nil, fmt.Errorf("too many documents of %s are being fetched: %w", host, err)
	}
	if err := fill(ctx, s.all); err != nil {
		<-own.taken
		s.leave(host)
		return nil, fmt.Errorf("too many documents are being fetched: %w", err)
	}
	return func() { <-s.all; <-own.taken; s.leave(host) }, nil
}

func fill(ctx context.Context, slot chan<- struct{}) error {
	select {
	case slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slots) enter(host string) *hostSlots {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.hosts[host]
	if own == nil {
		own = &hostSlots{taken: make(chan struct{}, maxHostFetches)}
		s.hosts[host] = own
	}
	own.users++
	return own
}

func (s *slots) leave(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[host].users--; s.hosts[host].users == 0 {
		delete(s.hosts, host)
	}
}
