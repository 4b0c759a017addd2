package main

import (
	"bytes"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// sealText is a seal key as openssl would make it.
const sealText = "1h8vCz0hHq2bq0m3rQ0xv8Yp5t9yJtUw0yJH0b7kq5E="

// production are settings that no item of the checklist objects to.
func production(t *testing.T) (settings.Settings, *process, string) {
	t.Helper()
	dir := t.TempDir()
	s := settings.Defaults()
	s.Issuer, s.Listen, s.MetricsListen = "https://auth.example.com", ":9000", "10.0.0.5:9100"
	s.TrustedProxies = []string{"10.0.0.0/24"}
	s.Database.Postgres = "postgres://gatehouse@db.internal/gatehouse?sslmode=verify-full"
	s.SealKeyFile = write(t, dir, "keys/seal.key", sealText, 0o600)
	s.Resources = []settings.Resource{{Identifier: "https://mcp.example.com/mcp"}}
	s.Login.Passwords = false
	s.Login.Upstreams = []settings.Upstream{{ID: "corp", Name: "Corp", Issuer: "https://login.example.com", ClientID: "x", ClientSecretFile: write(t, dir, "corp", "secret", 0o600)}}
	rs := &s.ResourceServer
	rs.Listen, rs.MetricsListen, rs.LocalhostOnly, rs.RequireHTTPS = ":3001", "10.0.0.5:3100", false, true
	rs.TrustedProxies = []string{"10.0.0.0/24"}
	rs.Introspection = settings.Introspection{ClientID: "rs", ClientSecretFile: write(t, dir, "rs", "secret", 0o600)}
	p := &process{globals: globals{Data: dir}, getenv: func(string) string { return "" }}
	return s, p, write(t, dir, "gatehouse.yaml", "issuer: https://auth.example.com\n", 0o640)
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

// slip is something that should not go to production.
type slip struct {
	item string
	want itemStatus
	make func(s *settings.Settings, dir string)
}

// Every item is ok for settings without blame, and objects to each slip.
func TestSeed_S30_EveryItemObjects(t *testing.T) {
	t.Parallel()
	s, p, path := production(t)
	judged := map[string]bool{}
	for _, item := range p.checklist(path, s) {
		judged[item.Item] = false
		if item.Status != itemOK {
			t.Errorf("blameless, but %s", item)
		}
	}
	all := slices.Concat(slipsOfTransport(), slipsOfSecrets(t), slipsOfTokens(), slipsOfPeople(), slipsOfAccess(), slipsOfSessions())
	for _, slip := range all {
		s, p, path := production(t)
		slip.make(&s, filepath.Dir(path))
		found := false
		for _, item := range p.checklist(path, s) {
			if item.Item != slip.item {
				continue
			}
			found = true
			if item.Status != slip.want || item.Do == "" || item.Reason == "" {
				t.Errorf("want %s, got %s", slip.want, item)
			}
		}
		if !found {
			t.Errorf("there is no item %s", slip.item)
		}
		judged[slip.item] = true
	}
	for _, item := range slices.Sorted(maps.Keys(judged)) {
		if !judged[item] {
			t.Errorf("nothing shows that %s can object", item)
		}
	}
}

func slipsOfTransport() []slip {
	proxied := func(network string) func(*settings.Settings, string) {
		return func(s *settings.Settings, _ string) { s.TrustedProxies = []string{network} }
	}
	return []slip{
		{"issuer", itemFails, func(s *settings.Settings, _ string) { s.Issuer = "http://localhost:9000" }},
		{"issuer", itemWarns, func(s *settings.Settings, _ string) { s.TrustedProxies = nil }},
		{"issuer", itemWarns, func(s *settings.Settings, dir string) {
			s.TLS = settings.TLS{Certificate: dir + "/absent", Key: dir + "/absent"}
		}},
		{"issuer", itemFails, func(s *settings.Settings, dir string) {
			s.TLS = settings.TLS{Certificate: filepath.Join(dir, "rs"), Key: filepath.Join(dir, "rs")}
		}},
		{"resource", itemFails, func(s *settings.Settings, _ string) { s.Resources[0].Identifier = "http://localhost:3001/mcp" }},
		{"resource", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.TrustedProxies = nil }},
		{"require_https", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.RequireHTTPS = false }},
		{"localhost_only", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.LocalhostOnly = true }},
		{"localhost_only", itemFails, func(s *settings.Settings, _ string) {
			s.ResourceServer.LocalhostOnly, s.ResourceServer.TrustedProxies = true, nil
		}},
		{"trusted_proxies", itemWarns, proxied("192.0.0.0/8")},
		{"trusted_proxies", itemWarns, proxied("2000::/3")},
		{"trusted_proxies", itemWarns, proxied("10.0.0.0/7")},
		{"trusted_proxies", itemWarns, proxied("192.168.0.0/13")},
		{"metrics", itemFails, func(s *settings.Settings, _ string) { s.MetricsListen, s.TrustedProxies = "", nil }},
		{"metrics", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.MetricsListen = "" }},
		{"metrics", itemWarns, func(s *settings.Settings, _ string) { s.MetricsListen = ":9100" }},
		{"metrics", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.MetricsListen = "203.0.113.7:3100" }},
		{"monitoring", itemWarns, func(s *settings.Settings, _ string) { s.MetricsListen, s.ResourceServer.MetricsListen = "", "" }},
	}
}

