package streamable

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// maxStreams is how many streams of a session can be resumed, beside the
// standalone one: those of its latest requests.
const maxStreams = 64

var (
	errNotOwner = errors.New("the stream belongs to another principal")
	errDropped  = errors.New("the events are no longer there")
	errNarrower = errors.New("the stream was opened with scopes that the token has not")
)

// events is the SDK's event store: what was sent on the streams of sessions,
// for clients that resume them (MCP 2025-11-25, resumability).
//
// Each session has its own budget, so that no session can make another one
// lose events, and belongs to the principal that opened it: a request with
// another one's token gets nothing, nor does one that lacks scopes of the token
// that the request on the stream had. The SDK checks the owner of a session too;
// a stolen session id has to get past both.
//
// Sessions live in this process, hence so do their events.
type events struct {
	budget int                    // bytes of a session; its newest event is kept at any size
	closed func(sessionID string) // is told of each session that the SDK has closed

	mu       sync.Mutex
	sessions map[string]*recording
}

// recording is what is left of the streams of one session.
type recording struct {
	owner   string
	bytes   int
	order   []string // stream ids, oldest first
	streams map[string]*track
}

// track is a stream: its events from index first on, and the scopes of the
// token that asked for what it tells.
type track struct {
	first  int
	events [][]byte
	scopes scopes.Set
}

// Open implements [mcp.EventStore]. The first stream of a session decides
// whose it is.
func (e *events) Open(ctx context.Context, sessionID, streamID string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.sessions[sessionID]
	if r == nil {
		r = &recording{owner: principal(ctx), streams: map[string]*track{}}
		e.sessions[sessionID] = r
	}
	if r.owner != principal(ctx) {
		return errNotOwner
	}
	if r.streams[streamID] != nil {
		return nil
	}
	// The first stream of all is the standalone one, which lives as long as
	// the session.
	if len(r.order) > maxStreams {
		r.drop(r.order[1])
	}
	r.order = append(r.order, streamID)
	r.streams[streamID] = &track{scopes: held(ctx)}
	return nil
}

// Append implements [mcp.EventStore]. It is the server that appends, in
// whatever context.
func (e *events) Append(_ context.Context, sessionID, streamID string, data []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.sessions[sessionID]
	if r == nil || r.streams[streamID] == nil {
		return errDropped // the session ended, or the stream is an old one
	}
	for _, id := range r.order {
		for old := r.streams[id]; len(old.events) > 0 && r.bytes+len(data) > e.budget; {
			r.bytes -= len(old.events[0])
			old.events, old.first = slices.Delete(old.events, 0, 1), old.first+1
		}
	}
	s := r.streams[streamID]
	s.events = append(s.events, data)
	r.bytes += len(data)
	return nil
}

// After implements [mcp.EventStore].
func (e *events) After(ctx context.Context, sessionID, streamID string, index int) iter.Seq2[[]byte, error] {
	list, err := e.after(principal(ctx), held(ctx), sessionID, streamID, index+1)
	return func(yield func([]byte, error) bool) {
		if err != nil {
			yield(nil, err)
			return
		}
		for _, data := range list {
			if !yield(data, nil) {
				return
			}
		}
	}
}

func (e *events) after(caller string, held scopes.Set, sessionID, streamID string, index int) ([][]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.sessions[sessionID]
	if r == nil || r.owner != caller {
		return nil, errNotOwner
	}
	s := r.streams[streamID]
	if s == nil || index < s.first {
		return nil, errDropped
	}
	if streamID != "" && !held.Contains(s.scopes) { // the standalone one answers nobody
		return nil, errNarrower
	}
	return slices.Clone(s.events[min(index-s.first, len(s.events)):]), nil
}

// SessionClosed implements [mcp.EventStore].
func (e *events) SessionClosed(_ context.Context, sessionID string) error {
	e.closed(sessionID)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, sessionID)
	return nil
}

// drop forgets a stream.
func (r *recording) drop(streamID string) {
	for _, data := range r.streams[streamID].events {
		r.bytes -= len(data)
	}
	delete(r.streams, streamID)
	r.order = slices.DeleteFunc(r.order, func(id string) bool { return id == streamID })
}
