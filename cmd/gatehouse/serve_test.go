package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// served is a resource server that gatehouse serve runs for a test, with one
// static token and no issuer.
type served struct {
	address, metrics string // host:port
	dir              string
	client           *http.Client
}

// serveResource runs gatehouse serve until the test ends; more are lines of
// its resource_server.
func serveResource(t *testing.T, more string, env map[string]string) *served {
	t.Helper()
	s := &served{address: freeAddress(t), metrics: freeAddress(t), dir: t.TempDir()}
	write(t, s.dir, "token", goodToken+"\n", 0o600)
	config := write(t, s.dir, "gatehouse.yaml", strings.NewReplacer("$DIR", s.dir).Replace(fmt.Sprintf(`
issuer: http://localhost:9000
resources: [{identifier: "http://%s/mcp"}]
security_log: {file: "$DIR/security.log"}
resource_server:
  listen: "%s"
  metrics_listen: "%s"
  notes: $DIR/notes.json
  oauth_enabled: false
  auth_tokens:
    - {name: robot, scopes: ["mcp:read", "mcp:tools"], token_file: "$DIR/token"}
%s`, s.address, s.address, s.metrics, more)), 0o600)
	var stderr lockedBuffer
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--config", config, "serve", "--role", "resourceserver"}, func(name string) string { return env[name] },
			strings.NewReader(""), io.Discard, &stderr)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v\n%s", err, stderr.String())
		}
	})
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	limit := time.After(30 * time.Second)
	for !answersOK(t.Context(), "http://"+s.metrics+"/health") {
		select {
		case err := <-done:
			done <- nil
			t.Fatalf("serve: %v\n%s", err, stderr.String())
		case <-limit:
			t.Fatalf("it does not answer\n%s", stderr.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return s
}

// lockedBuffer may be written to by several.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ask sends a request with headers in pairs and returns status, headers and
// body.
func (s *served) ask(t *testing.T, method, url string, headers ...string) (int, http.Header, string) {
	t.Helper()
	body := ""
	if method == http.MethodPost {
		body = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

const robotBearer = "Bearer " + goodToken

// Plain http is refused on every path, also from this machine, unless a trusted
// proxy says that it came by https.
func TestSeed_S04_ServeRequiresHTTPS(t *testing.T) {
	t.Parallel()
	s := serveResource(t, "  require_https: true\n  trusted_proxies: [127.0.0.1]\n", nil)
	for _, path := range []string{"/mcp", "/health", "/metrics", "/nothing"} {
		for _, proto := range []string{"", "http"} {
			code, h, body := s.ask(t, http.MethodGet, "http://"+s.address+path, "Authorization", robotBearer, "X-Forwarded-Proto", proto)
			if code != http.StatusForbidden || !strings.Contains(body, "https_required") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Strict-Transport-Security") != "" {
				t.Errorf("%s by %q: %d %v %s", path, proto, code, h, body)
			}
		}
	}
	code, h, body := s.ask(t, http.MethodPost, "http://"+s.address+"/mcp", "Authorization", robotBearer, "X-Forwarded-Proto", "https", "X-Forwarded-For", "127.0.0.1")
	if code != http.StatusOK || h.Get("Strict-Transport-Security") == "" {
		t.Errorf("by https: %d %v %s", code, h, body)
	}
	if !answersOK(t.Context(), "http://"+s.metrics+"/metrics") {
		t.Error("metrics on an address of their own are for whoever reaches it")
	}
}

// The server's own certificate: TLS 1.2 at least, nothing by plain http, HSTS,
// and a new certificate without a restart.
func TestSeed_S04_ServeTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := settings.TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	writeCertificate(t, files, 1)
	s := serveResource(t, fmt.Sprintf("  require_https: true\n  tls: {certificate: %q, key: %q}\n", files.Certificate, files.Key), nil)
	code, h, body := s.ask(t, http.MethodPost, "https://"+s.address+"/mcp", "Authorization", robotBearer)
	if code != http.StatusOK || !strings.HasPrefix(h.Get("Strict-Transport-Security"), "max-age=") {
		t.Errorf("%d %v %s", code, h, body)
	}
	if code, _, body = s.ask(t, http.MethodPost, "http://"+s.address+"/mcp", "Authorization", robotBearer); code != http.StatusBadRequest {
		t.Errorf("plain http: %d %s", code, body)
	}
	handshake := func(most uint16) (serial int64, err error) {
		connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true, MaxVersion: most})
		if err != nil {
			return 0, err
		}
		defer connection.Close()
		return connection.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
	}
	if _, err := handshake(tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if serial, err := handshake(tls.VersionTLS12); err != nil || serial != 1 {
		t.Errorf("serial %d, %v", serial, err)
	}
	writeCertificate(t, files, 2)
	limit := time.After(30 * time.Second)
	for {
		if serial, err := handshake(tls.VersionTLS13); err == nil && serial == 2 {
			break
		}
		select {
		case <-limit:
			t.Fatal("the new certificate is not served")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Probes need no token as long as their paths are exempt, byte for byte.
func TestSeed_S08_ServeExemptPaths(t *testing.T) {
	t.Parallel()
	s := serveResource(t, "  auth_exempt_paths: [/health]\n", nil)
	for path, want := range map[string]int{
		"/health": http.StatusOK, "/status": http.StatusUnauthorized, "/ready": http.StatusUnauthorized,
		"/HEALTH": http.StatusNotFound, "//health": http.StatusNotFound, "/x/../health": http.StatusNotFound, "/%68ealth": http.StatusNotFound,
		"/health/": http.StatusNotFound, "/metrics": http.StatusNotFound, "/mcp": http.StatusUnauthorized, "/": http.StatusNotFound,
	} {
		code, h, body := s.ask(t, http.MethodGet, "http://"+s.address+path)
		if code != want || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") == "" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %d %v %s", path, code, h, body)
		}
	}
	if code, _, body := s.ask(t, http.MethodGet, "http://"+s.address+"/status", "Authorization", robotBearer); code != http.StatusOK {
		t.Errorf("/status with a token: %d %s", code, body)
	}
}

// A static token in a header of its own name; the security log does as told.
func TestSeed_S07_S27_ServeStaticToken(t *testing.T) {
	t.Parallel()
	s := serveResource(t, "  auth_header_name: X-API-Key\n  security_headers: {X-Frame-Options: \"\", X-House: gate}\n  session_id_entropy: 128\n", nil)
	code, h, body := s.ask(t, http.MethodPost, "http://"+s.address+"/mcp", "X-Api-Key", goodToken)
	if code != http.StatusOK || h.Get("X-House") != "gate" || h.Get("X-Frame-Options") != "" {
		t.Errorf("%d %v %s", code, h, body)
	}
	if id := h.Get("Mcp-Session-Id"); len(id) != 22 { // 16 bytes in base64url
		t.Errorf("the session id %q has not 128 bits", id)
	}
	if code, _, _ := s.ask(t, http.MethodPost, "http://"+s.address+"/mcp", "Authorization", robotBearer); code != http.StatusUnauthorized {
		t.Errorf("in Authorization: %d", code)
	}
	if code, _, _ := s.ask(t, http.MethodPost, "http://"+s.address+"/mcp", "X-Api-Key", goodToken+"x"); code != http.StatusUnauthorized {
		t.Errorf("another one: %d", code)
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "security.log"))
	if err != nil || !strings.Contains(string(log), "authentication failed") || strings.Contains(string(log), "authentication succeeded") || strings.Contains(string(log), goodToken) {
		t.Errorf("%v\n%s", err, log)
	}
}
