package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs what the security guide does, by its own settings and as a
// person types it with curl, against gatehouse dev. Each script of testdata can
// be read on its own, and starts servers of its own on free ports; its name says
// which rows of the guide it is about.
func TestScripts(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is missing; please install it (apt-get install curl)")
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "gatehouse"), "../../cmd/gatehouse")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("TMPDIR", env.WorkDir+"/tmp")
			return os.MkdirAll(env.WorkDir+"/tmp", 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":     awaitFile,
			"source":    sourceFile,
			"expand":    expandFile,
			"member":    memberOfObject,
			"header":    headerOfAnswer,
			"soon":      soon,
			"freeports": freePorts,
		},
	})
}

// awaitFile waits until a file exists: await FILE.
func awaitFile(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	await(ts, args[0], func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// await asks again and again, for a minute at most.
func await(ts *testscript.TestScript, what string, happened func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !happened(); {
		select {
		case <-limit:
			ts.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// sourceFile reads variables as a shell would, and puts the addresses of both
// servers into ISSUER_ADDR and RESOURCE_ADDR, and the latter's port into PORT:
// source FILE.
func sourceFile(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, "'")
		ts.Setenv(name, value)
		if u, err := url.Parse(value); err == nil && (name == "ISSUER" || name == "RESOURCE") {
			ts.Setenv(name+"_ADDR", u.Host)
			ts.Setenv("PORT", u.Port()) // RESOURCE is the second
		}
	}
}

// expandFile replaces $VARIABLES in a file: expand FILE.
func expandFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// memberOfObject puts a text of the JSON object on stdout into a variable:
// member NAME VARIABLE.
func memberOfObject(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	value, ok := object[args[0]].(string)
	if !ok {
		ts.Fatalf("there is no text %q in it", args[0])
	}
	ts.Setenv(args[1], value)
}

// headerOfAnswer puts a header of the answer on stdout into a variable: header
// NAME VARIABLE.
func headerOfAnswer(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		name, value, found := strings.Cut(strings.TrimSpace(line), ": ")
		if found && textproto.CanonicalMIMEHeaderKey(name) == textproto.CanonicalMIMEHeaderKey(args[0]) {
			ts.Setenv(args[1], value)
			return
		}
	}
	ts.Fatalf("there is no header %s in it", args[0])
}

// soon runs a program again and again until its stdout matches, for a minute at
// most: soon PATTERN PROGRAM ARGUMENTS.
func soon(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	await(ts, args[0], func() bool {
		ts.Check(ts.Exec(args[1], args[2:]...))
		return pattern.MatchString(ts.ReadFile("stdout"))
	})
}

// freePorts puts ports that are free on loopback into variables: freeports
// VARIABLE...
func freePorts(ts *testscript.TestScript, _ bool, args []string) {
	var taken []net.Listener // all until the end, so that no port comes twice
	for _, name := range args {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		ts.Check(err)
		taken = append(taken, l)
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	for _, l := range taken {
		ts.Check(l.Close())
	}
}
