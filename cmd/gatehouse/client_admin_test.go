package main

import (
	"strings"
	"testing"
)

// A client that may administer could get no token otherwise, which its operator
// had better learn before the emergency.
func TestClientCreate_AdministratorsGetTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, stderr, code := gatehouse(t, nil, "migrate", "up", "--data", dir); code != 0 {
		t.Fatal(stderr)
	}
	file := write(t, dir, "gatehouse.yaml", "issuer: https://auth.example.com\nresources: [{identifier: https://mcp.example.com/mcp}]\n", 0o600)
	const admin = "https://auth.example.com/admin/api"
	for _, test := range []struct {
		args []string
		code int
		said string
	}{
		{[]string{"--grant", "client_credentials", "--resource", admin}, 0, ""},
		{[]string{"--grant", "client_credentials", "--resource", "https://mcp.example.com/mcp"}, 2, "--resource " + admin},
		{[]string{"--grant", "authorization_code", "--redirect-uri", "https://a.example/cb", "--resource", admin}, 2, "--grant client_credentials"},
	} {
		args := append([]string{"client", "create", "--config", file, "--data", dir, "--scope", "gatehouse:admin"}, test.args...)
		if stdout, stderr, code := gatehouse(t, nil, args...); code != test.code || !strings.Contains(stderr, test.said) {
			t.Errorf("%q: %d %s%s", test.args, code, stdout, stderr)
		}
	}
}
