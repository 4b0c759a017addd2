package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

func TestListen_LocalhostIsBothOnOnePort(t *testing.T) {
	t.Parallel()
	listeners, port, err := listen(t.Context(), "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(listeners)
	for _, l := range listeners {
		if portOf(l) != port {
			t.Errorf("%s is not port %d", l.Addr(), port)
		}
	}
	if _, _, err := listen(t.Context(), fmt.Sprintf("localhost:%d", port)); err == nil {
		t.Error("a port that is in use was taken")
	}
}

// A stop lets a request in flight finish, ends a stream, and returns nil.
func TestServeHTTP_Drains(t *testing.T) {
	t.Parallel()
	listeners, port, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, proceed, streamEnded := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		if r.URL.Path == "/stream" {
			<-r.Context().Done()
			close(streamEnded)
			return
		}
		<-proceed
		fmt.Fprint(w, "done")
	})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- serveHTTP(ctx, slog.New(slog.DiscardHandler), httpServer{"test", listeners, handler, nil})
	}()
	answered := make(chan int, 2)
	for _, path := range []string{"/quick", "/stream"} {
		go func() {
			response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
			if err != nil {
				answered <- 0
				return
			}
			response.Body.Close()
			answered <- response.StatusCode
		}()
	}
	<-arrived
	<-arrived
	stop()
	close(proceed)
	<-streamEnded
	for range 2 {
		if code := <-answered; code != http.StatusOK {
			t.Errorf("a request was cut off: %d", code)
		}
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port)); err == nil {
		t.Error("it still accepts")
	}
}

// A server that fails stops the others, and its error is the one returned.
func TestServeHTTP_FailureStopsAll(t *testing.T) {
	t.Parallel()
	good, _, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bad, _, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closeAll(bad)
	err = serveHTTP(t.Context(), slog.New(slog.DiscardHandler),
		httpServer{"good", good, http.NotFoundHandler(), nil}, httpServer{"bad", bad, http.NotFoundHandler(), nil})
	if err == nil {
		t.Error("the failure was not reported")
	}
}

func TestSeed_S04_CertificateIsReloaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := settings.TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if _, err := tlsConfig(files, slog.Default()); err == nil {
		t.Error("missing files were accepted")
	}
	writeCertificate(t, files, 1)
	c := &certificate{files: files, log: slog.New(slog.DiscardHandler)}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	serial := func() int64 {
		now = now.Add(2 * time.Second)
		return c.get(now).Leaf.SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial %d", got)
	}
	writeCertificate(t, files, 2)
	if got := serial(); got != 2 {
		t.Errorf("serial %d: the new certificate is not served", got)
	}
	if err := os.WriteFile(files.Certificate, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("serial %d: the old certificate must stay", got)
	}
	cfg, err := tlsConfig(settings.TLS{}, nil)
	if cfg != nil || err != nil {
		t.Error("no certificate means plain HTTP")
	}
}

func writeCertificate(t *testing.T, files settings.TLS, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Two writes in one tick of the file system's clock must differ too.
	stamp := time.Now().Add(time.Duration(serial) * time.Minute)
	if err := os.Chtimes(files.Key, stamp, stamp); err != nil {
		t.Fatal(err)
	}
}

func TestTLSConfig_RFC9325_3_1_1_LeastVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := settings.TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	writeCertificate(t, files, 1)
	cfg, err := tlsConfig(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listeners, port, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- serveHTTP(ctx, slog.New(slog.DiscardHandler), httpServer{"test", listeners, http.NotFoundHandler(), cfg})
	}()
	get := func(most uint16) (*http.Response, error) {
		client := http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: most}, ForceAttemptHTTP2: true,
		}}
		defer client.CloseIdleConnections()
		response, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/", port))
		if err == nil {
			response.Body.Close()
		}
		return response, err
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if response, err := get(version); err != nil || response.ProtoMajor != 2 {
			t.Errorf("%s: %v, %v", tls.VersionName(version), response, err)
		}
	}
	if _, err := get(tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestHeapFloor_Percent(t *testing.T) {
	t.Parallel()
	h := &heapFloor{floor: 64 << 20}
	for live, want := range map[int64]int{
		0:         1600, // the runtime's own floor of 4 MiB grows to 64
		1 << 20:   1600,
		4 << 20:   1500,
		16 << 20:  300,
		32 << 20:  100,
		500 << 20: 100,
	} {
		if got := h.percent(live); got != want {
			t.Errorf("live %d: %d, want %d", live, got, want)
		}
	}
}

func TestContainerLimit(t *testing.T) {
	t.Parallel()
	read := func(files map[string]string) func(string) ([]byte, error) {
		return func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		}
	}
	const v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, test := range []struct {
		files map[string]string
		want  int64
	}{
		{nil, 0},
		{map[string]string{v2: "max\n"}, 0},
		{map[string]string{v2: "134217728\n"}, 134217728},
		{map[string]string{v1: "134217728\n"}, 134217728},
		{map[string]string{v1: "9223372036854771712\n"}, 0},
	} {
		if got := containerLimit(read(test.files)); got != test.want {
			t.Errorf("%v: %d, want %d", test.files, got, test.want)
		}
	}
}
