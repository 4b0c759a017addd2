package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// certificate serves a certificate from files and reads them again when one of
// them has changed, so that a renewal needs no restart.
type certificate struct {
	files settings.TLS
	log   *slog.Logger

	mu      sync.Mutex // guards the fields below
	current *tls.Certificate
	stamp   string    // of the files that current was read from
	checked time.Time // when the files were last looked at
}

// tlsConfig returns nil when no certificate is configured. TLS 1.2 is the
// least version (RFC 9325 §3.1.1).
func tlsConfig(files settings.TLS, log *slog.Logger) (*tls.Config, error) {
	if files.Certificate == "" {
		return nil, nil
	}
	c := &certificate{files: files, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   authenticated(),
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(time.Now()), nil },
	}, nil
}

// authenticated are the suites of TLS 1.2 with authenticated encryption and
// forward secrecy (RFC 9325 §4.2); those of TLS 1.3 all are.
func authenticated() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// get looks at the files once a second at most. When they cannot be read the
// old certificate stays: half-written files are normal during a renewal.
func (c *certificate) get(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.checked) >= time.Second {
		c.checked = now
		if c.fingerprint() != c.stamp {
			if err := c.load(); err != nil {
				c.log.Error("certificate not reloaded; the old one stays", "error", err)
			} else {
				c.log.Info("certificate reloaded", "file", c.files.Certificate)
			}
		}
	}
	return c.current
}

// load takes the fingerprint first: a change while reading is seen next time.
func (c *certificate) load() error {
	stamp := c.fingerprint()
	loaded, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return err
	}
	c.current, c.stamp = &loaded, stamp
	return nil
}

func (c *certificate) fingerprint() string {
	var stamp strings.Builder
	for _, path := range []string{c.files.Certificate, c.files.Key} {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprint(&stamp, info.ModTime().UnixNano(), info.Size(), ";")
		}
	}
	return stamp.String()
}
