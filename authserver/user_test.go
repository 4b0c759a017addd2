package authserver_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
)

func TestCanonicalUsername(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		" Ada ": "ada", "ADA@Example.ORG": "ada@example.org", "Łukasz": "łukasz", strings.Repeat("a", 128): strings.Repeat("a", 128),
		"": "", "  ": "", "a b": "", "a\tb": "", "a\x00b": "", "a\u202eb": "", "a\u200bb": "", "a\u00a0b": "", "a\xff": "", strings.Repeat("a", 129): "",
	} {
		got, err := authserver.CanonicalUsername(typed)
		if got != want || (want == "") != errors.Is(err, authserver.ErrUsername) {
			t.Errorf("%q became %q, %v", typed, got, err)
		}
	}
}

func FuzzCanonicalUsername(f *testing.F) {
	f.Add(" Ada ")
	f.Add("İstanbul")
	f.Fuzz(func(t *testing.T, typed string) {
		name, err := authserver.CanonicalUsername(typed)
		if err != nil {
			return
		}
		if again, err := authserver.CanonicalUsername(name); err != nil || again != name {
			t.Errorf("%q became %q and then %q, %v", typed, name, again, err)
		}
	})
}

func TestNewUserID_IsAlwaysAnother(t *testing.T) {
	t.Parallel()
	if a, b := authserver.NewUserID(), authserver.NewUserID(); a == b || len(a) < 26 {
		t.Errorf("%s %s", a, b)
	}
}

func TestPasswordForTheCLI(t *testing.T) {
	t.Parallel()
	if err := authserver.CheckPassword("ada", "password"); err == nil {
		t.Error("a password that everybody has")
	}
	hash, err := authserver.HashPassword(t.Context(), goodPassword)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("%q %v", hash, err)
	}
}
