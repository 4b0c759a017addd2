package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/test/bench/load"
)

// connections is the concurrency of every figure.
const connections = 32

// side is one of the two that take turns: an address and what to send there.
type side struct {
	address string
	want    string // in every answer
	// request is sent over and over, unless prepare makes the requests of one
	// slice, and is not timed.
	request []byte
	prepare func(ctx context.Context, d time.Duration) (func(i int) load.Next, error)
}

// figure is a side and its limit.
type figure struct {
	id, name    string
	file        string // name of its profiles
	bar         float64
	ours, limit side
	note        string
}

// player is a side with its connections.
type player struct {
	side
	*load.Generator
}

func (s side) open(ctx context.Context) (*player, error) {
	g, err := load.Open(ctx, s.address, connections, s.want)
	if err != nil {
		return nil, err
	}
	return &player{s, g}, nil
}

// slice is what one side did in one round.
type slice struct {
	*load.Result
	cpu time.Duration // of this process per request, both ends included
}

func (p *player) play(ctx context.Context, d time.Duration) (slice, error) {
	next := func(int) load.Next { return load.Always(p.request) }
	if p.prepare != nil {
		var err error
		if next, err = p.prepare(ctx, d); err != nil {
			return slice{}, err
		}
	}
	before := cpuTime()
	result, err := p.Run(ctx, d, next)
	if err != nil {
		return slice{}, err
	}
	return slice{result, (cpuTime() - before) / time.Duration(result.Latency.Count())}, nil
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // there is always an answer about oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// duel lets both sides take turns and returns the row of the table.
func (b *bench) duel(ctx context.Context, f figure) (row, error) {
	b.say("%s %s", f.id, f.name)
	ours, err := f.ours.open(ctx)
	if err != nil {
		return row{}, err
	}
	defer func() { _ = ours.Close() }()
	limit, err := f.limit.open(ctx)
	if err != nil {
		return row{}, err
	}
	defer func() { _ = limit.Close() }()
	for _, p := range []*player{limit, ours} {
		if _, err := p.play(ctx, b.pace.warm); err != nil {
			return row{}, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	r := row{ID: f.id, Figure: f.name, Unit: "/s", Bar: f.bar, Note: f.note}
	var mine, best load.Histogram
	for range b.pace.rounds {
		a, err := limit.play(ctx, b.pace.slice)
		if err != nil {
			return row{}, fmt.Errorf("%s, limit: %w", f.name, err)
		}
		o, err := ours.play(ctx, b.pace.slice)
		if err != nil {
			return row{}, fmt.Errorf("%s: %w", f.name, err)
		}
		r.Rounds = append(r.Rounds, round{o.PerSecond(), a.PerSecond(), microseconds(o.cpu), microseconds(a.cpu)})
		mine.Merge(&o.Latency)
		best.Merge(&a.Latency)
	}
	r.OursLatency, r.LimitLatency = latencyOf(&mine), latencyOf(&best)
	r.judge()
	if b.options.profile != "" {
		return r, b.profile(f.file, func() error { _, err := ours.play(ctx, 4*b.pace.slice); return err })
	}
	return r, nil
}

// judge fills in what follows from the rounds.
func (r *row) judge() {
	column := func(of func(round) float64) (values []float64) {
		for _, one := range r.Rounds {
			values = append(values, of(one))
		}
		return values
	}
	ratios := column(func(o round) float64 { return o.Ours / o.Limit })
	r.Ours = median(column(func(o round) float64 { return o.Ours }))
	r.Limit = median(column(func(o round) float64 { return o.Limit }))
	r.OursCPU = median(column(func(o round) float64 { return o.OursCPU }))
	r.LimitCPU = median(column(func(o round) float64 { return o.LimitCPU }))
	r.Ratio = median(ratios)
	r.Least, r.Most = slices.Min(ratios), slices.Max(ratios)
	r.Met = r.Ratio >= r.Bar
}

// median of at least one value.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func latencyOf(h *load.Histogram) *latency {
	return &latency{P50: milliseconds(h.Quantile(0.5)), P99: milliseconds(h.Quantile(0.99))}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
