package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// latecomers is an event log into which events can be put in any order, as a
// database makes them visible that hands out numbers before it commits.
type latecomers struct {
	events []storage.Event
	delay  time.Duration // of reading
}

func (l *latecomers) AppendEvent(_ context.Context, e storage.Event) (int64, error) {
	e.Seq = 1000
	l.events = append(l.events, e)
	return e.Seq, nil
}

func (l *latecomers) Listen(context.Context, func()) error { return errors.ErrUnsupported }

func (l *latecomers) Events(_ context.Context, after int64, limit int, _ time.Time) ([]storage.Event, error) {
	if l.delay > 0 {
		<-time.After(l.delay)
	}
	found := slices.DeleteFunc(slices.Clone(l.events), func(e storage.Event) bool { return e.Seq <= after })
	slices.SortFunc(found, func(a, b storage.Event) int { return int(a.Seq - b.Seq) })
	return found[:min(limit, len(found))], nil
}

func (l *latecomers) commit(seqs ...int64) {
	for _, seq := range seqs {
		l.events = append(l.events, storage.Event{Seq: seq, Kind: storage.EventTokenRevoked, ExpiresAt: time.Unix(1e10, 0)})
	}
}

// Every event is applied exactly once, also one that becomes visible after
// others with higher numbers, as late as storage.CommitWindow allows.
func TestEventLog_D7_LateCommitsAreNotMissed(t *testing.T) {
	t.Parallel()
	store := &latecomers{}
	var applied []int64
	log := newEventLog(store, func(e storage.Event) { applied = append(applied, e.Seq) }, slog.New(slog.DiscardHandler))
	now := time.Unix(1_800_000_000, 0)
	poll := func(after time.Duration, commits ...int64) {
		t.Helper()
		store.commit(commits...)
		now = now.Add(after)
		if err := log.poll(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	poll(0, 1, 2, 5)
	poll(storage.CommitWindow-time.Second, 4, 7)
	poll(time.Second, 3)
	poll(time.Second, 6) // 6 is as late as it may be: 7 was seen less than the window ago
	if want := []int64{1, 2, 5, 4, 7, 3, 6}; !slices.Equal(applied, want) {
		t.Errorf("applied %v, want %v", applied, want)
	}
	order := make([]int64, 0, len(log.events))
	for _, e := range log.events {
		order = append(order, e.Seq)
	}
	if !slices.IsSorted(order) || len(order) != 7 {
		t.Errorf("the feed has %v", order)
	}
	poll(time.Hour)
	poll(0)
	if len(log.recent) != 0 || log.cursor != 7 {
		t.Errorf("after an hour the cursor is %d with %d events remembered", log.cursor, len(log.recent))
	}
}

// A sequence number is drawn some time after a request or a poll has begun.
// Neither may make an event seem older than it is: what was drawn before it
// could then become visible behind the cursor.
func TestEventLog_D7_AnEventIsNotOlderThanItsNumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &latecomers{}
		applied := map[int64]bool{}
		log := newEventLog(store, func(e storage.Event) { applied[e.Seq] = true }, slog.New(slog.DiscardHandler))
		poll := func() {
			t.Helper()
			if err := log.poll(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		store.delay = pollTimeout
		store.commit(7) // drawn at the very end of the poll
		poll()
		store.delay = 0
		requested := time.Now()                // of a client that sends slowly
		<-time.After(storage.CommitWindow / 2) // until here
		event := storage.Event{Kind: storage.EventTokenRevoked, CreatedAt: requested, ExpiresAt: time.Unix(1e10, 0)}
		if err := log.append(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		<-time.After(storage.CommitWindow/2 - time.Second)
		poll()
		store.commit(6) // drawn before 7, and as late as it may be
		poll()
		<-time.After(storage.CommitWindow / 2)
		poll()
		store.commit(999) // drawn before the appended one
		poll()
		if !applied[6] || !applied[999] || !applied[1000] {
			t.Errorf("applied: %v", applied)
		}
	})
}

func TestEventLog_ManyPages(t *testing.T) {
	t.Parallel()
	store := &latecomers{}
	for seq := range int64(2*eventPage + 1) {
		store.commit(seq + 1)
	}
	count := 0
	log := newEventLog(store, func(storage.Event) { count++ }, slog.New(slog.DiscardHandler))
	if err := log.poll(t.Context(), time.Now()); err != nil || count != 2*eventPage+1 {
		t.Errorf("%d events applied, error %v", count, err)
	}
}

// A panic costs one request a 500 that tells nothing; the log tells all.
func TestEdge_PanicIsServerError(t *testing.T) {
	t.Parallel()
	metrics, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var logs strings.Builder
	logger := slog.New(slog.NewTextHandler(&logs, nil))
	s := &Server{cfg: Config{Logger: logger, SecurityLog: logger}, metrics: metrics}
	handler := s.edge(route{name: "test"}, func(http.ResponseWriter, *http.Request, *logEntry) error { panic("secret detail") })
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	if body := recorder.Body.String(); recorder.Code != 500 || !strings.Contains(body, codeServerError) || strings.Contains(body, "secret") {
		t.Errorf("answer: %d %s", recorder.Code, body)
	}
	if !strings.Contains(logs.String(), "secret detail") {
		t.Error("the cause is not in the log")
	}
}

func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{"a=b&c=d", "a=%00", "resource=a&resource=b", "a=1&a=2", "%ff=1", "a;b", strings.Repeat("a&", 70)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm(body)
		if err != nil {
			if answer := errorFor(err); answer.status >= 500 {
				t.Fatalf("bad input answered %d", answer.status)
			}
			return
		}
		for name, values := range form {
			if len(values) == 0 || (len(values) > 1 && name != "resource") || slices.Contains(values, "") || !clean(name) || !clean(values[0]) {
				t.Fatalf("%q: %q", name, values)
			}
		}
	})
}

