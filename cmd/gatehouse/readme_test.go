package main

import (
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// The README's settings are ones that serve accepts.
func TestReadme_SettingsAreValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	example, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README shows no settings")
	}
	_, problems := settings.Decode([]byte(example))
	for _, problem := range problems {
		t.Error(problem)
	}
}
