package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Result is the outcome of one scenario.
type Result struct {
	Scenario string
	Passed   int
	Failures []string // what each failed check says
}

// Results reads what the suite's server command wrote into dir, one directory
// per scenario with its checks in it.
func Results(dir string) (map[string]Result, error) {
	directory := regexp.MustCompile(`^server-(.+)-\d{4}-\d{2}-\d{2}T[0-9-]+Z$`)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	results := map[string]Result{}
	for _, entry := range entries {
		name := directory.FindStringSubmatch(entry.Name())
		if name == nil {
			return nil, fmt.Errorf("%s: not the results of a scenario", entry.Name())
		}
		result, err := readChecks(name[1], filepath.Join(dir, entry.Name(), "checks.json"))
		if err != nil {
			return nil, err
		}
		results[result.Scenario] = result
	}
	return results, nil
}

func readChecks(scenario, file string) (Result, error) {
	var checks []struct {
		ID           string `json:"id"`
		Status       string `json:"status"`
		ErrorMessage string `json:"errorMessage"`
	}
	body, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(body, &checks)
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", scenario, err)
	}
	result := Result{Scenario: scenario}
	for _, check := range checks {
		switch check.Status {
		case "SUCCESS":
			result.Passed++
		case "FAILURE":
			result.Failures = append(result.Failures, check.ID+": "+check.ErrorMessage)
		}
	}
	return result, nil
}

// Scored reads the names of the scenarios for servers that count towards a
// revision from what the suite's list command prints.
func Scored(list string) []string {
	var names []string
	_, list, _ = strings.Cut(list, "Server scenarios")
	for line := range strings.Lines(list) {
		name, found := strings.CutPrefix(strings.TrimSpace(line), "- ")
		switch {
		case found:
			names = append(names, name)
		case len(names) > 0:
			return names // the end of the first list
		}
	}
	return names
}

// Judge returns one line per scored scenario that did not pass, and per other
// one that failed although the baseline does not expect it to. Nothing scored
// is a failure too.
func Judge(scored []string, results map[string]Result) []string {
	if len(scored) == 0 {
		return []string{"the suite names no scored scenarios"}
	}
	var problems []string
	for _, name := range scored {
		result, ran := results[name]
		switch {
		case !ran:
			problems = append(problems, name+": did not run")
		case len(result.Failures) == 0 && result.Passed == 0:
			problems = append(problems, name+": checked nothing")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if len(results[name].Failures) > 0 && (slices.Contains(scored, name) || !expected(name)) {
			problems = append(problems, name+": "+strings.Join(results[name].Failures, "; "))
		}
	}
	return problems
}

// expected is the baseline: unscored scenarios that are known to fail. The
// server does not offer the Tasks extension, which the suite probes anyway.
func expected(scenario string) bool { return strings.HasPrefix(scenario, "tasks-") }
