package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `bench measures Gatehouse against its own limits.

  go run ./test/pgtest/pgrun -- go run ./test/bench [flag…]

Every figure is taken in turn with its limit, a server that does the
unavoidable part of the same work and nothing else, with 32 keep-alive
connections on loopback. Servers, Postgres and the load generator share the
machine, so absolute numbers say little; the ratio says how much of what is
possible is left. It is the median of the rounds; the range behind it is that
of all rounds, and a wide one means that a neighbour disturbed: run again. The
CPU time of a request, generator included and database not, is steadier.

  P1  client credentials for a JWT (ES256)    a handler that parses the same form and makes one signature
  P2  client credentials for an opaque token  a handler that parses the same form and does one coalesced insert
  P3  introspection of a token it has seen    a handler that answers a POST with its own body
  P4  MCP tools/call through the whole gate   the same MCP endpoint without a gate
  P6  the binary: memory and time to ready    a fixed number of MiB and ms
  P8  revocation: from the answer to refusal  a fixed number of ms, at the 99th percentile, under the load of P4

Servers log as in production, to a writer that discards, and have the heap
floor of the binary. Postgres is the server that TEST_DATABASE_URL names, or a
throw-away one; the table says whether its commits are durable. To measure with
durable commits, name such a server:

  TEST_DATABASE_URL=postgres://you@host/postgres go run ./test/bench -only P2

The table goes to stdout, progress to stderr, and bench.json and bench.svg to
the directory of -out. The exit code is 1 when something could not be measured,
and with -enforce also when a bar was missed.

A profile per figure, of Gatehouse alone and of the CPU and all allocations:

  go run ./test/bench -only P4 -profile /tmp/p4
  go tool pprof -top /tmp/p4/p4-stateless-warm.cpu.pprof

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	short, enforce     bool
	only, out, profile string
	memory             uint64 // MiB
}

// errMissed is the error of -enforce.
var errMissed = errors.New("a bar was missed")

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.short, "short", false, "measure for less than a minute instead of less than six; the ratios are rougher")
	flags.BoolVar(&o.enforce, "enforce", false, "exit with 1 when a bar was missed")
	flags.StringVar(&o.only, "only", "", "figures to measure, such as `P1,P4`; default all")
	flags.StringVar(&o.out, "out", "test/bench/results", "`directory` for bench.json and bench.svg")
	flags.Uint64Var(&o.memory, "memory", 64, "heap floor of both sides in `MiB`, as the binary's setting memory; P6 has the default")
	flags.StringVar(&o.profile, "profile", "", "`directory` for profiles of one more round of each figure")
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag; see --help", flags.Arg(0))
	}
	return o, nil
}

// wants reports whether a figure was asked for.
func (o options) wants(id string) bool {
	if o.only == "" {
		return true
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if strings.EqualFold(strings.TrimSpace(name), id) {
			return true
		}
	}
	return false
}

// pace is how long things take; the whole is bounded by limit, building the
// binary excluded.
type pace struct {
	rounds   int
	slice    time.Duration // of one side in one round
	warm     time.Duration // of a side before the first round
	soak     time.Duration // of the load before memory is read
	samples  int           // of each kind of revocation, at most
	patience time.Duration // for them
	limit    time.Duration
}

func (o options) pace() pace {
	if o.short {
		return pace{rounds: 5, slice: 200 * time.Millisecond, warm: 200 * time.Millisecond, soak: 5 * time.Second, samples: 100, patience: 2 * time.Second, limit: time.Minute}
	}
	return pace{rounds: 6, slice: 1500 * time.Millisecond, warm: time.Second, soak: time.Minute, samples: 500, patience: 8 * time.Second, limit: 6 * time.Minute}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	holdHeap(max(o.memory, 1) << 20)
	b := &bench{options: o, pace: o.pace(), progress: stderr}
	if o.wants("P6") {
		remove, err := b.build(ctx)
		if err != nil {
			return err
		}
		defer remove()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.pace.limit, fmt.Errorf("not done within %s", b.pace.limit))
	defer cancel()
	r, err := b.measure(ctx)
	if r == nil || len(r.Rows) == 0 {
		return err
	}
	r.print(stdout) // also what was measured before something failed
	if err := errors.Join(err, r.save(o.out)); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "written to %s: bench.json, bench.svg\n", o.out)
	if o.enforce && !r.met() {
		return errMissed
	}
	return nil
}
