package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOptions_NameFigures(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]string{"": "P1 P4", "p4": "P4", "P2, P1": "P1", "P9": ""} {
		o, err := parse([]string{"-only", only}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, id := range []string{"P1", "P4"} {
			if o.wants(id) {
				got = append(got, id)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("-only %q: %v", only, got)
		}
	}
	if _, err := parse([]string{"P1"}, io.Discard); err == nil {
		t.Error("an argument that means nothing was accepted")
	}
}

func TestHelp_TellsEveryFigureAndFlag(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	if _, err := parse([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, word := range []string{"P1", "P2", "P3", "P4", "P6", "P8", "-short", "-enforce", "-only", "-out", "-profile", "-memory", "TEST_DATABASE_URL"} {
		if !strings.Contains(help.String(), word) {
			t.Errorf("no word of %s", word)
		}
	}
}

// The ratio is the median of the rounds' own, so that a drift of the machine
// between rounds does not count.
func TestRow_JudgesByTheMedianOfRatios(t *testing.T) {
	t.Parallel()
	r := row{Bar: 0.5, Rounds: []round{{Ours: 60, Limit: 100}, {Ours: 5, Limit: 10}, {Ours: 900, Limit: 1000}, {Ours: 1, Limit: 10}}}
	r.judge()
	if r.Ratio != 0.55 || r.Least != 0.1 || r.Most != 0.9 || !r.Met || r.Ours != 32.5 || r.Limit != 55 {
		t.Errorf("%+v", r)
	}
	r.Bar = 0.56
	if r.judge(); r.Met {
		t.Error("0.55 meets 0.56")
	}
	if !atMost("P6", "start", "ms", 100, 100, "").Met || atMost("P6", "start", "ms", 101, 100, "").Met {
		t.Error("a value may be its bar and not more")
	}
}

func TestReport_SaysWhatWasMissed(t *testing.T) {
	t.Parallel()
	r := &report{Rows: []row{
		{ID: "P1", Figure: "a < b", Unit: "/s", Bar: 0.5, Rounds: []round{{Ours: 1, Limit: 4, OursCPU: 40, LimitCPU: 10}}},
		atMost("P6", "memory", "MiB", 30, 40, ""),
	}}
	r.Rows[0].judge()
	if r.met() {
		t.Error("a missed bar is not told")
	}
	var table strings.Builder
	r.print(&table)
	for _, want := range []string{"P1 a < b", "40.0 / 10.0", "0.25 (0.25-0.25)", ">= 0.50", "MISSED", "<= 40.0 MiB", "met"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in the table:\n%s", want, table.String())
		}
	}
	dir := filepath.Join(t.TempDir(), "results")
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	var again report
	text, err := os.ReadFile(filepath.Join(dir, "bench.json"))
	if err != nil || json.Unmarshal(text, &again) != nil || len(again.Rows) != 2 || again.Rows[0].Ratio != 0.25 {
		t.Errorf("%s, %v", text, err)
	}
	drawing, err := os.ReadFile(filepath.Join(dir, "bench.svg"))
	if err != nil || xml.Unmarshal(drawing, new(struct{})) != nil || !bytes.Contains(drawing, []byte("a &lt; b")) {
		t.Errorf("%s, %v", drawing, err)
	}
}
