// Package test checks the repository as a whole: the rules of the house, that
// resourceserver is a library for others, and that one command installs the
// binary. The folders below test the servers from outside.
package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/test/arch"
)

// The rules of the house hold for this repository.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	m, err := arch.Load(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range arch.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			for _, line := range rule.Check(m) {
				t.Error(line)
			}
		})
	}
}

// Another module imports resourceserver without learning of the authorization
// server: it builds with nothing but our module file, and links no fosite, no
// driver and no SQL.
func TestResourceServer_IsALibrary(t *testing.T) {
	t.Parallel()
	dir := importer(t)
	goCommand(t, dir, "build", "-o", filepath.Join(dir, "importer"), ".")
	linked := goCommand(t, dir, "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", ".")
	for path := range strings.FieldsSeq(linked) {
		if slices.Contains(arch.Strangers(), path) {
			t.Errorf("an importer of resourceserver links %s", path)
		}
	}
}

// importer writes a module that imports resourceserver from this tree, with
// the same versions of everything, and returns its folder.
func importer(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	var ours struct {
		Go      string
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal([]byte(goCommand(t, root, "mod", "edit", "-json")), &ours); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mod := "module example.com/importer\n\ngo " + ours.Go + "\n\nrequire " + arch.Path + " v0.0.0\n"
	mod += "replace " + arch.Path + " => " + root + "\n"
	for _, r := range ours.Require {
		mod += "require " + r.Path + " " + r.Version + " // indirect\n"
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  mod,
		"go.sum":  string(sums),
		"main.go": "package main\n\nimport _ \"" + arch.Path + "/resourceserver\"\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// One command installs the binary.
func TestBinary_GoInstall(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "install", "-buildvcs=false", "./cmd/gatehouse")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOBIN="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "gatehouse"), "version").CombinedOutput(); err != nil {
		t.Errorf("gatehouse version: %v: %s", err, out)
	}
}

// goCommand runs the go command in dir, away from every network, and returns
// what it prints on stdout.
func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=off", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
