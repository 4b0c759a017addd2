package authserver

import (
	"context"
	"time"
)

// receiverPatience is how long a receiver may stay away between two polls and
// still be waited for, and so how long a revocation waits at most for resource
// servers to confirm it. It is answered in any case: the store has it.
const receiverPatience = 2 * time.Second

// maxReceivers bounds the receivers of one client that are waited for; more of
// them are served all the same.
const maxReceivers = 256

// receivers knows which resource servers follow the feed at this node and
// which revocations they have yet to confirm. The event log's lock guards it.
type receivers struct {
	byID    map[receiverID]*receiver
	waiting map[string]*confirmation // by event
}

// receiverID tells receivers apart; a client names its own only.
type receiverID struct{ clientID, name string }

// receiver is one resource server process that polls.
type receiver struct {
	client    *client
	polls     int       // under way
	lastSeen  time.Time // end of the last one
	confirmed map[string]struct{}
	// late is an event that it was waited for in vain. Until it has that, which
	// it may tell another replica, nobody waits for it again.
	late revocation
}

// confirmation is an event that some receivers have yet to confirm. Replays of
// one token at once all wait for the same event.
type confirmation struct {
	missing map[receiverID]struct{}
	done    chan struct{} // closed when missing is empty
	waiters int
}

func newReceivers() receivers {
	return receivers{byID: map[receiverID]*receiver{}, waiting: map[string]*confirmation{}}
}

// awaitReceivers returns when every receiver that e concerns has confirmed it,
// or has left, or when patience ends.
func (l *eventLog) awaitReceivers(ctx context.Context, e revocation) {
	l.mu.Lock()
	waiting := l.receivers.expect(e)
	l.mu.Unlock()
	if waiting == nil {
		return
	}
	patience := time.NewTimer(receiverPatience)
	defer patience.Stop()
	select {
	case <-waiting.done:
	case <-ctx.Done():
	case <-patience.C:
		l.mu.Lock()
		l.receivers.giveUp(e, waiting)
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting.waiters--; waiting.waiters == 0 {
		delete(l.receivers.waiting, e.id)
	}
}

// arrive notes that a receiver polls and all that it confirms. It returns nil
// for one that is not waited for, because its client has too many.
func (l *eventLog) arrive(id receiverID, c *client, confirmed map[string]struct{}, cursor string) *receiver {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.receivers.byID[id]
	if r == nil {
		if !l.receivers.room(id.clientID) {
			return nil
		}
		r = &receiver{}
		l.receivers.byID[id] = r
	}
	r.client, r.confirmed = c, confirmed
	r.polls++
	for event := range l.receivers.waiting {
		if _, ok := confirmed[event]; ok {
			l.receivers.confirm(event, id)
		}
	}
	if _, ok := confirmed[r.late.id]; ok || l.has(cursor, time.Now()) >= r.late.Seq {
		r.late = revocation{}
	}
	return r
}

// depart notes that a poll of r, as arrive returned it, has ended; gone says
// that its connection broke, so that nobody waits for it any longer.
func (l *eventLog) depart(id receiverID, r *receiver, gone bool, now time.Time) {
	if r == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.polls--
	r.lastSeen = now
	if !gone || r.polls > 0 {
		return
	}
	delete(l.receivers.byID, id)
	for event := range l.receivers.waiting {
		l.receivers.confirm(event, id)
	}
}

// expect returns the confirmation to wait for; nil when nobody is missing.
func (r *receivers) expect(e revocation) *confirmation {
	if c := r.waiting[e.id]; c != nil {
		c.waiters++
		return c
	}
	missing := map[receiverID]struct{}{}
	for id, known := range r.byID {
		if known.away() {
			delete(r.byID, id)
			continue
		}
		if _, confirmed := known.confirmed[e.id]; !confirmed && known.late.id == "" && e.concerns(known.client) {
			missing[id] = struct{}{}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	c := &confirmation{missing: missing, done: make(chan struct{}), waiters: 1}
	r.waiting[e.id] = c
	return c
}

// room reports whether one more receiver of a client can be waited for. It
// forgets those that stay away.
func (r *receivers) room(clientID string) bool {
	count := 0
	for id, known := range r.byID {
		switch {
		case known.away():
			delete(r.byID, id)
		case id.clientID == clientID:
			count++
		}
	}
	return count < maxReceivers
}

func (r *receiver) away() bool { return r.polls == 0 && time.Since(r.lastSeen) >= receiverPatience }

// giveUp remembers who did not confirm e in time.
func (r *receivers) giveUp(e revocation, c *confirmation) {
	for id := range c.missing {
		if known := r.byID[id]; known != nil {
			known.late = e
		}
	}
}

func (r *receivers) confirm(event string, id receiverID) {
	c := r.waiting[event]
	if _, asked := c.missing[id]; !asked {
		return
	}
	if delete(c.missing, id); len(c.missing) == 0 {
		close(c.done)
	}
}
