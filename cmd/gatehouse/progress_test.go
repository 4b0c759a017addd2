package main

import (
	"strings"
	"testing"
)

func TestProgress_BarOnATerminalLinesElsewhere(t *testing.T) {
	t.Parallel()
	for terminal, want := range map[bool]string{
		false: "applied 1 init\napplied 2 grants\n",
		true: "\r\x1b[K[############............] 1/2 1 init" +
			"\r\x1b[K[########################] 2/2 2 grants\n",
	} {
		var out strings.Builder
		p := progress{out: &out, terminal: terminal, total: 2}
		p.step("1 init")
		p.step("2 grants")
		p.end()
		if out.String() != want {
			t.Errorf("terminal %v: %q, want %q", terminal, out.String(), want)
		}
	}
}
