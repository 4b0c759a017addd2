package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// itemStatus is how an item of the checklist ends.
type itemStatus string

const (
	itemOK    itemStatus = "ok"
	itemWarns itemStatus = "warn" // somebody has to decide whether that is right
	itemFails itemStatus = "fail" // not in production
)

// checkItem is an item of the checklist for production.
type checkItem struct {
	Item string `json:"item"`
	verdict
}

type verdict struct {
	Status itemStatus `json:"status"`
	Reason string     `json:"reason"`
	Do     string     `json:"do,omitempty"` // what would be better
}

// String is one line.
func (i checkItem) String() string {
	line := fmt.Sprintf("%-4s  %s: %s", i.Status, i.Item, i.Reason)
	if i.Do != "" {
		line += "; " + i.Do
	}
	return line
}

func ok(format string, args ...any) verdict {
	return verdict{Status: itemOK, Reason: fmt.Sprintf(format, args...)}
}

func warn(do, format string, args ...any) verdict {
	return verdict{itemWarns, fmt.Sprintf(format, args...), do}
}

func fail(do, format string, args ...any) verdict {
	return verdict{itemFails, fmt.Sprintf(format, args...), do}
}

// checklist judges settings that have no mistakes.
type checklist struct {
	settings.Settings
	process *process
	path    string // of the settings file
}

// checklist walks the whole list. It looks at the files that the settings name
// and asks no server.
func (p *process) checklist(path string, s settings.Settings) []checkItem {
	l := checklist{s, p, path}
	var items []checkItem
	for _, list := range [][]question{l.transport(), l.secrets(), l.tokens(), l.people(), l.access(), l.protocol(), l.watching()} {
		for _, entry := range list {
			items = append(items, checkItem{entry.name, entry.check()})
		}
	}
	return items
}

// question is an item of the list before it is judged.
type question struct {
	name  string
	check func() verdict
}

func (l checklist) tokens() []question {
	return []question{
		{"access_token_lifetime", l.accessTokens},
		{"refresh_tokens", l.refreshTokens},
		{"key_rotation", l.keyRotation},
		{"introspection", l.introspection},
		{"clock_skew", l.clockSkew},
		{"static_tokens", l.staticTokens},
		{"required_scopes", l.requiredScopes},
	}
}

func (l checklist) accessTokens() verdict {
	switch d := l.Tokens.AccessTokenLifetime; {
	case d > 12*time.Hour:
		return fail("set tokens.access_token_lifetime to 1h or less", "an access token lives for %s", settings.ShortDuration(d))
	case d > time.Hour:
		return warn("set tokens.access_token_lifetime to 1h or less", "an access token lives for %s", settings.ShortDuration(d))
	default:
		return ok("an access token lives for %s", settings.ShortDuration(d))
	}
}

func (l checklist) refreshTokens() verdict {
	const most = 90 * 24 * time.Hour
	switch t := l.Tokens; {
	case t.RefreshReuseWindow > 2*time.Minute:
		return warn("set tokens.refresh_reuse_window to 1m", "a stolen refresh token can be used beside its owner for %s", settings.ShortDuration(t.RefreshReuseWindow))
	case t.RefreshTokenLifetime > most:
		return warn("set tokens.refresh_token_lifetime to 90 days or less", "an app that is not used stays connected for %s", settings.ShortDuration(t.RefreshTokenLifetime))
	default:
		return ok("each is used once, within %s; an unused one lives for %s", settings.ShortDuration(t.RefreshReuseWindow), settings.ShortDuration(t.RefreshTokenLifetime))
	}
}

func (l checklist) keyRotation() verdict {
	if l.Tokens.KeyRotation > 90*24*time.Hour {
		return warn("set tokens.key_rotation to 90 days or less", "a signing key is used for %s", settings.ShortDuration(l.Tokens.KeyRotation))
	}
	return ok("%s keys, a new one every %s", l.Tokens.SigningAlg, settings.ShortDuration(l.Tokens.KeyRotation))
}

