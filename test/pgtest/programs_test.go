package pgtest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// install makes a directory with programs of the given names.
func install(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPair_TakesBothProgramsFromOneDirectory(t *testing.T) {
	t.Parallel()
	lone, both, later := install(t, "postgres"), install(t, "postgres", "initdb"), install(t, "postgres", "initdb")
	if dir, err := pair([]string{"", "relative", lone, both, later}); err != nil || dir != both {
		t.Fatalf("%s, %v, want %s", dir, err, both)
	}
}

func TestPair_SaysWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := pair([]string{install(t, "postgres"), install(t, "initdb")})
	if !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Fatalf("err = %v", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Fatalf("more than one line: %v", err)
	}
}

func TestUsable_OtherAccountsMustGetThere(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	inner := filepath.Join(closed, "open")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := usable(inner, nil); err != nil && len(inner) < maxSocketDir/2 {
		t.Errorf("own account: %v", err)
	}
	if err := usable(inner, &syscall.Credential{}); err == nil {
		t.Error("a directory below one of mode 0700 was found usable for another account")
	}
	if err := usable("/"+strings.Repeat("x", 100), nil); err == nil {
		t.Error("a path too long for a unix socket was found usable")
	}
}
