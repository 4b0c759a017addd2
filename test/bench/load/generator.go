package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Next appends the next request of one connection to buffer and returns it;
// nil when there is none left. It is called by one goroutine.
type Next func(buffer []byte) []byte

// Always is a Next that sends the same request again and again.
func Always(request []byte) Next { return func([]byte) []byte { return request } }

// Bytes returns a request as it goes over the wire.
func Bytes(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	err := r.Write(&b)
	return b.Bytes(), err
}

// Generator has connections to one address. Make one with [Open].
type Generator struct {
	connections []*connection
	want        []byte
}

// Open dials an address ("127.0.0.1:80") that many times. Every answer must be
// a 200 with want in its body.
func Open(ctx context.Context, address string, connections int, want string) (*Generator, error) {
	g := &Generator{want: []byte(want)}
	for range connections {
		c, err := dial(ctx, address)
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.connections = append(g.connections, c)
	}
	return g, nil
}

// Close closes the connections.
func (g *Generator) Close() error {
	var errs []error
	for _, c := range g.connections {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Result is what a run did.
type Result struct {
	Elapsed time.Duration // until the last answer
	Latency Histogram
}

// PerSecond is how many requests were answered in a second.
func (r *Result) PerSecond() float64 { return float64(r.Latency.Count()) / r.Elapsed.Seconds() }

// Run sends requests on all connections for d, or until ctx ends or next has
// none left, and returns when all are answered. next makes the source of the
// i-th connection. The first wrong answer is the error.
func (g *Generator) Run(ctx context.Context, d time.Duration, next func(i int) Next) (*Result, error) {
	begin := time.Now()
	deadline := begin.Add(d)
	var mu sync.Mutex // guards total and errs
	var total Result
	var errs []error
	var workers sync.WaitGroup
	for i, c := range g.connections {
		workers.Go(func() {
			latency, err := c.work(ctx, deadline, next(i), g.want)
			mu.Lock()
			defer mu.Unlock()
			total.Latency.Merge(latency)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	workers.Wait()
	total.Elapsed = time.Since(begin)
	if len(errs) > 0 {
		return nil, fmt.Errorf("%d of %d connections: %w", len(errs), len(g.connections), errs[0])
	}
	if total.Latency.Count() == 0 {
		return nil, errors.Join(errors.New("load: no request was answered"), ctx.Err())
	}
	return &total, nil
}

// work is what one connection does.
func (c *connection) work(ctx context.Context, deadline time.Time, next Next, want []byte) (*Histogram, error) {
	latency := &Histogram{}
	if err := c.SetDeadline(deadline.Add(patience)); err != nil {
		return latency, err
	}
	var buffer []byte
	for now := time.Now(); now.Before(deadline) && ctx.Err() == nil; {
		request := next(buffer[:0])
		if request == nil {
			break
		}
		buffer = request
		if err := c.exchange(request, want); err != nil {
			return latency, err
		}
		after := time.Now()
		latency.Add(after.Sub(now))
		now = after
	}
	return latency, nil
}
