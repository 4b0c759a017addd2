package authserver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// revocation is an event of the feed: of tokens, or of the key of some.
type revocation struct {
	storage.Event
	id        string   // jti of its security event tokens
	resources []string // Audience in canonical form
}

// newRevocation prepares an event for the feed. Its id is its own for ever: a
// store that was restored from a backup gives numbers of old events to new ones.
func newRevocation(e storage.Event) revocation {
	sum := sha256.Sum256([]byte(string(e.Kind) + "\x00" + e.Target + "\x00" + strconv.FormatInt(e.CreatedAt.Unix(), 10)))
	id := strconv.FormatInt(e.Seq, 10) + "-" + base64.RawURLEncoding.EncodeToString(sum[:12])
	return revocation{e, id, canonicalAll(e.Audience)}
}

// concerns reports whether it is about tokens for a resource of c.
func (e revocation) concerns(c *client) bool {
	return len(e.resources) == 0 || c.mayUse(e.resources...)
}

const (
	// pollInterval bounds how long an event of another replica can go
	// unnoticed when its notification is lost.
	pollInterval = 250 * time.Millisecond
	pollTimeout  = 3 * time.Second
	eventPage    = 1000
)

// MaxStaleness is how long a server may act on what the store said before: a
// client that is gone may get a token for so long. Without news from the store
// for longer it answers 503.
const MaxStaleness = 5 * time.Second

// eventLog follows the store's event log: it hands each event once to apply
// and keeps the revocations in force for the feed of resource servers.
//
// Events become visible out of order by up to storage.CommitWindow, so the
// cursor stays that far behind and what follows it is read again each time;
// recent remembers what of it was applied.
type eventLog struct {
	store  storage.Events
	apply  func(storage.Event) // quick; must not call back
	logger *slog.Logger
	poke   chan struct{} // capacity 1: poll now

	mu        sync.Mutex // guards the fields below
	cursor    int64
	newest    int64               // highest Seq seen
	recent    map[int64]time.Time // applied events after cursor, and when they were first seen
	current   time.Time           // start of the last complete poll
	events    []revocation        // in force, by Seq
	changed   chan struct{}       // closed and replaced when events grows
	receivers receivers
}

func newEventLog(store storage.Events, apply func(storage.Event), logger *slog.Logger) *eventLog {
	return &eventLog{
		store: store, apply: apply, logger: logger,
		poke: make(chan struct{}, 1), recent: map[int64]time.Time{}, changed: make(chan struct{}),
		receivers: newReceivers(),
	}
}

// fresh returns an error when the log was not read to its end recently, which
// means that the store is down and that nobody can tell what is revoked.
func (l *eventLog) fresh(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.current) > MaxStaleness {
		return unavailable(fmt.Errorf("event log last read %s ago", now.Sub(l.current).Round(time.Second)))
	}
	return nil
}

// poll reads the log to its end and applies what is new.
func (l *eventLog) poll(ctx context.Context, now time.Time) error {
	l.mu.Lock()
	after := l.cursor
	l.mu.Unlock()
	began := time.Now()
	for {
		page, err := l.store.Events(ctx, after, eventPage, now)
		if err != nil {
			return err
		}
		l.take(page, now.Add(time.Since(began))) // after their numbers were drawn
		if len(page) < eventPage {
			break
		}
		after = page[len(page)-1].Seq
	}
	l.advance(now)
	return nil
}

// take applies the events that were not seen before and adds the revocations
// among them, which arrive nearly in order, to the feed.
func (l *eventLog) take(page []storage.Event, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	grown := false
	for _, e := range page {
		if _, seen := l.recent[e.Seq]; seen || e.Seq <= l.cursor {
			continue
		}
		l.recent[e.Seq] = now
		l.newest = max(l.newest, e.Seq)
		l.apply(e)
		if !forReceivers(e) {
			continue
		}
		l.events = slices.Insert(l.events, l.position(e.Seq), newRevocation(e))
		grown = true
	}
	if grown {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// forReceivers reports whether resource servers have to know of e: revocations,
// and keys that were retired. A new key they find by themselves.
func forReceivers(e storage.Event) bool {
	return e.Kind != storage.EventClientChanged && (e.Kind != storage.EventKeysChanged || e.Target != "")
}

// position returns where an event with seq is, or would be, among events.
func (l *eventLog) position(seq int64) int {
	at, _ := slices.BinarySearchFunc(l.events, seq, func(known revocation, seq int64) int { return cmp.Compare(known.Seq, seq) })
	return at
}

// advance moves the cursor over events that are old enough for everything
// before them to be visible, and marks the log as current.
func (l *eventLog) advance(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.After(l.current) { // polls may overlap
		l.current = now
	}
	for seq, firstSeen := range l.recent {
		if now.Sub(firstSeen) > storage.CommitWindow {
			l.cursor = max(l.cursor, seq)
		}
	}
	maps.DeleteFunc(l.recent, func(seq int64, _ time.Time) bool { return seq <= l.cursor })
}

// append stores an event, applies it here and waits until every resource
// server that is connected to this node has taken it, or for a moment.
func (l *eventLog) append(ctx context.Context, e storage.Event) error {
	seq, err := l.store.AppendEvent(ctx, e)
	if err != nil {
		return err
	}
	e.Seq = seq
	l.take([]storage.Event{e}, time.Now()) // after the number was drawn
	l.awaitReceivers(ctx, newRevocation(e))
	return nil
}

// follow brings in the revocation that a step of the store has appended by
// itself, and waits for the resource servers as append does.
func (l *eventLog) follow(ctx context.Context, kind storage.EventKind, target string) error {
	if err := l.poll(ctx, time.Now()); err != nil {
		return err
	}
	if e, found := l.latest(kind, target); found {
		l.awaitReceivers(ctx, e)
	}
	return nil
}

// latest returns the newest revocation of that kind and target.
func (l *eventLog) latest(kind storage.EventKind, target string) (revocation, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range slices.Backward(l.events) {
		if e.Kind == kind && e.Target == target {
			return e, true
		}
	}
	return revocation{}, false
}

// run follows the log until ctx ends.
func (l *eventLog) run(ctx context.Context) {
	var following sync.WaitGroup
	following.Go(func() { l.listen(ctx) })
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	failing := false
	for ctx.Err() == nil {
		pollCtx, cancel := context.WithTimeout(ctx, pollTimeout)
		err := l.poll(pollCtx, time.Now())
		cancel()
		if failed := err != nil && ctx.Err() == nil; failed != failing {
			if failing = failed; failing {
				l.logger.Error("event log cannot be read; answering 503 until it can", "error", err)
			} else {
				l.logger.Info("event log can be read again")
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-l.poke:
		}
	}
	following.Wait()
}

// listen turns the store's hints into polls, and starts again when it breaks.
func (l *eventLog) listen(ctx context.Context) {
	wake := func() {
		select {
		case l.poke <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil {
		if err := l.store.Listen(ctx, wake); err != nil && !errors.Is(err, context.Canceled) {
			l.logger.Warn("listening for events broke; polling goes on", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// forget drops events that have expired.
func (l *eventLog) forget(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = slices.DeleteFunc(l.events, func(e revocation) bool { return !now.Before(e.ExpiresAt) })
}
