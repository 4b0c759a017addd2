package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// checker collects what the grammar alone cannot see.
type checker struct {
	problems Problems
	scopes   []string // names that are in the catalog
}

func (c *checker) fail(key, format string, args ...any) {
	c.problems = append(c.problems, Problem{Key: key, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) require(err error, key string) {
	if err != nil {
		c.fail(key, "%v", err)
	}
}

// Check returns the mistakes of settings that do not come from a file; they
// have no place in one.
func Check(s Settings) Problems { return s.check() }

func (s Settings) check() Problems {
	c := &checker{}
	if s.Issuer == "" {
		c.fail("issuer", "is required: the https URL of the authorization server")
	} else {
		c.require(CheckURL(s.Issuer), "issuer")
	}
	c.require(CheckAddress(s.Listen), "listen")
	if s.MetricsListen != "" {
		c.require(CheckAddress(s.MetricsListen), "metrics_listen")
	}
	s.Database.check(c)
	s.TLS.check(c, "tls")
	c.proxies("trusted_proxies", s.TrustedProxies)
	s.checkScopes(c)
	s.checkResources(c)
	s.Tokens.check(c)
	s.Login.check(c)
	s.Registration.check(c)
	s.RateLimits.check(c)
	s.Brand.check(c)
	s.ResourceServer.check(c, s)
	c.oneOf("security_log.level", s.SecurityLog.Level, "debug", "info", "warn", "error")
	return c.problems
}

func (d Database) check(c *checker) {
	if d.SQLite != "" && d.Postgres != "" {
		c.fail("database", "names two engines; keep sqlite or postgres")
	}
	if d.Postgres != "" && !strings.HasPrefix(d.Postgres, "postgres://") && !strings.HasPrefix(d.Postgres, "postgresql://") {
		c.fail("database.postgres", "must be a postgres:// URL")
	}
	if d.MaxConns < 0 || d.MaxConns > 10000 {
		c.fail("database.max_conns", "must be between 0 and 10000")
	}
}

func (t TLS) check(c *checker, key string) {
	if (t.Certificate == "") != (t.Key == "") {
		c.fail(key, "needs both certificate and key, or neither")
	}
}

func (s Settings) checkResources(c *checker) {
	if len(s.Resources) == 0 {
		c.fail("resources", "is required: at least one protected resource")
	}
	seen := map[string]bool{}
	for i, r := range s.Resources {
		key := fmt.Sprintf("resources[%d]", i)
		c.require(CheckURL(r.Identifier), key+".identifier")
		if seen[r.Identifier] {
			c.fail(key+".identifier", "stands here twice")
		}
		seen[r.Identifier] = true
		if r.TokenFormat != "" {
			c.oneOf(key+".token_format", string(r.TokenFormat), string(storage.FormatJWT), string(storage.FormatOpaque))
		}
		c.known(key+".scopes", r.Scopes)
	}
}

func (t Tokens) check(c *checker) {
	c.oneOf("tokens.signing_alg", t.SigningAlg, "ES256", "EdDSA", "PS256", "RS256")
	c.between("tokens.access_token_lifetime", t.AccessTokenLifetime, time.Second, 24*time.Hour)
	c.between("tokens.code_lifetime", t.CodeLifetime, time.Second, 10*time.Minute)
	c.between("tokens.refresh_token_lifetime", t.RefreshTokenLifetime, t.AccessTokenLifetime, 10*365*24*time.Hour)
	c.between("tokens.refresh_reuse_window", t.RefreshReuseWindow, 0, 10*time.Minute)
	c.between("tokens.key_rotation", t.KeyRotation, time.Minute, 10*365*24*time.Hour)
	if t.KeyOverlap <= 0 || t.KeyOverlap >= t.KeyRotation {
		c.fail("tokens.key_overlap", "must be shorter than key_rotation, and not 0")
	}
}

func (c *checker) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.fail(key, "%q is not one of %s%s", value, strings.Join(allowed, ", "), Suggest(value, allowed))
	}
}

func (c *checker) between(key string, d, least, most time.Duration) {
	if d < least || d > most {
		c.fail(key, "must be between %s and %s", ShortDuration(least), ShortDuration(most))
	}
}

// LogLevel returns the level with that name; unknown names mean info.
func LogLevel(name string) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return level
}

// CheckAddress checks host:port, as in localhost:9000, :9000 or [::1]:0.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address such as localhost:9000", address)
	}
	if _, err := net.ResolveTCPAddr("tcp", ":"+port); err != nil { // looks up no host
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

// CheckURL enforces what issuer and resource identifiers have in common
// (RFC 8414 §2, RFC 8707 §2, and MCP's rule that plain http is for loopback).
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme == "":
		return fmt.Errorf("%q is not an absolute URL", raw)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return errors.New("must have neither user, query nor fragment")
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		return errors.New("must be an https URL unless its host is loopback")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must be an https URL")
	case strings.HasSuffix(u.Path, "/"):
		return errors.New("must not end in a slash")
	}
	return nil
}

// IsLoopback reports whether host is localhost or a loopback address.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