func slipsOfSecrets(t *testing.T) []slip {
	t.Helper()
	seal := func(name, text string, mode os.FileMode) func(*settings.Settings, string) {
		return func(s *settings.Settings, dir string) { s.SealKeyFile = write(t, dir, name, text, mode) }
	}
	counting := make([]byte, 32)
	for i := range counting {
		counting[i] = byte(i)
	}
	return []slip{
		{"seal_key", itemWarns, func(s *settings.Settings, _ string) { s.SealKeyFile = "" }},
		{"seal_key", itemWarns, func(s *settings.Settings, dir string) { s.SealKeyFile = dir + "/absent" }},
		{"seal_key", itemFails, seal("seal", sealText, 0o644)},
		{"seal_key", itemFails, seal("seal", "c2hvcnQ=", 0o600)},
		{"seal_key", itemFails, seal("seal", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("gate"), 8)), 0o600)},
		{"seal_key", itemFails, seal("seal", base64.StdEncoding.EncodeToString(counting), 0o600)},
		{"seal_key", itemFails, func(s *settings.Settings, dir string) {
			s.Database = settings.Database{SQLite: filepath.Join(dir, "keys", "gatehouse.db")}
		}},
		{"database", itemWarns, func(s *settings.Settings, dir string) {
			s.Database = settings.Database{SQLite: filepath.Join(dir, "gatehouse.db")}
		}},
		{"database", itemFails, func(s *settings.Settings, dir string) {
			s.Database = settings.Database{SQLite: write(t, dir, "gatehouse.db", "", 0o644)}
		}},
		{"database", itemFails, func(s *settings.Settings, _ string) { s.Database = settings.Database{SQLite: ":memory:"} }},
		{"database", itemFails, func(s *settings.Settings, _ string) {
			s.Database.Postgres = "postgres://g:hunter2@db/g?sslmode=verify-full"
		}},
		{"database", itemFails, func(s *settings.Settings, _ string) {
			s.Database.Postgres = "postgres://g@db/g?sslmode=verify-full&password=hunter2"
		}},
		{"database", itemWarns, func(s *settings.Settings, _ string) { s.Database.Postgres = "postgres://g@db/g" }},
		{"database", itemWarns, func(s *settings.Settings, _ string) { s.Database.Postgres = "postgres:///g?host=db.internal" }},
		{"settings_file", itemFails, func(_ *settings.Settings, dir string) { write(t, dir, "gatehouse.yaml", "", 0o666) }},
		{"settings_file", itemWarns, func(_ *settings.Settings, dir string) { write(t, dir, "gatehouse.yaml", "", 0o660) }},
		{"settings_file", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.AuthToken = "3Zs0vB1cQ9xkU7mYwT5eRj2LhN8aGdKf" }},
		{"settings_file", itemFails, func(s *settings.Settings, dir string) {
			s.ResourceServer.AuthToken = "3Zs0vB1cQ9xkU7mYwT5eRj2LhN8aGdKf"
			write(t, dir, "gatehouse.yaml", "", 0o620)
		}},
		{"secret_files", itemFails, func(_ *settings.Settings, dir string) { write(t, dir, "rs", "secret", 0o644) }},
		{"secret_files", itemWarns, func(s *settings.Settings, dir string) {
			s.ResourceServer.AuthTokens = []settings.AuthToken{{Name: "x", TokenFile: dir + "/absent"}}
		}},
	}
}

func slipsOfTokens() []slip {
	lives := func(d time.Duration) func(*settings.Settings, string) {
		return func(s *settings.Settings, _ string) { s.Tokens.AccessTokenLifetime = d }
	}
	return []slip{
		{"access_token_lifetime", itemWarns, lives(2 * time.Hour)},
		{"access_token_lifetime", itemFails, lives(24 * time.Hour)},
		{"refresh_tokens", itemWarns, func(s *settings.Settings, _ string) { s.Tokens.RefreshReuseWindow = 10 * time.Minute }},
		{"refresh_tokens", itemWarns, func(s *settings.Settings, _ string) { s.Tokens.RefreshTokenLifetime = 365 * 24 * time.Hour }},
		{"key_rotation", itemWarns, func(s *settings.Settings, _ string) { s.Tokens.KeyRotation = 365 * 24 * time.Hour }},
		{"introspection", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.Introspection.ClientID = "" }},
		{"introspection", itemFails, func(s *settings.Settings, _ string) {
			s.ResourceServer.Introspection.ClientID, s.ResourceServer.Issuer = "", s.Issuer+"/"
		}},
		{"introspection", itemWarns, func(s *settings.Settings, _ string) {
			s.ResourceServer.Introspection.ClientID, s.ResourceServer.Issuer = "", "https://other.example.com"
		}},
		{"introspection", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.FeedLossAfter = time.Hour }},
		{"clock_skew", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.ClockSkew = 5 * time.Minute }},
		{"static_tokens", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.AuthToken = "3Zs0vB1cQ9xkU7mYwT5eRj2LhN8aGdKf" }},
		{"static_tokens", itemWarns, func(s *settings.Settings, _ string) {
			s.ResourceServer.AuthTokens = []settings.AuthToken{{Name: "x", Scopes: []string{"mcp:read"}}}
		}},
		{"static_tokens", itemFails, func(s *settings.Settings, _ string) {
			s.ResourceServer.AuthTokens = []settings.AuthToken{{Name: "x", Scopes: []string{"mcp:admin"}}}
		}},
		{"static_tokens", itemFails, func(s *settings.Settings, _ string) {
			s.Scopes = map[string]settings.Scope{"all": {Description: "Do everything", Implies: []string{"mcp:admin"}}}
			s.ResourceServer.AuthTokens = []settings.AuthToken{{Name: "x", Scopes: []string{"all"}}}
		}},
		{"required_scopes", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.RequiredScopes = nil }},
		{"required_scopes", itemWarns, func(s *settings.Settings, _ string) {
			s.ResourceServer.ToolScopes = []settings.Rule{{Match: "delete_note"}}
		}},
	}
}

