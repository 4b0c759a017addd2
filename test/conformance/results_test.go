package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestResults_AreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scenario := filepath.Join(dir, "server-tools-list-2026-11-22T19-47-33-304Z")
	checks := `[{"id":"a","status":"SUCCESS"},{"id":"b","status":"FAILURE","errorMessage":"no"},{"id":"c","status":"SKIPPED"}]`
	if err := os.Mkdir(scenario, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(scenario, "checks.json"), []byte(checks), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := Results(dir)
	if got := results["tools-list"]; err != nil || got.Passed != 1 || !slices.Equal(got.Failures, []string{"b: no"}) {
		t.Fatalf("%+v, %v", results, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Results(dir); err == nil {
		t.Fatal("a directory that is no scenario was accepted")
	}
}

func TestScored_IsTheFirstListForServers(t *testing.T) {
	t.Parallel()
	list := "Required for 2026-07-28\n\nServer scenarios (test against a server):\n  - caching\n  - tools-list\n\n" +
		"Client scenarios:\n  - auth\n\nRun and reported, but never scored:\n  - tasks-lifecycle\n"
	if got := Scored(list); !slices.Equal(got, []string{"caching", "tools-list"}) {
		t.Fatal(got)
	}
}

func TestJudge_FindsEveryProblem(t *testing.T) {
	t.Parallel()
	good := Result{Passed: 1}
	bad := Result{Passed: 1, Failures: []string{"x"}}
	for name, tc := range map[string]struct {
		scored   []string
		results  map[string]Result
		problems int
	}{
		"all good":                  {[]string{"a"}, map[string]Result{"a": good, "b": good}, 0},
		"nothing scored":            {nil, map[string]Result{"a": good}, 1},
		"nothing ran":               {[]string{"a", "b"}, nil, 2},
		"a scored one failed":       {[]string{"a", "b"}, map[string]Result{"a": bad, "b": good}, 1},
		"a scored one did nothing":  {[]string{"a"}, map[string]Result{"a": {}}, 1},
		"an unscored one failed":    {[]string{"a"}, map[string]Result{"a": good, "b": bad}, 1},
		"the baseline expects it":   {[]string{"a"}, map[string]Result{"a": good, "tasks-x": bad}, 0},
		"scored beats the baseline": {[]string{"tasks-x"}, map[string]Result{"tasks-x": bad}, 1},
	} {
		if problems := Judge(tc.scored, tc.results); len(problems) != tc.problems {
			t.Errorf("%s: %q", name, problems)
		}
	}
}