// An opaque token has one form only: whatever parses is what would be issued.
func FuzzParseOpaque(f *testing.F) {
	f.Add(newOpaque(time.Unix(1_800_000_000, 0)))
	f.Add("gha_")
	f.Fuzz(func(t *testing.T, token string) {
		expiresAt, ok := parseOpaque(token)
		if !ok {
			return
		}
		if id, again, err := TokenID(token); err != nil || !again.Equal(expiresAt) || id == "" || !strings.HasPrefix(token, opaquePrefix) {
			t.Fatalf("%q: %v %v %v", token, id, again, err)
		}
	})
}

// What two identifiers have in common is compared on their canonical forms, so
// that form must be stable.
func FuzzCanonicalResource(f *testing.F) {
	for _, seed := range []string{"https://h", "HTTPS://H:443/a?b", "http://[::1]:80/", "https://h/%2e%2e/", "https://h:/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, identifier string) {
		once, err := canonicalResource(identifier)
		if err != nil {
			return
		}
		if twice, err := canonicalResource(once); err != nil || twice != once {
			t.Fatalf("%q -> %q -> %q, %v", identifier, once, twice, err)
		}
	})
}

// A hostile resource server that invents receivers exhausts nothing, and does
// not keep others from being waited for.
func TestReceivers_InventedOnesAreBounded(t *testing.T) {
	t.Parallel()
	log := newEventLog(&latecomers{}, func(storage.Event) {}, slog.New(slog.DiscardHandler))
	poll := func(id receiverID) {
		log.depart(id, log.arrive(id, &client{}, nil, ""), false, time.Now())
	}
	for range 10 * maxReceivers {
		poll(receiverID{"hostile", rand.Text()})
	}
	poll(receiverID{"honest", ""})
	if n := len(log.receivers.byID); n != maxReceivers+1 {
		t.Errorf("%d receivers are remembered", n)
	}
	if _, known := log.receivers.byID[receiverID{"honest", ""}]; !known {
		t.Error("the honest receiver is forgotten")
	}
	many := pollRequest{Ack: make([]string, 10*maxAcks)}
	for i := range many.Ack {
		many.Ack[i] = strconv.Itoa(i)
	}
	if n := len(many.confirmed()); n != maxAcks {
		t.Errorf("%d acknowledgements are remembered", n)
	}
}