func slipsOfPeople() []slip {
	return []slip{
		{"sign_in", itemWarns, func(s *settings.Settings, _ string) { s.Login.Passwords = true }},
		{"sign_in", itemWarns, func(s *settings.Settings, _ string) { s.Login.SessionLifetime = 30 * 24 * time.Hour }},
		{"sign_in", itemWarns, func(s *settings.Settings, _ string) {
			s.Login.Passwords, s.Login.SessionLifetime = true, 30*24*time.Hour
		}},
		{"dynamic_registration", itemFails, func(s *settings.Settings, _ string) { s.Registration.DCR.PerAddress = 2000 }},
		{"client_documents", itemFails, func(s *settings.Settings, _ string) { s.Registration.CIMD.AllowLoopback = true }},
	}
}

func slipsOfAccess() []slip {
	origins := func(list ...string) func(*settings.Settings, string) {
		return func(s *settings.Settings, _ string) { s.ResourceServer.AllowedOrigins = list }
	}
	return []slip{
		{"allowed_origins", itemFails, origins("/.*/")},
		{"allowed_origins", itemFails, origins("app.example.com", "/https?:\\/\\/.+/")},
		{"allowed_origins", itemFails, origins("/[a-z.-]+/")},
		{"allowed_origins", itemFails, origins(`/.*\.com/`)},
		{"allowed_origins", itemFails, origins(`/.*example\.com/`)},
		{"allowed_origins", itemFails, origins(`/.*.example.co.uk/`)},
		{"allowed_origins", itemFails, origins(`/https:\/\/.*\.example\.com.*/`)},
		{"allowed_origins", itemWarns, origins("http://app.example.com")},
		{"cors", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.CORSOrigins = []string{"*"} }},
		{"cors", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.CORSOrigins = []string{"/.*/"} }},
		{"auth_exempt_paths", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.AuthExemptPaths = []string{"/files"} }},
		{"rate_limits", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.RateLimits.PerAddress = -1 }},
		{"rate_limits", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.RateLimits.PerPrincipal = -1 }},
		{"rate_limits", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.RateLimits.PerAddress = 1_000_000 }},
		{"security_headers", itemWarns, func(s *settings.Settings, _ string) {
			s.ResourceServer.SecurityHeaders = map[string]string{"X-Frame-Options": ""}
		}},
		{"security_headers", itemWarns, func(s *settings.Settings, _ string) {
			s.ResourceServer.SecurityHeaders = map[string]string{"strict-transport-security": "max-age=0"}
		}},
	}
}

func slipsOfSessions() []slip {
	return []slip{
		{"sessions", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.SessionTimeout = 2 * time.Hour }},
		{"sessions", itemFails, func(s *settings.Settings, _ string) { s.ResourceServer.SessionTimeout = 48 * time.Hour }},
		{"sessions", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.MaxSessionsPerClient = 1000 }},
		{"session_id_entropy", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.SessionIDEntropy = 128 }},
		{"protocol_versions", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.EnforceProtocolVersion = false }},
		{"request_size", itemWarns, func(s *settings.Settings, _ string) { s.ResourceServer.MaxBody = 64 << 20 }},
		{"security_log", itemFails, func(s *settings.Settings, _ string) { s.SecurityLog.LogFailedAuth = false }},
		{"security_log", itemFails, func(s *settings.Settings, _ string) { s.SecurityLog.Level = "error" }},
		{"security_log", itemWarns, func(s *settings.Settings, _ string) { s.SecurityLog.LogAuthorizationFailures = false }},
	}
}

// What ships is fit for production, and shows where it depends on the place.
func TestSeed_S30_WhatShipsPasses(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := gatehouse(t, nil, "config", "check", "--production", "../../deploy/gatehouse.yaml")
	if code != 0 || strings.Contains("\n"+stdout, "\nfail") || stderr != "" {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	if lines := strings.Count(stdout, "\n"); lines < 30 {
		t.Errorf("only %d items", lines)
	}
}
