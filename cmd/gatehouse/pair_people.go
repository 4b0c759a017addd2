package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// peopleConfig is what the settings say about sign-in, self-registration, pages
// and whom a request is from; it reads the files that they name.
func peopleConfig(s settings.Settings, cfg *authserver.Config) error {
	cfg.Login = authserver.Login{NoPasswords: !s.Login.Passwords, SessionLifetime: s.Login.SessionLifetime}
	for _, u := range s.Login.Upstreams {
		secret, err := readSecret(u.ClientSecretFile)
		if err != nil {
			return fmt.Errorf("login.upstreams %q: %w", u.ID, err)
		}
		cfg.Login.Upstreams = append(cfg.Login.Upstreams, authserver.Upstream{
			ID: u.ID, Name: u.Name, Issuer: u.Issuer, ClientID: u.ClientID, ClientSecret: secret,
			Scopes: u.Scopes, AllowedDomains: u.AllowedDomains,
		})
	}
	proxies, err := settings.Networks(s.TrustedProxies)
	if err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	cfg.TrustedProxies = proxies
	dcr, cimd := s.Registration.DCR, s.Registration.CIMD
	tokens, err := readSecret(dcr.InitialAccessTokenFile)
	if err != nil {
		return fmt.Errorf("registration.dcr.initial_access_token_file: %w", err)
	}
	cfg.Registration = authserver.Registration{
		Dynamic: authserver.DynamicRegistration{
			Enabled: dcr.Enabled, Required: dcr.RequireInitialAccessToken, InitialAccessTokens: hashLines(tokens),
			UnusedLifetime: dcr.UnusedLifetime, PerAddress: dcr.PerAddress,
		},
		Documents: authserver.ClientDocuments{
			Enabled: cimd.Enabled, AllowedHosts: cimd.AllowedHosts, DeniedHosts: cimd.DeniedHosts, AllowLoopback: cimd.AllowLoopback,
		},
	}
	cfg.RateLimits = authserver.RateLimits{
		RequestsPerMinute: s.RateLimits.RequestsPerMinute, DocumentsPerHour: s.RateLimits.DocumentsPerHour,
	}
	cfg.Brand = web.Brand{Name: s.Brand.Name, Accent: s.Brand.Accent}
	if s.Brand.Logo != "" {
		if cfg.Brand.Logo, err = os.ReadFile(s.Brand.Logo); err != nil {
			return fmt.Errorf("brand.logo: %w", err)
		}
	}
	return nil
}

// readSecret returns what a file says without the line break at its end;
// nothing for no file.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	return strings.TrimRight(string(text), "\r\n"), err
}

// hashLines returns the SHA-256 of every line that is not empty.
func hashLines(text string) [][]byte {
	var hashes [][]byte
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			hash := sha256.Sum256([]byte(line))
			hashes = append(hashes, hash[:])
		}
	}
	return hashes
}
