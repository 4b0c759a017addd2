package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func decodeSegment(s string) string {
	decoded, _ := base64.RawURLEncoding.DecodeString(s)
	return string(decoded)
}

// gatehouse runs the program in this process.
func gatehouse(t *testing.T, env map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	getenv := func(name string) string { return env[name] }
	err := run(t.Context(), args, getenv, strings.NewReader(""), &out, &errs)
	code = report(&errs, err)
	return out.String(), errs.String(), code
}

func TestRun_ExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, test := range []struct {
		code int
		args []string
	}{
		{0, nil},
		{0, []string{"--help"}},
		{0, []string{"client", "create", "--help"}},
		{0, []string{"version"}},
		{2, []string{"nonsense"}},
		{2, []string{"client"}},
		{2, []string{"client", "show"}},
		{2, []string{"version", "--log-level", "loud"}},
		{2, []string{"revoke"}},
		{2, []string{"revoke", "--all", "--user", "x"}},
		{2, []string{"serve"}},
		{2, []string{"token"}},
		{2, []string{"dev", "--issuer-addr", "example.com:80"}},
		{1, []string{"client", "list", "--data", dir}},
		{1, []string{"config", "check", dir + "/missing.yaml"}},
	} {
		stdout, stderr, code := gatehouse(t, map[string]string{"GATEHOUSE_DATA": dir}, test.args...)
		if code != test.code {
			t.Errorf("%q: exit code %d, want %d\n%s%s", test.args, code, test.code, stdout, stderr)
		}
		if lines := strings.Count(stderr, "\n"); code != 0 && (lines != 1 || !strings.HasPrefix(stderr, "gatehouse: ") || stdout != "") {
			t.Errorf("%q: want one line on stderr and nothing on stdout, got\n%s%s", test.args, stdout, stderr)
		}
	}
}

// The environment is the one given, not the process's; the command line comes
// first and an empty variable is none.
func TestRun_Environment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{map[string]string{"DATABASE_URL": "mysql://x"}, nil, "must begin with postgres://"},
		{map[string]string{"DATABASE_URL": "mysql://x"}, []string{"--database-url", "sqlite:/nowhere/at/all.db"}, "no store at /nowhere/at/all.db"},
		{map[string]string{"DATABASE_URL": "", "GATEHOUSE_DATA": "/nowhere"}, nil, "no store at /nowhere/gatehouse.db"},
		{nil, nil, "no store at ./.gatehouse/gatehouse.db"},
	} {
		_, stderr, code := gatehouse(t, test.env, append([]string{"client", "list"}, test.args...)...)
		if code == 0 || !strings.Contains(strings.ReplaceAll(stderr, "at .gatehouse", "at ./.gatehouse"), test.want) {
			t.Errorf("%v %q: %s", test.env, test.args, stderr)
		}
	}
}

func TestReport_OneLineWithoutSecrets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	code := report(&out, errors.Join(errors.New("first"), fmt.Errorf("second: %w", usageError{errors.New("third")})))
	if want := "gatehouse: first second: third\n"; out.String() != want || code != 2 {
		t.Errorf("%q, code %d", out.String(), code)
	}
}

func TestSealKeys(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{0xfb}, 32)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		keys, err := parseSealKeys(" " + encoding.EncodeToString(key) + "\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n")
		if err != nil || len(keys) != 2 || !bytes.Equal(keys[0], key) {
			t.Errorf("%v, %v", keys, err)
		}
	}
	for _, text := range []string{"", "  \n", "secret-but-short", base64.StdEncoding.EncodeToString(make([]byte, 31)), "!" + strings.Repeat("A", 42)} {
		if _, err := parseSealKeys(text); err == nil || text != "" && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDerivedSecret_SameForSameKeyAndName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, key := range []string{"a", "b"} {
		for _, name := range []string{"x", "y"} {
			first, err := derivedSecret([]byte(strings.Repeat(key, 32)), name)
			second, _ := derivedSecret([]byte(strings.Repeat(key, 32)), name)
			if err != nil || first != second || seen[first] || len(first) != 47 || !strings.HasPrefix(first, "ghs_") {
				t.Errorf("%q %q %v", first, second, err)
			}
			seen[first] = true
		}
	}
}

func TestKeyStates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	key := func(active time.Duration, retired bool) storage.Key {
		k := storage.Key{ActivateAt: now.Add(active)}
		if retired {
			k.RetiredAt = now
		}
		return k
	}
	got := keyStates([]storage.Key{key(-3*time.Hour, false), key(-2*time.Hour, false), key(-time.Hour, true), key(time.Hour, false)}, now)
	if want := "[verifying signing retired published]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestTokenRevocation_IsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	payload := fmt.Sprintf(`{"sub":"s","jti":"j","client_id":"c","aud":"a","exp":%d}`, now.Add(1000*time.Hour).Unix())
	event, err := tokenRevocation("x."+base64.RawURLEncoding.EncodeToString([]byte(payload))+".y", nil, now)
	if err != nil || event.Target != "j" || event.ExpiresAt.After(now.Add(25*time.Hour)) {
		t.Errorf("%+v, %v", event, err)
	}
	payload = fmt.Sprintf(`{"sub":"s","jti":"j","client_id":"c","aud":"a","exp":%d}`, now.Add(-time.Hour).Unix())
	if _, err := tokenRevocation("x."+base64.RawURLEncoding.EncodeToString([]byte(payload))+".y", nil, now); err == nil {
		t.Error("an expired token has nothing to revoke")
	}
}

func TestShellVariables_Quote(t *testing.T) {
	t.Parallel()
	got := shellVariables([]variable{{"A", "plain"}, {"B", `it's $HOME "x"`}})
	if want := "A='plain'\nB='it'\\''s $HOME \"x\"'\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlace_FlagBeforeSettings(t *testing.T) {
	t.Parallel()
	s := settings.Settings{Database: settings.Database{Postgres: "postgres://db/x", MaxConns: 7}}
	for _, test := range []struct {
		url  string
		want place
	}{
		{"", place{postgres: "postgres://db/x", maxConns: 7}},
		{"sqlite:f.db", place{sqlite: "f.db"}},
		{"postgresql://other/y", place{postgres: "postgresql://other/y", maxConns: 7}},
	} {
		got, err := globals{DatabaseURL: test.url}.place(s)
		if err != nil || got != test.want {
			t.Errorf("%q: %+v, %v", test.url, got, err)
		}
	}
	if _, err := (globals{DatabaseURL: "sqlite:"}).place(s); err == nil {
		t.Error("a path is required")
	}
}
