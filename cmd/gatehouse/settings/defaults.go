package settings

import (
	"time"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Defaults returns what a file leaves out. Issuer and resources have none.
func Defaults() Settings {
	return Settings{
		Listen: "localhost:9000",
		Memory: 64 << 20,
		Tokens: Tokens{
			AccessTokenLifetime: time.Hour,
			SigningAlg:          "ES256",
			KeyRotation:         30 * 24 * time.Hour,
			KeyOverlap:          24 * time.Hour,

			CodeLifetime:         time.Minute,
			RefreshTokenLifetime: 30 * 24 * time.Hour,
			RefreshReuseWindow:   time.Minute,
		},
		Login: Login{Passwords: true, SessionLifetime: 7 * 24 * time.Hour},
		Registration: Registration{
			DCR:  DCR{Enabled: true, UnusedLifetime: 24 * time.Hour, PerAddress: 20},
			CIMD: CIMD{Enabled: true},
		},
		RateLimits:  RateLimits{RequestsPerMinute: 60, DocumentsPerHour: 30},
		Brand:       Brand{Name: "Gatehouse"},
		SecurityLog: SecurityLog{Level: "info", LogFailedAuth: true, LogAuthorizationFailures: true},
		ResourceServer: ResourceServer{
			Listen:          "localhost:3001",
			Notes:           "./.gatehouse/notes.json",
			AuthExemptPaths: []string{"/health", "/status", "/ready", "/metrics"},
			AuthHeaderName:  "Authorization",
			AuthTokenScopes: []string{scopes.MCPRead, scopes.MCPWrite, scopes.MCPTools},
			OAuthEnabled:    true,
			Algorithms:      []string{"ES256", "EdDSA", "PS256", "RS256"},
			ClockSkew:       time.Minute,
			KeyRefresh:      5 * time.Minute,
			OnFeedLoss:      string(resourceserver.IntrospectOnFeedLoss),
			FeedLossAfter:   30 * time.Second,
			RequiredScopes:  []string{scopes.MCPRead},
			ChallengeScopes: []string{scopes.MCPRead, scopes.MCPTools},
			ToolsScope:      scopes.MCPTools,
			ResourcesScope:  scopes.MCPRead,
			PromptsScope:    scopes.MCPRead,
			AdminScope:      scopes.MCPAdmin,
			MaxBody:         4 << 20,

			LocalhostOnly: true,
			CORSEnabled:   true,
			CORSMethods:   []string{"GET", "POST", "DELETE"},
			CORSMaxAge:    10 * time.Minute,
			RateLimits:    ResourceRateLimits{PerAddress: 6000, PerPrincipal: 6000},
			MaxHeaders:    100,

			EnforceProtocolVersion: true,
			SessionIDEntropy:       256,
			SessionCleanupInterval: 5 * time.Minute,

			SessionTimeout:       30 * time.Minute,
			MaxSessionsPerClient: 5,
			KeepAlive:            25 * time.Second,
		},
	}
}

// Sample returns the defaults with an issuer and a resource on this machine:
// the settings that [Example] prints.
func Sample() Settings {
	s := Defaults()
	s.Issuer = "http://localhost:9000"
	s.Resources = []Resource{{Identifier: "http://localhost:3001/mcp", TokenFormat: storage.FormatJWT}}
	return s
}
