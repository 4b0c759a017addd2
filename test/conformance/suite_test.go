//go:build conformance

package conformance

import (
	"context"
	"errors"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

const (
	suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
	node  = "node_modules/.bin/node"

	// limit is how long one revision may take; it takes seconds.
	limit = 5 * time.Minute
)

// TestConformance passes if every scenario that counts passes, in both eras.
func TestConformance(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(suite); err != nil {
		t.Fatal("the suite is not installed: run npm ci --ignore-scripts in test/conformance")
	}
	for _, revision := range []string{"2026-07-28", "2025-11-25"} {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			endpoint := gate(t)
			scored := Scored(run(t, "list", "--server", "--requirements", revision))
			dir := t.TempDir()
			output := run(t, "server", "--url", endpoint, "--requirements", revision, "--output-dir", dir)
			results, err := Results(dir)
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			for _, name := range slices.Sorted(maps.Keys(results)) {
				mark, note := "ok  ", ""
				failed, counts := len(results[name].Failures) > 0, slices.Contains(scored, name)
				switch {
				case failed && counts:
					mark = "FAIL"
				case failed:
					mark, note = "miss", " (not scored; the baseline says why)"
				case !counts:
					note = " (not scored)"
				}
				t.Logf("%s %s: %d passed, %d failed%s", mark, name, results[name].Passed, len(results[name].Failures), note)
			}
			if problems := Judge(scored, results); len(problems) > 0 {
				t.Fatalf("%d problems:\n%s", len(problems), strings.Join(problems, "\n"))
			}
			t.Logf("%d scored scenarios of %s passed", len(scored), revision)
		})
	}
}

// run runs a command of the suite and returns what it prints. It exits with 1
// after a failed scenario, which the results tell in detail.
func run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	binary := node
	if _, err := os.Stat(binary); err != nil {
		binary = "node" // no packaged one for this platform; 22 or newer is needed
	}
	output, err := exec.CommandContext(ctx, binary, append([]string{suite}, args...)...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Fatalf("conformance %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// gate starts the fixture behind every protection, and the proxy in front of
// it; it returns the endpoint that the suite calls.
func gate(t *testing.T) string {
	t.Helper()
	front, back := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	t.Cleanup(front.Close)
	t.Cleanup(back.Close)
	endpoint := "http://" + front.Listener.Addr().String() + "/mcp"
	g := newGate(t, endpoint)
	// The suite calls methods that do not exist, for which a token without the
	// administrative scope would get a 403.
	token := g.issuer.Token(rstest.Claims{"scope": "mcp:admin"})
	back.Config.Handler = g.handler
	back.Start()
	target, err := url.Parse(back.URL)
	if err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = WithToken(target, func() string { return token })
	front.Start()
	return endpoint
}
