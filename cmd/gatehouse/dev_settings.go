package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/notes"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// devSettings are those of gatehouse dev, and of every command without a
// settings file: the defaults with the scopes of the notebook. Issuer and
// resource are not known before dev has its ports.
func devSettings() settings.Settings {
	s := settings.Defaults()
	s.ResourceServer.ResourceName = "Gatehouse notebook"
	s.Scopes = map[string]settings.Scope{}
	for _, e := range notes.Scopes() {
		s.Scopes[e.Name] = settings.Scope{Description: e.Description, Sensitive: e.Sensitive, Implies: e.Implies}
	}
	return s
}

// weaken relaxes what gets in the way of trying things out on one machine;
// teach lists it.
func weaken(s *settings.Settings) {
	s.Registration.CIMD.AllowLoopback = true
	s.Registration.DCR.PerAddress *= 100
	s.RateLimits.RequestsPerMinute *= 100
	s.RateLimits.DocumentsPerHour *= 100
	for _, limit := range []*int{&s.ResourceServer.RateLimits.PerAddress, &s.ResourceServer.RateLimits.PerPrincipal} {
		if *limit > 0 {
			*limit *= 100
		}
	}
	s.ResourceServer.LocalhostOnly = true // dev listens for nobody else either
}

// variable is one line of an env file.
type variable struct{ name, value string }

// shellVariables quotes values for a POSIX shell; set -a; . FILE reads them.
func shellVariables(values []variable) string {
	var text strings.Builder
	for _, v := range values {
		fmt.Fprintf(&text, "%s=%s\n", v.name, shellQuote(v.value))
	}
	return text.String()
}

// shellQuote puts s in single quotes, inside which only they are special.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// teach tells a person what runs, what to try, and what is not safe about it.
func (d *development) teach(w io.Writer) {
	fmt.Fprintf(w, `
Gatehouse is ready.
  authorization server  %s
  MCP endpoint          %s
Addresses and credentials are in %s. In another terminal:
  set -a; . %s
  gatehouse token                                  # an access token
  gatehouse introspect "$(gatehouse token)"        # what it says
  gatehouse call tools/list                        # use it
Give an MCP client the address %s and sign in as %s with the
password in that file.

!! NOT FOR PRODUCTION: plain HTTP without TLS, so cookies without Secure; demo clients
!! with every MCP scope, a demo account and a token for the admin API, which can revoke
!! everything; anyone who can read %s has their secrets; clients may describe themselves from this machine (metadata documents and
!! keys on loopback), register and call a hundred times as often, and come by plain http
!! from this machine even where https is required; the key that seals private keys lies
!! beside the data. Only this machine can connect. See gatehouse serve.

`, d.settings.Issuer, d.settings.Audience(), d.envFile, sourced(d.envFile), d.settings.Audience(), d.values[len(d.values)-2].value, d.envFile)
}

// sourced is the argument with which a shell's dot command reads path: without
// a slash it would look for the name in PATH.
func sourced(path string) string {
	if !strings.Contains(path, "/") {
		path = "./" + path
	}
	return shellWord(path)
}

// shellWord quotes s only when it needs it.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-") == "" && s != "" {
		return s
	}
	return shellQuote(s)
}
