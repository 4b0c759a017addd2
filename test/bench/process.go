package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/test/bench/load"
)

// The bars of P6.
const (
	mostIdle  = 40  // MiB
	mostLoad  = 160 // MiB
	mostStart = 100 // ms
)

// build makes the binary that P6 runs, and says how to remove it.
func (b *bench) build(ctx context.Context) (remove func(), err error) {
	b.say("building gatehouse")
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return nil, err
	}
	b.binary = filepath.Join(dir, "gatehouse")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", b.binary, "github.com/gatehouse-mcp/gatehouse/cmd/gatehouse")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("go build: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return func() { _ = os.RemoveAll(dir) }, nil // of the machine's temporary files
}

// process is the binary as a child, both servers in it, on the stage's
// database.
type process struct {
	cmd              *exec.Cmd
	said             *beginning    // on stderr
	issuer, resource string        // addresses
	issuerReady      time.Duration // since the start
	bothReady        time.Duration
}

// settings writes a settings file for free ports.
func (b *bench) settings(ctx context.Context, dir string) (p process, file string, err error) {
	var ports [2]string
	for i := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return p, "", err
		}
		ports[i] = l.Addr().String()
		if err := l.Close(); err != nil {
			return p, "", err
		}
	}
	p.issuer, p.resource = ports[0], ports[1]
	file = filepath.Join(dir, "gatehouse.yaml")
	text := fmt.Sprintf(`issuer: http://%[1]s
listen: %[1]s
database:
  postgres: %[3]q
resources:
  - identifier: %[5]s
resource_server:
  audience: %[5]s
  listen: %[2]s
  notes: %[4]s/notes.json
  rate_limits: {per_address: -1, per_principal: -1}
  introspection:
    client_id: %[6]s
    client_secret_env: BENCH_SECRET
`, p.issuer, p.resource, b.stage.db.url, dir, b.stage.resource, ownClient)
	return p, file, os.WriteFile(file, []byte(text), 0o600)
}

// start runs the binary and returns when both servers in it are ready.
func (b *bench) start(ctx context.Context) (*process, error) {
	dir := filepath.Dir(b.binary)
	p, file, err := b.settings(ctx, dir)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(b.binary, "serve", "--config", file)
	p.cmd.Env = []string{
		"GATEHOUSE_SEAL_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"BENCH_SECRET=" + b.stage.secrets[ownClient],
	}
	p.said = &beginning{}
	p.cmd.Stderr = p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = b.awaitReady(limit, p.issuer)
	p.issuerReady = time.Since(begin)
	if err == nil {
		err = b.awaitReady(limit, p.resource)
	}
	p.bothReady = time.Since(begin)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the binary did not become ready: %w", err), p.stop(), fmt.Errorf("it said: %s", p.said.text))
	}
	return &p, nil
}

// beginning is a log of which only the beginning is kept, for when a start
// fails. One goroutine writes, and nobody reads before that has ended.
type beginning struct{ text []byte }

func (b *beginning) Write(p []byte) (int, error) {
	const enough = 2 << 10
	b.text = append(b.text, p[:min(len(p), enough-len(b.text))]...)
	return len(p), nil
}

func (b *bench) awaitReady(ctx context.Context, address string) error {
	return eventually(ctx, func() bool {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/ready", nil)
		if err != nil {
			return false
		}
		status, _, _, err := b.stage.send(r)
		return err == nil && status == http.StatusOK
	})
}

// stop ends the process in order, or else.
func (p *process) stop() error {
	defer time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() }).Stop()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// resident is VmRSS in MiB.
func (p *process) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, errors.New("the kernel tells no VmRSS")
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	return kib / 1024, err
}

// process is P6.
func (b *bench) process(ctx context.Context) ([]row, error) {
	var issuer, both []float64
	for i := 0; ; i++ {
		b.say("P6 start %d", i+1)
		p, err := b.start(ctx)
		if err != nil {
			return nil, err
		}
		issuer, both = append(issuer, milliseconds(p.issuerReady)), append(both, milliseconds(p.bothReady))
		if i == b.pace.rounds {
			idle, loaded, err := b.soak(ctx, p)
			note := fmt.Sprintf("both servers in one process, after %s of P1", b.pace.soak)
			return []row{
				atMost("P6", "start to ready, authorization server", "ms", median(issuer[1:]), mostStart, b.stage.db.settings),
				atMost("P6", "start to ready, both servers", "ms", median(both[1:]), mostStart, b.stage.db.settings),
				atMost("P6", "resident, idle", "MiB", idle, mostIdle, "both servers in one process"),
				atMost("P6", "resident, after load", "MiB", loaded, mostLoad, note),
			}, errors.Join(err, p.stop())
		}
		if err := p.stop(); err != nil {
			return nil, fmt.Errorf("the binary did not end in order: %w", err)
		}
	}
}

// soak reads the memory of a process at rest and after the load of P1.
func (b *bench) soak(ctx context.Context, p *process) (idle, loaded float64, err error) {
	// What a start leaves behind is part of idle, so there is nothing to wait for.
	if idle, err = p.resident(); err != nil {
		return 0, 0, err
	}
	b.say("P6 load for %s", b.pace.soak)
	request, err := wire(b.stage.form(ctx, "http://"+p.issuer+"/oauth/token", jwtClient, clientCredentials()))
	if err != nil {
		return 0, 0, err
	}
	player, err := side{address: p.issuer, want: `"token_type":"Bearer"`, request: request}.open(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = player.Close() }()
	if _, err := player.Run(ctx, b.pace.soak, func(int) load.Next { return load.Always(request) }); err != nil {
		return 0, 0, err
	}
	loaded, err = p.resident()
	return idle, loaded, err
}

// atMost is a row whose bar is a number that must not be exceeded.
func atMost(id, name, unit string, value, bar float64, note string) row {
	return row{ID: id, Figure: name, Unit: unit, Ours: value, Bar: bar, AtMost: true, Met: value <= bar, Note: note}
}
