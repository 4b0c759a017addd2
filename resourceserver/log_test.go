package resourceserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// securityLog gives w a security log of its own and returns its lines.
func securityLog(events SecurityEvents) (configure func(*world, *Config), lines func(*testing.T) []map[string]any) {
	log := &buffer{}
	configure = func(_ *world, cfg *Config) {
		cfg.SecurityLog, cfg.SecurityEvents = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), events
	}
	lines = func(t *testing.T) []map[string]any {
		t.Helper()
		var list []map[string]any
		for scanner := bufio.NewScanner(strings.NewReader(log.String())); scanner.Scan(); {
			var event map[string]any
			if err := json.Unmarshal(scanner.Bytes(), &event); err != nil {
				t.Fatal(err)
			}
			list = append(list, event)
		}
		return list
	}
	return configure, lines
}

func TestSeed_S27_SwitchesOfTheSecurityLog(t *testing.T) {
	t.Parallel()
	const failed, denied, refused, passed = "authentication failed", "authorization failed", "request refused", "authentication succeeded"
	for name, c := range map[string]struct {
		events SecurityEvents
		want   []string
	}{
		"default":              {SecurityEvents{}, []string{failed, failed, refused, denied}},
		"everything":           {SecurityEvents{SuccessfulAuth: true}, []string{failed, failed, refused, denied, passed}},
		"no failures":          {SecurityEvents{NoFailedAuth: true}, []string{denied}},
		"no authorization":     {SecurityEvents{NoAuthorizationFailures: true}, []string{failed, failed, refused}},
		"only what has passed": {SecurityEvents{true, true, true}, []string{passed}},
	} {
		configure, lines := securityLog(c.events)
		w := newWorld(t, configure).ready(t)
		low := w.Token(rstest.Claims{"scope": "mcp:read"})
		w.post(t, "", ping)
		w.post(t, "bad", ping)
		w.do(t, http.MethodPost, low, ping, func(r *http.Request) { r.Host = "evil.example" })
		w.post(t, low, callTool)
		w.post(t, low, ping)
		eventually(t, func() bool { return len(w.events(t, "request")) == 5 })
		eventually(t, func() bool { return len(lines(t)) >= len(c.want) })
		var got []string
		for _, line := range lines(t) {
			got = append(got, fmt.Sprint(line["msg"]))
		}
		if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestSeed_S27_RS06_ElevationsCanBeTraced: what was needed and held stands in
// the event, under the id that the client was given.
func TestSeed_S27_RS06_ElevationsCanBeTraced(t *testing.T) {
	t.Parallel()
	configure, lines := securityLog(SecurityEvents{SuccessfulAuth: true})
	w := newWorld(t, configure).ready(t)
	low := w.expect(t, w.Token(rstest.Claims{"scope": "mcp:read"}), callTool, http.StatusForbidden, "insufficient_scope")
	high := w.expect(t, w.Token(rstest.Claims{"scope": "mcp:read mcp:tools"}), callTool, http.StatusOK, "")
	eventually(t, func() bool { return len(lines(t)) == 2 })
	for i, want := range []map[string]any{
		{"level": "WARN", "request_id": low.Header.Get("X-Request-Id"), "reason": "insufficient_scope", "scope_needed": "mcp:read mcp:tools", "scope_held": "mcp:read", "status": 403.0},
		{"level": "INFO", "request_id": high.Header.Get("X-Request-Id"), "status": 200.0},
	} {
		event := lines(t)[i]
		want["verb"], want["method"], want["name"], want["subject"], want["client_id"] = "POST", "tools/call", "write_note", "alice", "client"
		for name, value := range want {
			if event[name] != value {
				t.Errorf("%s is %v, want %v", name, event[name], value)
			}
		}
		if address, _ := event["remote_addr"].(string); !strings.HasPrefix(address, "127.0.0.1") {
			t.Errorf("remote_addr %v", event["remote_addr"])
		}
	}
}

func TestSeed_S27_FirstRequestWithoutTokenIsNoWarning(t *testing.T) {
	t.Parallel()
	configure, lines := securityLog(SecurityEvents{})
	w := newWorld(t, configure).ready(t)
	w.post(t, "", ping)
	w.post(t, "bad", ping)
	eventually(t, func() bool { return len(lines(t)) == 2 })
	for i, level := range []string{"INFO", "WARN"} {
		if got := lines(t)[i]["level"]; got != level {
			t.Errorf("event %d: level %v", i, got)
		}
	}
}

// TestSeed_S27_NoCredentialInAnyLog uses credentials of every kind in every
// place, well and badly, with a hook that quotes what it was given.
func TestSeed_S27_NoCredentialInAnyLog(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Authorization", "X-Api-Key"} {
		w := newWorld(t, func(w *world, cfg *Config) {
			credentials(w, cfg)
			static(w, cfg)
			cfg.AuthHeaderName = header
			cfg.SecurityEvents.SuccessfulAuth = true
			cfg.Validate = func(_ context.Context, token string) (*AccessToken, error) {
				switch {
				case strings.HasPrefix(token, "key-panic"):
					panic(errors.New("no row for " + token))
				case strings.HasPrefix(token, "key-down"):
					return nil, &Refusal{Status: 503, Code: CodeTemporarilyUnavailable, Description: "Later."}
				case strings.HasPrefix(token, "key-good"):
					return carol(), nil
				}
				return nil, fmt.Errorf("Get %q: refused", "https://db.example/?token="+token)
			}
		}).ready(t)
		used := []string{
			w.Token(), w.Token(rstest.Claims{"scope": "mcp:write"}), w.Token(rstest.Claims{"exp": 1000}), w.Token() + "x", w.Opaque(),
			robot, monitor, robot + "x", "key-panic-0123456789", "key-down-0123456789", "key-good-0123456789", "key-bad-0123456789",
		}
		for _, token := range used {
			for _, value := range []string{"Bearer " + token, token, "Basic " + token, "Bearer " + token + ", " + token, "Bearer " + token + "\"{}"} {
				w.do(t, http.MethodPost, "", callTool, func(r *http.Request) { r.Header.Set(header, value) })
			}
			w.do(t, http.MethodPost, "", "access_token="+token, func(r *http.Request) {
				r.URL.RawQuery = "access_token=" + token
				r.AddCookie(&http.Cookie{Name: "token", Value: token})
				r.Header.Set("X-Other", token)
			})
		}
		eventually(t, func() bool { return len(w.events(t, "request")) == len(used)*6 })
		log := w.log.String()
		for _, secret := range append(used, rstest.ClientSecret) {
			parts := strings.Split(secret, ".")
			if strings.Contains(log, secret) || strings.Contains(log, parts[len(parts)-1]) {
				t.Errorf("%s: %.20s is in the log", header, secret)
			}
		}
	}
}

// TestSeed_S27_OneLineWhateverTheClientSends looks at the log as a text, too.
func TestSeed_S27_OneLineWhateverTheClientSends(t *testing.T) {
	t.Parallel()
	text := &buffer{}
	w := newWorld(t, func(_ *world, cfg *Config) {
		cfg.SecurityLog = slog.New(slog.NewTextHandler(text, nil))
	}).ready(t)
	name := "a\nlevel=INFO msg=\"forged\" \u202e\x1b[31m\u2028" + strings.Repeat("ü", 5000)
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": name}})
	if err != nil {
		t.Fatal(err)
	}
	w.post(t, "", string(body))
	w.post(t, "", strings.Replace(string(body), "tools/call", `x\r\ny`+strings.Repeat("z", 5000), 1))
	eventually(t, func() bool { return len(w.events(t, "request")) == 2 })
	eventually(t, func() bool { return strings.Count(text.String(), "\n") == 2 })
	for line := range strings.SplitSeq(strings.TrimSuffix(text.String(), "\n"), "\n") {
		if !strings.HasPrefix(line, "time=") || len(line) > 2000 || !utf8.ValidString(line) || strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("line %q", line)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("tools/call", 128)
	f.Add("a\r\nb\x00\xff", 3)
	f.Add(strings.Repeat("ü", 100), 127)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 {
			return
		}
		clipped := clip(s, limit)
		if !utf8.ValidString(clipped) || len(clipped) > 3*min(len(s), limit) || strings.ContainsFunc(clipped, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("%q, %d: %q", s, limit, clipped)
		}
	})
}