func (l checklist) introspection() verdict {
	switch rs := l.ResourceServer; {
	case !rs.OAuthEnabled:
		return ok("no tokens of an issuer are accepted")
	case rs.Introspection.ClientID == "" && rs.Issuer != "" && strings.TrimSuffix(rs.Issuer, "/") != l.Issuer:
		return warn("name a client of the issuer in resource_server.introspection", "a revoked token of %s is accepted until it expires", rs.Issuer)
	case rs.Introspection.ClientID == "":
		return fail("make a client with gatehouse client create --introspect and name it in resource_server.introspection", "a revoked JWT is accepted until it expires")
	case rs.FeedLossAfter > 5*time.Minute:
		return warn("set resource_server.feed_loss_after to 30s", "revocations may be missed for %s before that is noticed", settings.ShortDuration(rs.FeedLossAfter))
	default:
		return ok("revocations are followed; without them tokens are met with %s after %s", rs.OnFeedLoss, settings.ShortDuration(rs.FeedLossAfter))
	}
}

func (l checklist) clockSkew() verdict {
	if skew := l.ResourceServer.ClockSkew; skew > time.Minute {
		return warn("synchronise the clocks and set resource_server.clock_skew to 60s", "a token is accepted for %s after it has expired", settings.ShortDuration(skew))
	}
	return ok("at most %s", settings.ShortDuration(l.ResourceServer.ClockSkew))
}

func (l checklist) staticTokens() verdict {
	rs := l.ResourceServer
	if rs.AuthToken != "" {
		return fail("move it to resource_server.auth_tokens with token_file or token_env", "auth_token stands in the settings file")
	}
	var names []string
	for _, t := range rs.AuthTokens {
		if slices.Contains(l.implied(t.Scopes), rs.AdminScope) {
			return fail("take it away; use a client with client credentials", "the static token %q never expires and has %s", t.Name, rs.AdminScope)
		}
		names = append(names, t.Name)
	}
	if len(names) > 0 {
		return warn("replace them by clients with client credentials, or by new ones regularly", "%s never expire and are revoked by a restart only", strings.Join(names, ", "))
	}
	return ok("there are none")
}

// implied returns scopes with all that they include.
func (l checklist) implied(names []string) []string {
	catalog, err := l.Catalog()
	if err != nil {
		return names
	}
	return catalog.Expand(scopes.Of(names...))
}

func (l checklist) requiredScopes() verdict {
	rs := l.ResourceServer
	if len(rs.RequiredScopes) == 0 {
		return warn("set resource_server.required_scopes to [mcp:read]", "any valid token may open a session")
	}
	var free []string
	for _, rules := range [][]settings.Rule{rs.MethodScopes, rs.ToolScopes, rs.PromptScopes, rs.ResourceScopes} {
		for _, rule := range rules {
			if len(rule.Scopes) == 0 {
				free = append(free, rule.Match)
			}
		}
	}
	if len(free) > 0 {
		return warn("see whether that is meant", "%s: nothing beyond %s is needed", strings.Join(free, ", "), strings.Join(rs.RequiredScopes, " "))
	}
	return ok("every token has %s", strings.Join(rs.RequiredScopes, " "))
}

func (l checklist) people() []question {
	return []question{
		{"sign_in", l.signIn},
		{"dynamic_registration", l.dynamicRegistration},
		{"client_documents", l.clientDocuments},
	}
}

func (l checklist) signIn() verdict {
	switch {
	case l.Login.SessionLifetime > 14*24*time.Hour:
		return warn("set login.session_lifetime to 7 days or less", "a browser stays signed in for %s", settings.ShortDuration(l.Login.SessionLifetime))
	case !l.Login.Passwords:
		return ok("people sign in elsewhere, or with passkeys")
	}
	return warn("ask administrators for a passkey or a second factor (/account), or set login.passwords: false",
		"a password is enough for accounts that have no second factor")
}

func (l checklist) dynamicRegistration() verdict {
	switch dcr := l.Registration.DCR; {
	case !dcr.Enabled:
		return ok("nobody registers clients by themselves")
	case dcr.RequireInitialAccessToken:
		return ok("only with an initial access token")
	case dcr.PerAddress > 100:
		return fail("set registration.dcr.per_address to 20", "one address may register %d clients in an hour", dcr.PerAddress)
	default:
		return ok("open, for %d public clients per address and hour; a person has to agree to each", dcr.PerAddress)
	}
}

func (l checklist) clientDocuments() verdict {
	switch cimd := l.Registration.CIMD; {
	case cimd.Enabled && cimd.AllowLoopback:
		return fail("set registration.cimd.allow_loopback: false", "clients may describe themselves from this machine, by plain http")
	case cimd.Enabled && len(cimd.AllowedHosts) == 0:
		return ok("from any public host; a person has to agree to each")
	case cimd.Enabled:
		return ok("from %s only", strings.Join(cimd.AllowedHosts, ", "))
	default:
		return ok("they are not read")
	}
}
