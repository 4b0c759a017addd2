package streamable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var _ mcp.EventStore = (*events)(nil)

func newEvents(budget int) *events {
	return &events{budget: budget, closed: func(string) {}, sessions: map[string]*recording{}}
}

// replay returns the events after index, joined.
func replay(ctx context.Context, e *events, session, stream string, index int) (string, error) {
	var all []string
	for data, err := range e.After(ctx, session, stream, index) {
		if err != nil {
			return "", err
		}
		all = append(all, string(data))
	}
	return strings.Join(all, " "), nil
}

func TestEvents_RS17_BelongToThePrincipal(t *testing.T) {
	t.Parallel()
	alice, mallory := contextOf("alice"), contextOf("mallory")
	e := newEvents(1000)
	if err := e.Open(alice, "sid", ""); err != nil {
		t.Fatal(err)
	}
	if err := e.Append(t.Context(), "sid", "", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if data, err := replay(alice, e, "sid", "", -1); err != nil || data != "secret" {
		t.Errorf("the owner: %q, %v", data, err)
	}
	for name, ctx := range map[string]context.Context{"another principal": mallory, "nobody": t.Context()} {
		if data, err := replay(ctx, e, "sid", "", -1); !errors.Is(err, errNotOwner) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if err := e.Open(ctx, "sid", "other"); !errors.Is(err, errNotOwner) {
			t.Errorf("%s opened a stream: %v", name, err)
		}
	}
	if err := e.SessionClosed(t.Context(), "sid"); err != nil {
		t.Fatal(err)
	}
	if _, err := replay(alice, e, "sid", "", -1); err == nil {
		t.Error("events outlive the session")
	}
	if err := e.Append(t.Context(), "sid", "", []byte("late")); !errors.Is(err, errDropped) || len(e.sessions) != 0 {
		t.Errorf("a late event: %v, %v", err, e.sessions)
	}
}

func TestEvents_TL07_StreamsAreApart(t *testing.T) {
	t.Parallel()
	ctx := contextOf("alice")
	e := newEvents(1000)
	for _, stream := range []string{"", "a", "b"} {
		if err := e.Open(ctx, "sid", stream); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := e.Append(ctx, "sid", stream, fmt.Append(nil, stream, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for index, want := range map[int]string{-1: "a0 a1 a2", 0: "a1 a2", 2: "", 7: ""} {
		if got, err := replay(ctx, e, "sid", "a", index); err != nil || got != want {
			t.Errorf("after %d: %q, %v", index, got, err)
		}
	}
	for _, place := range [][2]string{{"sid", "c"}, {"other", "a"}} {
		if _, err := replay(ctx, e, place[0], place[1], -1); err == nil {
			t.Errorf("%q has events", place)
		}
	}
}

func TestEvents_AreBounded(t *testing.T) {
	t.Parallel()
	ctx := contextOf("alice")
	e := newEvents(10)
	send := func(stream, data string) {
		t.Helper()
		if err := errors.Join(e.Open(ctx, "sid", stream), e.Append(ctx, "sid", stream, []byte(data))); err != nil {
			t.Fatal(err)
		}
	}
	send("", "standalone")
	send("a", "12345")
	send("b", "67890")
	send("b", "x")
	if _, err := replay(ctx, e, "sid", "a", -1); !errors.Is(err, errDropped) {
		t.Errorf("the oldest event is still there: %v", err)
	}
	if got, err := replay(ctx, e, "sid", "b", -1); err != nil || got != "67890 x" {
		t.Errorf("%q, %v", got, err)
	}
	send("b", strings.Repeat("y", 100))
	if got, err := replay(ctx, e, "sid", "b", 1); err != nil || len(got) != 100 {
		t.Errorf("the newest event: %q, %v", got, err)
	}
	for i := range 10 * maxStreams {
		send(fmt.Sprint("stream", i), "z")
	}
	r := e.sessions["sid"]
	if len(r.streams) != maxStreams+1 || len(r.order) != maxStreams+1 || r.bytes > 10 {
		t.Errorf("%d streams, %d bytes", len(r.streams), r.bytes)
	}
	if r.streams[""] == nil {
		t.Error("the standalone stream is gone")
	}
	if err := e.Append(ctx, "sid", "b", []byte("late")); !errors.Is(err, errDropped) {
		t.Errorf("an answer on a stream that was dropped: %v", err)
	}
}

// contextOf returns the context of a request with a token of user.
func contextOf(user string) context.Context {
	var request *http.Request
	identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { request = r })).
		ServeHTTP(httptest.NewRecorder(), &http.Request{Header: http.Header{"Authorization": {"Bearer " + user + ",x"}}})
	return request.Context()
}
