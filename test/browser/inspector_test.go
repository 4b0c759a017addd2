package browser

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	inspectorProgram = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
	inspectorToken   = "of-its-own-pages"
)

// inspector starts MCP Inspector as a child process, for one MCP endpoint, and
// returns the address of its page.
func inspector(t *testing.T, endpoint string) (address string) {
	t.Helper()
	node, err := filepath.Abs("node_modules/.bin/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(inspectorProgram); err != nil {
		t.Fatal("MCP Inspector is not installed: run npm ci --ignore-scripts in test/browser")
	}
	home, port := t.TempDir(), freePort(t)
	var output bytes.Buffer
	command := exec.CommandContext(context.WithoutCancel(t.Context()), node, inspectorProgram, "--web", "--transport", "http", "--server-url", endpoint)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "MCP_STORAGE_DIR=" + home, "MCP_INSPECTOR_SECRET_STORE=file",
		"HOST=127.0.0.1", "CLIENT_PORT=" + port, "MCP_SANDBOX_PORT=" + freePort(t), "MCP_AUTO_OPEN_ENABLED=false",
		"MCP_INSPECTOR_API_TOKEN=" + inspectorToken,
	}
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.WaitDelay = limit
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
		if t.Failed() {
			t.Logf("MCP Inspector: %s", output.Bytes())
		}
	})
	address = "http://127.0.0.1:" + port
	waitFor(t, address)
	return address
}

// freePort is one that nobody listens at now.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// waitFor waits until something answers at an address.
func waitFor(t *testing.T, address string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		response, err := http.Get(address)
		if err == nil {
			_ = response.Body.Close()
			return
		}
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("nothing answers at %s: %v", address, err)
		}
	}
}

// TestInspector connects MCP Inspector as a person does who knows nothing but
// the address of the endpoint: it registers itself, opens our pages in its tab,
// comes back connected, lists the tools that it may use and calls one.
func TestInspector(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	address, b := inspector(t, s.Resource), newTab(t)
	b.size(1400, 1000)
	for _, part := range []string{
		"fonts.googleapis.com", "fonts.gstatic.com", "ERR_NAME_NOT_RESOLVED", "StylesheetLoadingIssue", // its letters, which it does without
		"NavigationEntryMarkedSkippable", "BounceTrackingIssue", // it goes to our pages and on without a touch
	} {
		b.expect(part)
	}
	b.open(address + "/?MCP_INSPECTOR_API_TOKEN=" + inspectorToken)
	b.set(`input[aria-label^="Connect or disconnect"]`)
	b.until("our sign-in page", "location.href.startsWith("+quoted(s.Issuer+"/login")+") && "+complete)
	b.titled("Sign in")
	b.reads("to continue to MCP Inspector")
	b.signIn()
	b.reads("MCP Inspector wants to use", "Nobody vouches for this name", "Run tools on your behalf")
	b.follow(`button[value="allow"]`)

	b.until("it is back", "location.href.startsWith("+quoted(address)+")")
	b.shows("Connected")
	b.set(`input[type="radio"][value="Tools"]`)
	b.shows("list_notes")
	if b.offers("write_note") || b.offers("admin_stats") {
		t.Error("tools are listed that it may not use")
	}
	b.choose("list_notes")
	b.choose("Execute Tool")
	b.shows("Structured Output")
	b.reads(`"notes": []`)
}

// set clicks a switch that is drawn by something else than itself.
func (b *tab) set(selector string) {
	b.t.Helper()
	b.until(selector+" is there", element(selector))
	eval[bool](b, "("+element(selector)+".click(), true)")
}

// choose clicks the button of a text.
func (b *tab) choose(text string) {
	b.t.Helper()
	button := `[...document.querySelectorAll("button")].find((e) => e.innerText.includes(` + quoted(text) + `) && !e.disabled)`
	b.until("the button "+text, button)
	eval[bool](b, "("+button+".click(), true)")
}

// shows waits until a text can be read.
func (b *tab) shows(text string) {
	b.t.Helper()
	b.until(text+" is read", "document.body.innerText.includes("+quoted(text)+")")
}

// offers reports whether a text can be read now.
func (b *tab) offers(text string) bool { b.t.Helper(); return strings.Contains(b.text(), text) }
