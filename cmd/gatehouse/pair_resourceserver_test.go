package main

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/resourceserver"
)

const goodToken = "3Zs0vB1cQ9xkU7mYwT5eRj2LhN8aGdKf"

// quietPair logs nowhere and knows one variable.
func quietPair() *pair {
	quiet := slog.New(slog.DiscardHandler)
	return &pair{log: quiet, security: quiet, getenv: func(name string) string {
		if name == "BACKUP_TOKEN" {
			return goodToken
		}
		return ""
	}}
}

// heard is all that the settings of the resource server make of the library's
// own configuration, as text.
func heard(t *testing.T, s settings.Settings) string {
	t.Helper()
	cfg, err := quietPair().resourceserverConfig(s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, token := range cfg.StaticTokens {
		fmt.Fprintln(&text, token.Name, token.Token, token.Scopes)
	}
	fmt.Fprintf(&text, "%+v\n%+v\n%+v\n", cfg.Scopes.All(), notebookPolicy(s.ResourceServer), endpointOptions(s.ResourceServer))
	cfg.Scopes, cfg.Policy, cfg.Logger, cfg.SecurityLog, cfg.Metrics = nil, nil, nil, nil, nil
	fmt.Fprintf(&text, "%+v\n", cfg)
	return text.String()
}

// No key of the resource server is only decoration: each changes something of
// what the library is told.
func TestResourceServer_EveryKeyIsHeard(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]bool{ // has a test of its own
		"listen": true, "metrics_listen": true, "tls": true, "notes": true, "introspection": true, "session_id_entropy": true,
	}
	base := func() settings.Settings {
		s := settings.Sample()
		s.Resources = append(s.Resources, settings.Resource{Identifier: "http://localhost:3001/other"})
		s.ResourceServer.AuthToken = goodToken
		return s
	}
	before := heard(t, base())
	typ := reflect.TypeFor[settings.ResourceServer]()
	for i := range typ.NumField() {
		key := typ.Field(i).Tag.Get("yaml")
		if elsewhere[key] {
			continue
		}
		s := base()
		change(t, key, reflect.ValueOf(&s.ResourceServer).Elem().Field(i))
		if heard(t, s) == before {
			t.Errorf("nothing hears of %s", key)
		}
	}
	for _, sw := range []func(*settings.SecurityLog){
		func(l *settings.SecurityLog) { l.LogFailedAuth = false },
		func(l *settings.SecurityLog) { l.LogSuccessfulAuth = true },
		func(l *settings.SecurityLog) { l.LogAuthorizationFailures = false },
	} {
		s := base()
		if sw(&s.SecurityLog); heard(t, s) == before {
			t.Errorf("nothing hears of %+v", s.SecurityLog)
		}
	}
}

// change gives a key another value that is right.
func change(t *testing.T, key string, v reflect.Value) {
	t.Helper()
	special := map[string]any{
		"audience":        "http://localhost:3001/other",
		"auth_token":      goodToken + "2",
		"auth_tokens":     []settings.AuthToken{{Name: "backup", Scopes: []string{"mcp:read"}, TokenEnv: "BACKUP_TOKEN"}},
		"custom_scopes":   map[string]string{"files:read": "Read your files"},
		"trusted_proxies": []string{"192.0.2.1"}, "allowed_ips": []string{"192.0.2.0/24"},
		"method_scopes":    []settings.Rule{{Match: "analytics/*", Scopes: []string{"mcp:read"}}},
		"resource_scopes":  []settings.Rule{{Match: "file:///a/", Scopes: []string{"mcp:read"}}},
		"tool_scopes":      []settings.Rule{{Match: "x", Scopes: []string{"mcp:read"}}},
		"prompt_scopes":    []settings.Rule{{Match: "x", Scopes: []string{"mcp:read"}}},
		"security_headers": map[string]string{"X-Frame-Options": "SAMEORIGIN"},
		"rate_limits":      settings.ResourceRateLimits{PerAddress: 1, PerPrincipal: 2},
	}
	switch value, ok := special[key]; {
	case ok:
		v.Set(reflect.ValueOf(value))
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		v.SetInt(v.Int() + int64(time.Minute))
	case v.Kind() == reflect.String:
		v.SetString("changed")
	case v.Kind() == reflect.Slice:
		v.Set(reflect.ValueOf([]string{"changed"}))
	default:
		t.Fatalf("%s has no other value here", key)
	}
}

