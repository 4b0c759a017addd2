package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// pedant is a store that takes text as a strict database does: UTF-8 without NUL.
type pedant struct {
	storage.Store
	refused atomic.Int64
}

func (p *pedant) check(records ...any) error {
	if text := fmt.Sprint(records...); strings.Contains(text, "\x00") || !utf8.ValidString(text) {
		p.refused.Add(1)
		return errors.New("invalid byte sequence for encoding UTF8")
	}
	return nil
}

func (p *pedant) Client(ctx context.Context, id string) (storage.Client, error) {
	if err := p.check(id); err != nil {
		return storage.Client{}, err
	}
	return p.Store.Client(ctx, id)
}

func (p *pedant) UseJTI(ctx context.Context, issuer, jti string, expiresAt, now time.Time) error {
	return errors.Join(p.check(issuer, jti), p.Store.UseJTI(ctx, issuer, jti, expiresAt, now))
}

func (p *pedant) SignInAttempt(ctx context.Context, username string, keys [][32]byte, now time.Time) (storage.SignInAttempt, error) {
	if err := p.check(username); err != nil {
		return storage.SignInAttempt{}, err
	}
	return p.Store.SignInAttempt(ctx, username, keys, now)
}

func (p *pedant) SignIn(ctx context.Context, s storage.Session, replaced, interaction [32]byte) (storage.Interaction, error) {
	if err := p.check(s); err != nil {
		return storage.Interaction{}, err
	}
	return p.Store.SignIn(ctx, s, replaced, interaction)
}

func (p *pedant) CreateInteraction(ctx context.Context, i storage.Interaction) error {
	return errors.Join(p.check(i), p.Store.CreateInteraction(ctx, i))
}

func (p *pedant) PushRequest(ctx context.Context, r storage.PushedRequest) error {
	return errors.Join(p.check(r), p.Store.PushRequest(ctx, r))
}

func (p *pedant) IssueCode(ctx context.Context, c storage.Code, interaction [32]byte) error {
	return errors.Join(p.check(c), p.Store.IssueCode(ctx, c, interaction))
}

func (p *pedant) CreateDeviceAuthorization(ctx context.Context, d storage.DeviceAuthorization) error {
	return errors.Join(p.check(d), p.Store.CreateDeviceAuthorization(ctx, d))
}

func (p *pedant) RegisterClient(ctx context.Context, c storage.Client) (storage.Client, error) {
	if err := p.check(c); err != nil {
		return storage.Client{}, err
	}
	return p.Store.RegisterClient(ctx, c)
}

func (p *pedant) CreateClient(ctx context.Context, c storage.Client) error {
	return errors.Join(p.check(c), p.Store.CreateClient(ctx, c))
}

// pedantic starts a server on such a store and expects that it had no reason to
// refuse anything.
func pedantic(t *testing.T) *world {
	t.Helper()
	p := &pedant{Store: migratedStore(t)}
	t.Cleanup(func() {
		if n := p.refused.Load(); n != 0 {
			t.Errorf("the store was brought bad text %d times", n)
		}
	})
	return newWorld(t, registering, withOperatorToken, func(c *authserver.Config) { c.Store = p })
}

// Text that no database takes is a mistake of whoever sends it, in every
// parameter of every form, and never one of the server.
func TestAttack_NULInAParameterIsNoServerError(t *testing.T) {
	t.Parallel()
	w := pedantic(t)
	w.app("app", func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, deviceGrant) })
	secret := w.client("machine", introspecting)
	ann := w.as("ann")
	token := []string{"grant_type", "client_id", "client_secret", "client_assertion", "code", "redirect_uri", "code_verifier", "refresh_token", "device_code", "scope", "resource"}
	forms := map[string][]string{
		"/oauth/token": token, "/oauth/introspect": {"token", "token_type_hint"}, "/oauth/revoke": {"token", "client_id"}, "/oauth/userinfo": {"x"},
		"/oauth/device_authorization": {"client_id", "scope", "resource"}, "/oauth/device": {"user_code"},
		"/oauth/par": {"client_id", "redirect_uri", "state", "nonce", "scope", "resource", "prompt", "login_hint", "code_challenge"},
		"/login":     {"username", "password", "interaction", "upstream", "return"}, "/consent": {"interaction", "scope", "decision"},
		"/account/disconnect": {"grant"}, "/account/narrow": {"grant", "scope"}, "/account/sessions/end": {"session"}, "/account/security/password": {"password"},
	}
	for _, bad := range []string{"a\x00b", "\x00", "a\xffb", "\xed\xa0\x80"} {
		for path, names := range forms {
			for _, name := range names {
				r := form(path, values(name, bad))
				if r.Header.Set("Origin", issuer); strings.HasPrefix(path, "/oauth/") && path != "/oauth/device" {
					r.SetBasicAuth("machine", secret)
				}
				if a := ann.send(r); a.Code != http.StatusBadRequest && a.Code != http.StatusUnauthorized {
					t.Errorf("%s %s=%q: %d %s", path, name, bad, a.Code, a.Body)
				}
			}
		}
	}
}

