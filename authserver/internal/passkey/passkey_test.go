package passkey_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey/passkeytest"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	host   = "as.example"
	origin = "https://as.example"
)

var (
	errJudge = errors.New("judged wrong")
	ada      = storage.User{ID: "user-1", Username: "ada"}
	first    = []byte(strings.Repeat("1", 32))
	second   = []byte(strings.Repeat("2", 32))
)

// only takes one challenge.
func only(want []byte) func([]byte) error {
	return func(challenge []byte) error {
		if !bytes.Equal(challenge, want) {
			return errJudge
		}
		return nil
	}
}

func party(t *testing.T) *passkey.RelyingParty {
	t.Helper()
	p, err := passkey.New(host, "Gatehouse", origin)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// register gives ada a passkey, after change.
func register(t *testing.T, p *passkey.RelyingParty, a *passkeytest.Authenticator) (storage.Passkey, error) {
	t.Helper()
	options, err := p.CreationOptions(ada, nil, first)
	if err != nil {
		t.Fatal(err)
	}
	credential, err := a.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	return p.Register(credential, ada, time.Unix(1, 0), only(first))
}

// use signs in with a passkey that is kept as key.
func use(t *testing.T, p *passkey.RelyingParty, a *passkeytest.Authenticator, key storage.Passkey) (storage.User, storage.Passkey, error) {
	t.Helper()
	options, err := p.RequestOptions(second)
	if err != nil {
		t.Fatal(err)
	}
	credential, err := a.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	return p.Assert(credential, only(second), func(id string) (storage.User, []storage.Passkey, error) {
		if id != ada.ID {
			return storage.User{}, nil, storage.ErrNotFound
		}
		return ada, []storage.Passkey{{ID: []byte("another")}, key}, nil
	})
}

func authenticator(t *testing.T) *passkeytest.Authenticator {
	t.Helper()
	a, err := passkeytest.New(host, origin)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPasskey_WebAuthn_7_RegistersAndSignsIn(t *testing.T) {
	t.Parallel()
	p, a := party(t), authenticator(t)
	a.Counter = 5
	key, err := register(t, p, a)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(key.ID, a.ID()) || key.UserID != ada.ID || key.SignCount != 5 || len(key.AAGUID) != 16 || len(key.PublicKey) == 0 || len(key.Transports) != 1 {
		t.Errorf("registered %+v", key)
	}
	user, used, err := use(t, p, a, key)
	if err != nil || user.ID != ada.ID || used.SignCount != 6 || !bytes.Equal(used.ID, key.ID) {
		t.Errorf("used %+v %+v %v", user, used, err)
	}
}

func TestPasskey_OptionsAskForTheRightThing(t *testing.T) {
	t.Parallel()
	p := party(t)
	creation, err := p.CreationOptions(ada, []storage.Passkey{{ID: []byte("another")}}, first)
	if err != nil {
		t.Fatal(err)
	}
	request, err := p.RequestOptions(second)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"id":"as.example"`, `"residentKey":"required"`, `"userVerification":"required"`, `"attestation":"none"`, `"excludeCredentials":[{`} {
		if !strings.Contains(creation, part) {
			t.Errorf("%s lacks %s", creation, part)
		}
	}
	if !strings.Contains(request, `"userVerification":"required"`) || strings.Contains(request, "allowCredentials") || !strings.Contains(request, `"rpId":"as.example"`) {
		t.Errorf("request %s", request)
	}
}

func TestPasskey_WebAuthn_7_1_WrongRegistrationsAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*passkeytest.Authenticator){
		"origin":       func(a *passkeytest.Authenticator) { a.Origin = "https://evil.example" },
		"port":         func(a *passkeytest.Authenticator) { a.Origin = "https://as.example:8443" },
		"plain http":   func(a *passkeytest.Authenticator) { a.Origin = "http://as.example" },
		"host":         func(a *passkeytest.Authenticator) { a.Host = "evil.example" },
		"unverified":   func(a *passkeytest.Authenticator) { a.Unverified = true },
		"in a frame":   func(a *passkeytest.Authenticator) { a.Embedded = true },
		"subdomain":    func(a *passkeytest.Authenticator) { a.Origin = "https://x.as.example" },
		"parent as id": func(a *passkeytest.Authenticator) { a.Host = "example" },
	} {
		a := authenticator(t)
		change(a)
		if key, err := register(t, party(t), a); !errors.Is(err, passkey.ErrRefused) || key.ID != nil {
			t.Errorf("%s: %+v %v", name, key, err)
		}
	}
}

func TestPasskey_WebAuthn_7_2_WrongUsesAreRefused(t *testing.T) {
	t.Parallel()
	p := party(t)
	for name, test := range map[string]struct {
		change func(*passkeytest.Authenticator)
		want   error
	}{
		"origin":       {func(a *passkeytest.Authenticator) { a.Origin = "https://evil.example" }, passkey.ErrRefused},
		"host":         {func(a *passkeytest.Authenticator) { a.Host = "evil.example" }, passkey.ErrRefused},
		"unverified":   {func(a *passkeytest.Authenticator) { a.Unverified = true }, passkey.ErrRefused},
		"in a frame":   {func(a *passkeytest.Authenticator) { a.Embedded = true }, passkey.ErrRefused},
		"no user":      {func(a *passkeytest.Authenticator) { a.UserHandle = nil }, storage.ErrNotFound},
		"unknown user": {func(a *passkeytest.Authenticator) { a.UserHandle = []byte("user-2") }, storage.ErrNotFound},
		"counter back": {func(a *passkeytest.Authenticator) { a.Counter = 1 }, passkey.ErrCloned},
	} {
		a := authenticator(t)
		a.Counter = 5
		key, err := register(t, p, a)
		if err != nil {
			t.Fatal(err)
		}
		test.change(a)
		if _, _, err := use(t, p, a, key); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	mine, theirs := authenticator(t), authenticator(t)
	key, err := register(t, p, mine)
	if err != nil {
		t.Fatal(err)
	}
	theirs.UserHandle = []byte(ada.ID)
	if _, _, err := use(t, p, theirs, key); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("a passkey that is not the user's: %v", err)
	}
}

func TestPasskey_ChallengesAreJudgedByTheCaller(t *testing.T) {
	t.Parallel()
	p, a := party(t), authenticator(t)
	options, err := p.CreationOptions(ada, nil, second)
	if err != nil {
		t.Fatal(err)
	}
	credential, err := a.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Register(credential, ada, time.Now(), only(first)); !errors.Is(err, errJudge) {
		t.Errorf("a foreign challenge: %v", err)
	}
	// An answer to one ceremony is none to the other.
	if _, _, err := p.Assert(credential, only(second), nil); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("a registration as a sign-in: %v", err)
	}
	for _, broken := range []string{"", "{}", "null", "[]", credential + "x", strings.Repeat(" ", 40<<10)} {
		if _, err := p.Register(broken, ada, time.Now(), only(first)); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%.20q: %v", broken, err)
		}
		if _, _, err := p.Assert(broken, only(first), nil); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%.20q: %v", broken, err)
		}
	}
}

func TestPossible_WebAuthn_5_1_2_DomainsOnly(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"as.example": true, "localhost": true, "127.0.0.1": false, "::1": false, "": false} {
		if passkey.Possible(name) != want {
			t.Errorf("%q", name)
		}
	}
}
