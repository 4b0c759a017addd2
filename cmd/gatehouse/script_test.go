package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScript runs the dialogues of testdata/script against the real program.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TMPDIR", env.WorkDir+"/tmp")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // one second per command otherwise
			return os.MkdirAll(env.WorkDir+"/tmp", 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfile":    waitFile,
			"waithealthy": waitHealthy,
			"freeports":   freePorts,
			"expand":      expand,
			"source":      sourceFile,
			"capture":     capture,
			"member":      member,
			"keypair":     keyPair,
		},
	})
}

// waitFile waits until a file exists.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	await(ts, args[0]+" appears", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// await asks again and again, for a minute at most.
func await(ts *testscript.TestScript, what string, happened func() bool) {
	limit := time.After(time.Minute)
	for !happened() {
		select {
		case <-limit:
			ts.Fatalf("waited in vain: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// waitHealthy waits until a URL answers with success.
func waitHealthy(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, args[0]+" answers", func() bool { return answersOK(context.Background(), args[0]) })
}

// freePorts puts ports that are free on 127.0.0.1 and ::1 into variables.
func freePorts(ts *testscript.TestScript, _ bool, args []string) {
	var taken []net.Listener
	defer func() { closeAll(taken) }() // all at the end, so that no port comes twice
	for _, name := range args {
		listeners, port, err := listen(context.Background(), "localhost:0")
		ts.Check(err)
		taken = append(taken, listeners...)
		ts.Setenv(name, strconv.Itoa(port))
	}
}

// expand replaces $VARIABLES in a file.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// sourceFile reads an env file as a shell would, and sets ISSUER_ADDR and
// RESOURCE_ADDR to the addresses in it.
func sourceFile(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, "'")
		ts.Setenv(name, value)
		if u, err := url.Parse(value); err == nil && (name == "ISSUER" || name == "RESOURCE") {
			ts.Setenv(name+"_ADDR", u.Host)
		}
	}
}

// capture puts stdout of the last command into a variable.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// member puts a member of the JSON object on stdout into a variable.
func member(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	value, ok := object[args[0]].(string)
	if !ok {
		ts.Fatalf("there is no text %q in it", args[0])
	}
	ts.Setenv(args[1], value)
}

// keyPair writes private.json and public.json, a P-256 key and its JWK set.
func keyPair(ts *testscript.TestScript, _ bool, _ []string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	key := jose.JSONWebKey{Key: private, KeyID: "k1", Algorithm: "ES256", Use: "sig"}
	for path, value := range map[string]any{
		"private.json": key, "public.json": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}},
		"secret.json": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}},
	} {
		text, err := json.Marshal(value)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(path), text, 0o600))
	}
}
