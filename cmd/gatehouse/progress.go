package main

import (
	"fmt"
	"io"
	"strings"
)

// progress tells how far long work has come: by a bar that grows on a
// terminal, by a line for each step elsewhere.
type progress struct {
	out         io.Writer
	terminal    bool
	done, total int
}

const barWidth = 24

// step says that one more of the steps is done.
func (p *progress) step(what string) {
	p.done++
	if !p.terminal {
		fmt.Fprintf(p.out, "applied %s\n", what)
		return
	}
	filled := barWidth * p.done / max(p.total, p.done)
	fmt.Fprintf(p.out, "\r\x1b[K[%s%s] %d/%d %s", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), p.done, max(p.total, p.done), what)
}

// end leaves the bar's line.
func (p *progress) end() {
	if p.terminal && p.done > 0 {
		fmt.Fprintln(p.out)
	}
}