func TestAttack_NULInAnAuthorizationRequestIsNoServerError(t *testing.T) {
	t.Parallel()
	w := pedantic(t)
	w.app("app")
	ann := w.as("ann")
	for _, bad := range []string{"a\x00b", "\x00", "a\xffb", "\xed\xa0\x80"} {
		for _, name := range []string{"client_id", "redirect_uri", "scope", "nonce", "login_hint", "resource", "request_uri", "ui_locales"} {
			if a := ann.get("/oauth/authorize?" + ask("app", name, bad).Encode()); a.Code != http.StatusBadRequest {
				t.Errorf("authorize %s=%q: %d", name, bad, a.Code)
			}
		}
	}
}

// And so it is in credentials, headers, addresses and JSON.
func TestAttack_NULElsewhereIsNoServerError(t *testing.T) {
	t.Parallel()
	w := pedantic(t)
	w.owner("ann")
	w.app("app", func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, deviceGrant) })
	key := ecKey(t)
	w.client("keyed", keyed(keySet(t, jose.JSONWebKey{Key: key.Public(), KeyID: "k"})))
	rs := w.client("rs", introspecting)
	for _, bad := range []string{"a\x00b", "\x00", "a\xffb"} {
		for _, claim := range []string{"iss", "sub", "jti", "aud"} {
			claims := goodClaims("keyed")
			claims[claim] = bad
			if a := w.withAssertion(assert(t, jose.ES256, key, "k", claims)); a.Code >= 500 || (strings.Contains(bad, "\x00") && a.Code == http.StatusOK) {
				t.Errorf("%s=%q: %d %s", claim, bad, a.Code, a.Body)
			}
		}
		for name, a := range map[string]answer{
			"kid":               w.withAssertion(assert(t, jose.ES256, key, bad, goodClaims("keyed"))),
			"basic":             w.post("/oauth/token", bad, bad, "grant_type", "client_credentials"),
			"registration":      w.bring(http.MethodGet, "/oauth/register/a%00b", "token", ""),
			"registration UTF8": w.bring(http.MethodDelete, "/oauth/register/%ff", "token", ""),
		} {
			if a.Code != http.StatusUnauthorized {
				t.Errorf("%s %q: %d %s", name, bad, a.Code, a.Body)
			}
		}
		w.poll(t.Context(), "rs", rs, map[string]any{"receiver": bad, "ack": []string{bad}, "cursor": bad, "returnImmediately": true})
	}
	for _, member := range []string{"client_name", "client_uri", "software_id", "software_version", "scope"} {
		if a := w.register(`{"redirect_uris":["` + appURL + `"],"` + member + `":"a\u0000b"}`); a.Code >= 500 {
			t.Errorf("%s: %d %s", member, a.Code, a.Body)
		}
	}
	b := w.browser()
	agent := func(path string, pairs ...string) answer {
		r := form(path, values(pairs...))
		r.Header.Set("Origin", issuer)
		r.Header.Set("User-Agent", strings.Repeat("x", 199)+"é \xff")
		return b.send(r)
	}
	if a := agent("/login", "username", "ann", "password", goodPassword); a.Code != http.StatusSeeOther || b.cookies[sessionCookie] == "" {
		t.Errorf("sign-in: %d %s", a.Code, a.Body)
	}
	if a := agent("/oauth/device_authorization", "client_id", "app"); a.Code != http.StatusOK {
		t.Errorf("device: %d %s", a.Code, a.Body)
	}
	page := b.authorize(ask("app"), "")
	if a := agent("/consent", "interaction", page.fields().Get("interaction"), "scope", "mcp:read", "decision", "allow"); a.arrived(t, appURL).Get("code") == "" {
		t.Errorf("consent: %d %s", a.Code, a.Body)
	}
}
