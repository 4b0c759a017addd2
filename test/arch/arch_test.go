package arch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gatehouse-mcp/gatehouse/test/arch"
)

// Every rule fails on a module that breaks it, and stays silent on one that
// comes near. The comment of each archive in testdata has lines
// "broken Rule: what is reported" and "sound Rule".
func TestRules_FailWhenBroken(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := verdicts(string(archive.Comment))
		for _, v := range verdicts {
			shown[v.rule] = shown[v.rule] || v.broken != ""
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			compare(t, verdicts, report(t, archive))
		})
	}
	for _, rule := range arch.Rules() {
		if !shown[rule.Name] {
			t.Errorf("no archive breaks the rule %s", rule.Name)
		}
	}
}

// verdict is a line of an archive's comment; broken is empty for "sound".
type verdict struct{ rule, broken string }

func verdicts(comment string) []verdict {
	var all []verdict
	for line := range strings.Lines(comment) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "broken" || word == "sound" {
			rule, broken, _ := strings.Cut(rest, ": ")
			all = append(all, verdict{rule, broken})
		}
	}
	return all
}

func compare(t *testing.T, want []verdict, reported map[string][]string) {
	t.Helper()
	for _, v := range want {
		got := reported[v.rule]
		switch {
		case v.broken != "" && !slices.Contains(got, v.broken):
			t.Errorf("%s: missing %q in\n%s", v.rule, v.broken, strings.Join(got, "\n"))
		case v.broken == "" && len(got) > 0:
			t.Errorf("%s: false alarm:\n%s", v.rule, strings.Join(got, "\n"))
		}
	}
}

// report unpacks the archive and returns what each rule says.
func report(t *testing.T, archive *txtar.Archive) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	if err := txtar.Write(archive, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		text := []byte("module " + arch.Path + "\n\ngo 1.26\n")
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := arch.Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	reported := map[string][]string{}
	for _, rule := range arch.Rules() {
		reported[rule.Name] = rule.Check(m)
	}
	return reported
}

func TestLoad_RefusesAModuleThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module " + arch.Path + "\n\ngo 1.26\n",
		"a.go":   "package a\n\nimport _ \"" + arch.Path + "/nowhere\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := arch.Load(t.Context(), dir); err == nil {
		t.Error("loaded a module with an import that leads nowhere")
	}
}
