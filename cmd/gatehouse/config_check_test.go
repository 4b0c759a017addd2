package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// Every file of testdata/broken has its mistakes in the lines marked "# wrong".
// Each of them is found, all at once, nothing else is, and what is said about
// them is in the file beside it.
func TestConfigCheck_FindsEveryMistake(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ".want")
			if err != nil {
				t.Fatal(err)
			}
			_, problems := checkSettings(text)
			compareLines(t, markedWrong(string(text)), problems)
			var got strings.Builder
			for _, p := range problems {
				fmt.Fprintf(&got, "%s\n", p)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

// markedWrong returns the lines that end in "# wrong".
func markedWrong(text string) (lines []int) {
	for i, line := range strings.Split(text, "\n") {
		if strings.HasSuffix(line, "# wrong") {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// compareLines looks for problems in all of these lines and, but for what is
// missing altogether, which is said in line 1, in no other.
func compareLines(t *testing.T, wrong []int, problems settings.Problems) {
	t.Helper()
	found := map[int]bool{}
	for _, p := range problems {
		found[p.Line] = true
		if p.Line > 1 && !slices.Contains(wrong, p.Line) {
			t.Errorf("line %d is right: %s", p.Line, p)
		}
	}
	for _, line := range wrong {
		if !found[line] {
			t.Errorf("nothing is said about line %d", line)
		}
	}
}

// Settings without mistakes pass, whatever they use.
func TestConfigCheck_WholeFiles(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../../deploy/gatehouse.yaml", "testdata/everything.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := checkSettings(text); len(problems) > 0 {
			t.Errorf("%s: %v", path, problems)
		}
	}
}

// A mistake of one kind does not hide those of another.
func TestConfigCheck_GrammarHidesNothing(t *testing.T) {
	t.Parallel()
	_, problems := settings.Decode([]byte("isuer: x\nlisten: [1]\nmetrics_listen: nowhere\ntokens:\n  code_lifetime: 1h\n"))
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if !slices.Equal(lines, []int{1, 1, 2, 3, 5}) { // resources are missing
		t.Errorf("%v", problems)
	}
}
