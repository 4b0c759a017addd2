//go:build conformance

package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// TestConformance_Authorization passes if every check of the suite's scenarios
// for authorization servers succeeds, warnings included: for an issuer with
// and without a path, with and without a resource.
func TestConformance_Authorization(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"root": "", "path": "/tenant/one"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world.Config{Store: world.SQLite(t), IssuerPath: path}.Start(t)
			w.User("ann", "correct horse battery staple")
			w.PublicClient("public")
			for _, args := range [][]string{nil, {"--resource", w.Resource}} {
				authorization(t, w, args...)
			}
		})
	}
}

// authorization runs both scenarios, with a person at a browser. The client is
// a public one: the suite takes the method none whenever it is listed.
func authorization(t *testing.T, w *world.World, args ...string) {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	binary := node
	if _, err := os.Stat(binary); err != nil {
		binary = "node"
	}
	args = append([]string{suite, "authorization", "--url", w.Issuer, "--client-id", "public", "--port", freePort(t), "--output-dir", dir}, args...)
	cmd := exec.CommandContext(ctx, binary, args...)
	var said strings.Builder
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answer(t, w, stdout)
	if err := cmd.Wait(); err != nil {
		t.Errorf("conformance %s: %v\n%s", strings.Join(args[1:], " "), err, &said)
	}
	for _, check := range checks(t, dir) {
		if t.Logf("%s %s", check.Status, check.ID); check.Status != "SUCCESS" {
			t.Errorf("%s: %s %s", check.ID, check.Status, check.ErrorMessage)
		}
	}
}

// answer reads what the suite prints; the person opens the address that it asks
// for, signs in, allows, and lets the browser return to the suite.
func answer(t *testing.T, w *world.World, stdout io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), w.Issuer+"/") {
			continue
		}
		back, err := w.Browser("ann", "correct horse battery staple").SignInAndAllow(t.Context(), lines.Text())
		if err != nil {
			t.Error(err)
			continue
		}
		response, err := w.HTTP.Get(back.String())
		if err != nil {
			t.Error(err)
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("the suite's callback answers %d", response.StatusCode)
		}
	}
}

// check is a line of the suite's results.
type check struct{ ID, Status, ErrorMessage string }

// checks reads the results of both scenarios. None at all is an error.
func checks(t *testing.T, dir string) []check {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("results %v, %v", files, err)
	}
	var all []check
	for _, file := range files {
		var some []check
		body, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(body, &some)
		}
		if err != nil || len(some) == 0 {
			t.Fatalf("%s: %v", body, err)
		}
		all = append(all, some...)
	}
	return all
}

// freePort is one that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
