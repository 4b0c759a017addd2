package resourceserver

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

func TestJWKS_ForgedTokensFetchNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	before := w.Requests(rstest.JWKSPath)
	other := rstest.NewIssuer(t, w.resource)
	for i := range 50 {
		claims := rstest.Claims{"iss": w.URL, "jti": strconv.Itoa(i)}
		w.expect(t, other.Sign(map[string]any{"kid": w.KeyID()}, other.Claims(claims)), ping, http.StatusUnauthorized, "invalid_token")
	}
	if n := w.Requests(rstest.JWKSPath) - before; n != 0 {
		t.Errorf("a known kid caused %d fetches", n)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		token := other.Sign(map[string]any{"kid": "k" + strconv.Itoa(i)}, other.Claims(rstest.Claims{"iss": w.URL}))
		wg.Go(func() { w.expect(t, token, ping, http.StatusUnauthorized, "invalid_token") })
	}
	wg.Wait()
	if n := w.Requests(rstest.JWKSPath) - before; n != 1 {
		t.Errorf("50 unknown kids caused %d fetches, want 1", n)
	}
}

func TestJWKS_NewKeyIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	w.RotateKey()
	w.expect(t, w.Token(), ping, http.StatusOK, "")
}

func TestJWKS_WithdrawnKeyIsRefusedAfterTheInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.KeyRefresh = 20 * time.Millisecond }).ready(t)
	kept, fresh := w.Token(), w.Token()
	w.expect(t, kept, ping, http.StatusOK, "")
	w.RotateKey()
	fetched := w.Requests(rstest.JWKSPath)
	eventually(t, func() bool { return w.Requests(rstest.JWKSPath) > fetched+1 })
	w.expect(t, fresh, ping, http.StatusUnauthorized, "invalid_token")
	w.expect(t, kept, ping, http.StatusUnauthorized, "invalid_token")
}

// An issuer that publishes no usable key is broken or in the middle of an
// emergency: no token is accepted, and none is called invalid.
func TestJWKS_EmptySetIsAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.KeyRefresh = 20 * time.Millisecond }).ready(t)
	kept, fresh := w.Token(), w.Token()
	w.expect(t, kept, ping, http.StatusOK, "")
	restore := w.WithdrawKeys()
	eventually(t, func() bool { return w.server.Ready(t.Context()) != nil })
	for name, token := range map[string]string{"cached": kept, "fresh": fresh} {
		if a := w.post(t, token, ping); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	restore()
	w.ready(t)
	w.expect(t, kept, ping, http.StatusOK, "")
}

func TestJWKS_UnknownAndMalformedKeysAreSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, _ *Config) {
		for _, key := range []string{
			`{"kty":"XYZ","kid":"a"}`, `{"kty":"EC","crv":"P-999","kid":"b"}`, `{"kty":"EC"}`, `{"kid":"c"}`, `5`, `"x"`,
			`{"kty":"oct","kid":"sym","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I"}`,
			`{"kty":"EC","crv":"P-256","kid":"enc","use":"enc","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`,
			`{"kty":"RSA","kid":"d","n":"","e":""}`, `{"kty":"OKP","crv":"X25519","kid":"e","x":"AA"}`,
		} {
			w.Publish(key)
		}
	}).ready(t)
	w.expect(t, w.Token(), ping, http.StatusOK, "")
	for _, kid := range []string{"sym", "enc"} {
		if keys := w.server.keys.current.Load().keys[kid]; keys != nil {
			t.Errorf("%s key was taken: %v", kid, keys)
		}
	}
}

func TestJWKS_AlgOfTheKeyIsBinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	ring := w.server.keys.current.Load()
	for kid, keys := range ring.keys {
		keys[0].Algorithm = string(jose.ES384)
		ring.keys[kid] = keys
	}
	w.expect(t, w.Token(), ping, http.StatusUnauthorized, "invalid_token")
}

func TestJWKS_KeysAreNotTrustedForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, cfg *Config) { cfg.KeyRefresh = time.Hour }).ready(t)
	w.Fail(rstest.JWKSPath, true)
	w.advance(maxKeyAge + time.Second)
	a := w.post(t, w.Token(rstest.Claims{"iat": w.now().Unix(), "exp": w.now().Unix() + 60}), ping)
	if a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", a.StatusCode)
	}
}

func TestOutage_NoKeysIs503AndHealsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, _ *Config) { w.Fail(rstest.MetadataPath, true) })
	a := w.post(t, w.Token(), ping)
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	if err := w.server.Ready(t.Context()); err == nil {
		t.Error("ready without keys")
	}
	w.expect(t, "", ping, http.StatusUnauthorized, "") // nothing to verify
	w.Fail(rstest.MetadataPath, false)
	w.ready(t)
	w.expect(t, w.Token(), ping, http.StatusOK, "")
}

func TestOutage_UnknownKeyCannotBeJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil).ready(t)
	good := w.Token()
	w.RotateKey()
	w.Fail(rstest.JWKSPath, true)
	for range 2 { // the second one is not allowed to fetch
		if a := w.post(t, w.Token(), ping); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("status %d", a.StatusCode)
		}
	}
	w.expect(t, good, ping, http.StatusOK, "")
}

func TestDiscovery_WellKnownForms(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant",
		"/tenant/.well-known/openid-configuration", "/tenant/.well-known/oauth-authorization-server",
	} {
		mux := http.NewServeMux()
		as := httptest.NewServer(mux)
		t.Cleanup(as.Close)
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"` + as.URL + `/tenant","jwks_uri":"` + as.URL + `/jwks"}`))
		})
		d := newDiscovery(newIssuerClient(nil), Config{Issuer: as.URL + "/tenant"})
		if err := d.load(t.Context()); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if m, err := d.endpoints(); err != nil || m.JWKSURI != as.URL+"/jwks" || m.EventsEndpoint != as.URL+"/tenant/oauth/events" {
			t.Errorf("%+v %v", m, err)
		}
	}
}

func TestDiscovery_RFC8414_3_3_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		member string
		value  any
	}{
		"another issuer":         {"issuer", "http://localhost"},
		"keys over plain http":   {"jwks_uri", "http://as.example/jwks"},
		"keys from a file":       {"jwks_uri", "file:///etc/passwd"},
		"no keys":                {"jwks_uri", ""},
		"events over plain http": {"gatehouse_events_endpoint", "http://as.example/e"},
		"not a string":           {"introspection_endpoint", 5},
		"too long":               {"x", string(make([]byte, maxDocument))},
	} {
		issuer := rstest.NewIssuer(t, "http://localhost/mcp")
		issuer.SetMetadata(c.member, c.value)
		d := newDiscovery(newIssuerClient(nil), Config{Issuer: issuer.URL})
		if err := d.load(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	https := newDiscovery(newIssuerClient(nil), Config{Issuer: "https://as.example"})
	if https.check(metadata{Issuer: "https://as.example", JWKSURI: "http://127.0.0.1/jwks"}) == nil {
		t.Error("a public issuer sends us to loopback")
	}
}

func TestDiscovery_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	target := rstest.NewIssuer(t, "http://localhost/mcp")
	as := httptest.NewServer(http.RedirectHandler(target.URL+rstest.MetadataPath, http.StatusFound))
	defer as.Close()
	d := newDiscovery(newIssuerClient(as.Client()), Config{Issuer: as.URL})
	if err := d.load(t.Context()); err == nil || target.Requests(rstest.MetadataPath) != 0 {
		t.Errorf("followed: %v", err)
	}
}
