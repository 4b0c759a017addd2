package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the result of a run, as bench.json has it.
type report struct {
	Began        time.Time `json:"began"`
	Go           string    `json:"go"`
	CPUs         int       `json:"cpus"`
	Database     string    `json:"database"`
	Connections  int       `json:"connections"`
	RoundSeconds float64   `json:"round_seconds"`
	MemoryMiB    uint64    `json:"memory_mib"` // heap floor of both sides
	Rows         []row     `json:"rows"`
}

// row is one line of the table.
type row struct {
	ID     string  `json:"id"`
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"` // of ours and limit
	Ours   float64 `json:"ours"`
	Limit  float64 `json:"limit,omitempty"` // none when the bar is a number of that unit

	// Ratio is the median of ours/limit over the rounds, and the others are
	// its range; none when AtMost.
	Ratio float64 `json:"ratio,omitempty"`
	Least float64 `json:"ratio_least,omitempty"`
	Most  float64 `json:"ratio_most,omitempty"`

	// CPU time of a request in µs, the generator's part included and the
	// database's not: a neighbour on the machine changes it least.
	OursCPU  float64 `json:"ours_cpu_us,omitempty"`
	LimitCPU float64 `json:"limit_cpu_us,omitempty"`

	Bar    float64 `json:"bar"`
	AtMost bool    `json:"at_most,omitempty"` // ours ≤ bar instead of ratio ≥ bar
	Met    bool    `json:"met"`
	Note   string  `json:"note,omitempty"`

	OursLatency  *latency `json:"ours_latency_ms,omitempty"`
	LimitLatency *latency `json:"limit_latency_ms,omitempty"`
	Rounds       []round  `json:"rounds,omitempty"`
}

// latency is in milliseconds.
type latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// round is what both sides did a second, and their CPU time.
type round struct {
	Ours     float64 `json:"ours"`
	Limit    float64 `json:"limit"`
	OursCPU  float64 `json:"ours_cpu_us"`
	LimitCPU float64 `json:"limit_cpu_us"`
}

func (r *report) met() bool {
	for _, one := range r.Rows {
		if !one.Met {
			return false
		}
	}
	return true
}

// cells are the texts of a row, as the head of the table names them.
func (r *row) cells() [7]string {
	verdict := "met"
	if !r.Met {
		verdict = "MISSED"
	}
	name := r.ID + " " + r.Figure
	if r.AtMost {
		return [7]string{name, number(r.Ours) + " " + r.Unit, "-", "-", "-", "<= " + number(r.Bar) + " " + r.Unit, verdict}
	}
	return [7]string{
		name, number(r.Ours) + r.Unit, number(r.Limit) + r.Unit, fmt.Sprintf("%.1f / %.1f", r.OursCPU, r.LimitCPU),
		fmt.Sprintf("%.2f (%.2f-%.2f)", r.Ratio, r.Least, r.Most), fmt.Sprintf(">= %.2f", r.Bar), verdict,
	}
}

// number has a few significant digits: more would be noise.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// print writes the table.
func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tOURS\tLIMIT\tCPU µs\tRATIO\tBAR\tVERDICT")
	for i := range r.Rows {
		cells := r.Rows[i].cells()
		fmt.Fprintln(t, strings.Join(cells[:], "\t"))
	}
	_ = t.Flush() // to a person, as all the rest
	fmt.Fprintf(w, "\n%d connections, %d CPUs shared with the load generator and the database, heap floor %d MiB; %s; %s.\n",
		r.Connections, r.CPUs, r.MemoryMiB, r.Database, r.Go)
}

// save writes bench.json and bench.svg.
func (r *report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bench.svg"), r.plot(), 0o644)
}
