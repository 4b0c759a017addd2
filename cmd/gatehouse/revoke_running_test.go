package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runningDev is gatehouse dev in a process of its own, on the embedded store.
type runningDev struct {
	dir string
	env map[string]string // what it has written for others
}

func startDev(t *testing.T) runningDev {
	t.Helper()
	d := runningDev{dir: t.TempDir(), env: map[string]string{}}
	var said bytes.Buffer
	command := exec.Command("gatehouse", "dev", "--issuer-addr", "localhost:0", "--resource-addr", "localhost:0", "--data", d.dir)
	command.Env, command.Stderr = []string{"GORACE=atexit_sleep_ms=0"}, &said
	check(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		if err := command.Wait(); t.Failed() {
			t.Logf("dev ends with %v and says:\n%s", err, &said)
		}
	})
	var file []byte
	within(t, time.Minute, "dev is ready", func() (err error) {
		file, err = os.ReadFile(filepath.Join(d.dir, "env"))
		return err
	})
	for line := range strings.Lines(string(file)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		d.env[name] = strings.Trim(value, "'")
	}
	return d
}

// within asks until there is no error, and fails after so long.
func within(t *testing.T, limit time.Duration, what string, happened func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		err := happened()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", limit, what, err)
		}
	}
}

// statusError is an HTTP status that was not the one wanted.
type statusError string

func (e statusError) Error() string { return string(e) }

// wants sends body to an address with a bearer token and compares the status.
func wants(address, token, body string, status int) error {
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + token,
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list",
	} {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		return statusError(response.Status)
	}
	return nil
}

// listing is an MCP request of the stateless era, with the headers that wants sends.
const listing = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{` +
	`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`

// The embedded store notifies no other process, and yet what a second one
// revokes is refused by the running one within a second; so it is what the admin
// API revokes with the token that dev hands out.
func TestSeed_S29_AnotherProcessReachesTheRunningOne(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	resource := d.env["RESOURCE"]
	opaque := map[string]string{
		"ISSUER": d.env["ISSUER"], "RESOURCE": resource, "CLIENT_ID": d.env["OPAQUE_CLIENT_ID"], "CLIENT_SECRET": d.env["OPAQUE_CLIENT_SECRET"],
	}
	tokens := make(map[string]string)
	for name, env := range map[string]map[string]string{"jwt": d.env, "opaque": opaque} {
		stdout, stderr, code := gatehouse(t, env, "token")
		if code != 0 {
			t.Fatal(stderr)
		}
		tokens[name] = strings.TrimSpace(stdout)
		check(t, wants(resource, tokens[name], listing, http.StatusOK))
	}
	admin := d.env["ISSUER"] + "/admin/api/v1/revocations"
	check(t, wants(admin, d.env["ADMIN_TOKEN"], `{"token":"`+tokens["jwt"]+`"}`, http.StatusOK))
	check(t, wants(resource, tokens["jwt"], listing, http.StatusUnauthorized)) // confirmed before it was answered
	check(t, wants(resource, tokens["opaque"], listing, http.StatusOK))

	if out, err := exec.Command("gatehouse", "revoke", "--all", "--data", d.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	within(t, time.Second, "the token is refused", func() error {
		return wants(resource, tokens["opaque"], listing, http.StatusUnauthorized)
	})
	within(t, time.Second, "the admin API refuses its token", func() error {
		return wants(admin, d.env["ADMIN_TOKEN"], `{"user":"nobody"}`, http.StatusUnauthorized)
	})
}
