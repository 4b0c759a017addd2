package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// processes is a pair whose token endpoint is served by two processes more, the
// binary as an operator starts it, on one Postgres. People sign in at this one.
type processes struct {
	*world.World
	servers [2]string // origins of the two
}

// build makes the binary.
func build(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "gatehouse")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "../../cmd/gatehouse").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// newProcesses starts them with a reuse window.
func newProcesses(t *testing.T, binary string, window time.Duration) *processes {
	t.Helper()
	url := pgtest.Database(t)
	store, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := world.Config{Store: store, Adapt: func(c *authserver.Config) {
		c.Tokens.RefreshReuseWindow, c.Tokens.CodeLifetime = window, 10*time.Minute
	}}.Start(t)
	p := &processes{World: w}
	for i := range p.servers {
		p.servers[i] = p.serve(t, binary, fmt.Sprintf(`issuer: %s
database:
  postgres: %q
resources:
  - identifier: %s
tokens:
  refresh_reuse_window: %s
  code_lifetime: 10m
rate_limits:
  requests_per_minute: 1000000
  documents_per_hour: 1000000
`, w.Issuer, url, w.Resource, window))
	}
	return p
}

// serve runs the binary with these settings on a free port until the test ends,
// and returns its origin when it is ready.
func (p *processes) serve(t *testing.T, binary, settings string) (origin string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(settings+"listen: "+address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(binary, "serve", "--role", "authserver", "--log-level", "error", "--config", file)
	cmd.Env = []string{"GATEHOUSE_SEAL_KEY=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))}
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("a process ends with %v and says:\n%s", err, &said)
		}
	})
	origin = "http://" + address
	p.Eventually("a process is ready", func() bool {
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, origin+"/ready", nil)
		if err != nil {
			return false
		}
		response, err := p.HTTP.Do(r)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return origin
}
