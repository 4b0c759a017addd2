package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// bench is one run.
type bench struct {
	options  options
	pace     pace
	progress io.Writer
	binary   string // of P6
	stage    *stage
}

// say tells a person what is going on.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// measure takes all figures that were asked for. Beside an error it returns the
// rows that were complete before, if there are any.
func (b *bench) measure(ctx context.Context) (r *report, err error) {
	if b.stage, err = newStage(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stage.close(ctx)) }()
	r = &report{
		Began: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPUs: runtime.GOMAXPROCS(0),
		Database: b.stage.db.settings, Connections: connections, RoundSeconds: b.pace.slice.Seconds(), MemoryMiB: b.options.memory,
	}
	for _, f := range []struct {
		id   string
		take func(context.Context) ([]row, error)
	}{
		{"P1", b.issuingJWT}, {"P2", b.issuingOpaque}, {"P3", b.introspecting}, {"P4", b.calling}, {"P6", b.process}, {"P8", b.revoking},
	} {
		if !b.options.wants(f.id) {
			continue
		}
		rows, err := f.take(ctx)
		if err != nil {
			return r, fmt.Errorf("%s: %w", f.id, err)
		}
		r.Rows = append(r.Rows, rows...)
	}
	if len(r.Rows) == 0 {
		return nil, fmt.Errorf("there is no figure %q; see --help", b.options.only)
	}
	return r, nil
}
