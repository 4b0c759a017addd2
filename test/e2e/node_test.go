package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// The whole life of a connection by the current client of Node.js, which speaks
// the stateless protocol, for a client of each kind.
func TestConnect_TypeScriptClient(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			p := newPerson(w)
			a := launch(t, w, p, "client", kind)
			first := a.connected(t, w)
			a.use(t, "write_note", map[string]any{"title": "a", "text": "b"})
			if consents := p.consents(); len(consents) < 2 || asks(consents[0], "mcp:write") || !asks(consents[len(consents)-1], "mcp:write mcp:read mcp:tools") {
				t.Errorf("the person was asked for %v", consents)
			}
			stepped := a.known(t)
			if useful(t, w, stepped); stepped.RefreshToken == first.RefreshToken {
				t.Error("the step-up made no grant of its own")
			}
			a.refreshed(t, w)
			a.refused(t, w, p)
		})
	}
}

// The same by the client of the first generation, which speaks the protocol
// with sessions. It never steps up while it holds a refresh token, so the
// application has to forget it.
func TestConnect_TypeScriptSDK(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			p := newPerson(w)
			a := launch(t, w, p, "sdk", kind)
			a.connected(t, w)
			a.refreshed(t, w)
			if err := a.do(t, map[string]any{"do": "use", "tool": "write_note", "arguments": map[string]any{"title": "a", "text": "b"}}, nil); err == nil {
				t.Error("it steps up by itself; the test can be the other client's")
			}
			asked := len(p.consents())
			if err := a.do(t, map[string]any{"do": "forget"}, nil); err != nil {
				t.Fatal(err)
			}
			a.use(t, "list_notes", map[string]any{}) // it takes no second 403 in a row for an answer
			a.use(t, "write_note", map[string]any{"title": "a", "text": "b"})
			if consents := p.consents(); len(consents) != asked+1 || !asks(consents[asked], "mcp:write mcp:tools") {
				t.Errorf("the person was asked for %v", consents)
			}
			a.refused(t, w, p)
		})
	}
}

// application is a running application.mjs with a person in front of it.
type application struct {
	person *person
	stdin  io.Writer
	stdout *bufio.Reader
	stderr *bytes.Buffer
}

// launch starts an application that is known in one of the ways.
func launch(t *testing.T, w *world.World, p *person, sdk, kind string) *application {
	t.Helper()
	if _, err := os.Stat("node_modules/@modelcontextprotocol/" + sdk); err != nil {
		t.Fatal("the clients are not installed: run npm ci --ignore-scripts in test/e2e")
	}
	settings := map[string]any{"sdk": sdk, "endpoint": w.Resource, "callback": callback}
	switch kind {
	case "operator":
		settings["client"] = known{ClientID: "application", ClientSecret: preregistered(w, "application")}
	case "document":
		settings["document"] = document(w, "application.json")
	}
	argument, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "application.mjs", string(argument))
	a := &application{person: p, stderr: &bytes.Buffer{}}
	cmd.Stderr = a.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.stdin, a.stdout = stdin, bufio.NewReader(stdout)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the application says: %s", a.stderr)
		}
	})
	return a
}

// do has the application carry out a command, with the person doing what it
// asks for, and stores what it answers in result unless that is nil.
func (a *application) do(t *testing.T, command any, result any) error {
	t.Helper()
	a.say(t, command)
	for {
		line, err := a.stdout.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the application has ended: %v", err)
		}
		var message struct {
			Open, Error string
			Result      json.RawMessage
		}
		if err := json.Unmarshal(line, &message); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch {
		case message.Open != "":
			back, err := a.person.allow(t.Context(), message.Open)
			if err != nil {
				a.say(t, map[string]any{"callback": nil})
				t.Logf("nobody allows it: %v", err)
				continue
			}
			a.say(t, map[string]any{"callback": back.String()})
		case message.Error != "":
			return fmt.Errorf("%v: %s", command, message.Error)
		case result == nil:
			return nil
		default:
			return json.Unmarshal(message.Result, result)
		}
	}
}

func (a *application) say(t *testing.T, message any) {
	t.Helper()
	line, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.stdin.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
}

func (a *application) known(t *testing.T) (got known) {
	t.Helper()
	if err := a.do(t, map[string]any{"do": "known"}, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func (a *application) use(t *testing.T, tool string, arguments map[string]any) {
	t.Helper()
	var result struct {
		IsError bool
		Content []struct{ Text string }
	}
	if err := a.do(t, map[string]any{"do": "use", "tool": tool, "arguments": arguments}, &result); err != nil || result.IsError || len(result.Content) == 0 {
		t.Fatalf("%s: %+v, %v", tool, result, err)
	}
}

// connected brings the application from nothing to its first tool.
func (a *application) connected(t *testing.T, w *world.World) known {
	t.Helper()
	if err := a.do(t, map[string]any{"do": "connect"}, nil); err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := a.do(t, map[string]any{"do": "tools"}, &names); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(names); strings.Join(names, " ") != "list_notes read_note" {
		t.Errorf("with the scopes of the challenge it sees %v", names)
	}
	a.use(t, "list_notes", map[string]any{})
	got := a.known(t)
	useful(t, w, got)
	return got
}

// refreshed has the access token expire and the application go on without the
// person.
func (a *application) refreshed(t *testing.T, w *world.World) {
	t.Helper()
	before, asked := a.known(t), len(a.person.consents())
	if err := a.do(t, map[string]any{"do": "expire"}, nil); err != nil {
		t.Fatal(err)
	}
	a.use(t, "list_notes", map[string]any{})
	after := a.known(t)
	if after.AccessToken == before.AccessToken || after.RefreshToken == before.RefreshToken || len(a.person.consents()) != asked {
		t.Errorf("it did not refresh, or asked: %v", a.person.consents())
	}
	useful(t, w, after)
}

// refused revokes the application's grant; it can do nothing more without the
// person.
func (a *application) refused(t *testing.T, w *world.World, p *person) {
	t.Helper()
	p.leave()
	revoke(t, w, a.known(t))
	if err := a.do(t, map[string]any{"do": "use", "tool": "list_notes", "arguments": map[string]any{}}, nil); err == nil {
		t.Error("the application goes on with revoked tokens")
	}
}
