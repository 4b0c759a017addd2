package resourceserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

const (
	pollTimeout = 30 * time.Second // the issuer may hold a poll for 20 s
	pollEvents  = 1000
	ackFor      = 15 * time.Second // how long a cursor may lag behind what was answered
	maxAcks     = 1 << 14          // beyond it the issuer sends some events again, which does no harm
)

var (
	errFeedLost = errors.New("the revocation feed is lost")
	errNoFeed   = errors.New("the answer has no sets: it is not of a revocation feed")
)

// feed receives the issuer's revocation events: RFC 8936 with long polling.
// The transmitter keeps no state for us, so a poll says where we are (cursor,
// an additional member), what we have beyond that (ack), and who we are
// (receiver, another one): the issuer waits for us before it answers a
// revocation.
type feed struct {
	client      *issuerClient
	discovery   *discovery
	credentials ClientCredentials
	jwt         *jwtVerifier
	revoked     *revocations
	applied     func() // called after revocations were added
	lossAfter   time.Duration
	clock       func() time.Time
	started     time.Time

	receiver string // tells this process from others with the same credentials

	synced atomic.Int64 // Unix nanoseconds; 0: never

	// The following belong to run.
	cursor string
	acks   map[string]time.Time // received then, and perhaps not yet behind the cursor
	errs   map[string]setError
	swept  time.Time
}

// pollRequest and pollResponse are RFC 8936 §2.2 and §2.3.
type pollRequest struct {
	MaxEvents         int                 `json:"maxEvents"`
	ReturnImmediately bool                `json:"returnImmediately"`
	Ack               []string            `json:"ack,omitempty"`
	Errors            map[string]setError `json:"setErrs,omitempty"`
	Cursor            string              `json:"cursor,omitempty"`
	Receiver          string              `json:"receiver"`
}

type pollResponse struct {
	Sets          map[string]string `json:"sets"`
	MoreAvailable bool              `json:"moreAvailable"`
	Cursor        string            `json:"cursor"`
}

// inSync reports whether everything the issuer had revoked a short while ago
// is known here.
func (f *feed) inSync(now time.Time) bool {
	at := f.synced.Load()
	return at != 0 && now.Sub(time.Unix(0, at)) < f.lossAfter
}

// lag is the time since everything was known, or since the start.
func (f *feed) lag(now time.Time) time.Duration {
	if at := f.synced.Load(); at != 0 {
		return max(now.Sub(time.Unix(0, at)), 0)
	}
	return now.Sub(f.started)
}

// run polls until ctx ends; the next poll acknowledges the last one, so it
// follows at once. It tells report of every change between working and
// failing.
func (f *feed) run(ctx context.Context, report func(error)) {
	select {
	case <-f.jwt.keys.loaded: // no event can be verified before
	case <-ctx.Done():
		return
	}
	var wait time.Duration
	failed := false
	for {
		began, hold := time.Now(), !failed && f.inSync(f.clock())
		news, err := f.poll(ctx, hold)
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != failed {
			failed = err != nil
			report(err)
		}
		switch {
		case err != nil:
			wait = backoff(wait)
		case hold && !news && time.Since(began) < 100*time.Millisecond:
			wait = 200 * time.Millisecond // a transmitter that does not hold polls
		default:
			wait = 0
		}
		if wait > 0 && !pause(ctx, wait) {
			return
		}
	}
}

// poll makes one poll and applies what it brings; hold lets the issuer wait
// until there is something. It reports whether there was news. An answer with
// an event that cannot be understood is an error and does not move the cursor:
// what it meant to revoke is unknown, so the feed counts as lost until it
// makes sense again.
func (f *feed) poll(ctx context.Context, hold bool) (news bool, err error) {
	answer, err := f.request(ctx, hold)
	if err != nil {
		return false, err
	}
	now := f.clock()
	f.errs = map[string]setError{}
	for id, set := range answer.Sets {
		if _, known := f.acks[id]; known {
			continue
		}
		if err := f.apply(ctx, id, set); err != nil {
			f.errs[id] = asSetError(err)
			continue
		}
		news = true
		f.acks[id] = now
	}
	if news {
		f.applied()
	}
	if len(f.errs) > 0 {
		return news, fmt.Errorf("%d events of the revocation feed are not valid: %w", len(f.errs), firstError(f.errs))
	}
	f.cursor = answer.Cursor
	f.trim(now)
	if !answer.MoreAvailable {
		f.synced.Store(now.UnixNano())
	}
	return news || answer.MoreAvailable, nil
}

// trim drops the acknowledgements that the cursor covers by now, and once a
// minute the revocations whose tokens have expired even for a slow clock.
func (f *feed) trim(now time.Time) {
	maps.DeleteFunc(f.acks, func(_ string, at time.Time) bool {
		return now.Sub(at) > ackFor || len(f.acks) > maxAcks
	})
	if now.Sub(f.swept) > time.Minute {
		f.swept = now
		f.revoked.forget(now.Add(-f.jwt.skew).Unix())
	}
}

func (f *feed) request(ctx context.Context, hold bool) (*pollResponse, error) {
	endpoints, err := f.discovery.endpoints()
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(pollRequest{
		MaxEvents: pollEvents, ReturnImmediately: !hold, Ack: slices.Collect(maps.Keys(f.acks)), Errors: f.errs, Cursor: f.cursor, Receiver: f.receiver,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoints.EventsEndpoint, bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	f.credentials.authenticate(r)
	var answer pollResponse
	err = f.client.do(r, maxEvents, &answer)
	if status, ok := errors.AsType[statusError](err); ok && status == http.StatusBadRequest {
		f.cursor = "" // the issuer does not know our cursor: begin again
	}
	if err == nil && answer.Sets == nil {
		err = errNoFeed // sets is required: whoever leaves it out tells nothing about revocations
	}
	return &answer, err
}