// What the check lets pass, the library takes, and the other way about: the two
// must not drift apart.
func TestResourceServer_LibraryTakesWhatTheCheckPasses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	monitor := write(t, t.TempDir(), "monitor.token", goodToken+"3\n", 0o600)
	s, problems := settings.Decode([]byte(strings.ReplaceAll(string(text), "monitor.token", monitor)))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s.ResourceServer.AuthToken = goodToken + "1"
	cfg, err := quietPair().resourceserverConfig(s, &resourceserver.ClientCredentials{ClientID: "rs", ClientSecret: "x"}, newRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resourceserver.New(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	for _, origins := range [][]string{{"https://a.example/"}, {"/(/"}, {"/x"}, {"::1"}, {"*.example.com"}, {"a b"}, {"null"}} {
		changed, checked := cfg, s
		changed.AllowedOrigins, changed.Metrics = origins, newRegistry()
		checked.ResourceServer.AllowedOrigins = origins
		_, err := resourceserver.New(t.Context(), changed)
		refused := len(settings.Check(checked)) > 0
		if (err != nil) != refused {
			t.Errorf("%q: the library says %v, the check refuses: %v", origins, err, refused)
		}
	}
}

// Only dev exempts this machine from https.
func TestSeed_S04_LoopbackExemptInDevOnly(t *testing.T) {
	t.Parallel()
	for _, dev := range []bool{true, false} {
		r := quietPair()
		r.dev = dev
		cfg, err := r.resourceserverConfig(settings.Sample(), nil, nil)
		if err != nil || cfg.LoopbackHTTP != dev || cfg.AllowRemote {
			t.Errorf("dev %v: %v, %v", dev, cfg.LoopbackHTTP, err)
		}
	}
}

func TestSeed_S06_StaticTokensFromFileAndEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, short := write(t, dir, "good", goodToken+"\n", 0o600), write(t, dir, "short", "short\n", 0o600)
	for _, test := range []struct {
		token settings.AuthToken
		want  string // an error, or the token
	}{
		{settings.AuthToken{Name: "a", TokenFile: good}, goodToken},
		{settings.AuthToken{Name: "a", TokenEnv: "BACKUP_TOKEN"}, goodToken},
		{settings.AuthToken{Name: "a", TokenEnv: "UNSET"}, `auth_tokens "a": what UNSET holds must have at least`},
		{settings.AuthToken{Name: "a", TokenFile: short}, "must have at least 32 bytes"},
		{settings.AuthToken{Name: "a", TokenFile: dir + "/absent"}, "no such file"},
	} {
		tokens, err := staticTokens(settings.ResourceServer{AuthTokens: []settings.AuthToken{test.token}}, quietPair().getenv)
		got := fmt.Sprint(err)
		if err == nil {
			got = tokens[0].Token
		}
		if !strings.Contains(got, test.want) || err != nil && strings.Contains(got, "short\"") {
			t.Errorf("%+v: %s", test.token, got)
		}
	}
}

func TestSeed_S27_AuthserverObeysLogFailedAuth(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		var out strings.Builder
		log := authserverEvents(slog.New(slog.NewTextHandler(&out, nil)), settings.SecurityLog{LogFailedAuth: on}).With("server", "authserver").WithGroup("x")
		log.Warn("client authentication failed")
		log.Warn("sign-in failed")
		log.Warn("token revoked")
		if strings.Contains(out.String(), "failed") != on || !strings.Contains(out.String(), "token revoked") {
			t.Errorf("log_failed_auth %v:\n%s", on, out.String())
		}
	}
}
