package authserver_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// onDevices makes a client one of devices.
func onDevices(c *storage.Client) {
	c.GrantTypes, c.RedirectURIs = []string{deviceGrant, "refresh_token"}, nil
}

// device begins the request of a device.
func (w *world) device(clientID string, pairs ...string) answer {
	w.t.Helper()
	a := w.do(form("/oauth/device_authorization", values(append([]string{"client_id", clientID}, pairs...)...)))
	if a.Code != http.StatusOK {
		w.t.Fatalf("device_authorization: %d %s", a.Code, a.Body)
	}
	return a
}

// redeemDevice asks for the tokens of a device.
func (w *world) redeemDevice(clientID, deviceCode string) answer {
	w.t.Helper()
	return w.do(form("/oauth/token", values("grant_type", deviceGrant, "client_id", clientID, "device_code", deviceCode)))
}

// polls expects what the device is told.
func (w *world) polls(deviceCode, want string) {
	w.t.Helper()
	if a := w.redeemDevice("tv", deviceCode); a.Code != http.StatusBadRequest || a.str("error") != want {
		w.t.Errorf("poll: %d %s, want %s", a.Code, a.Body, want)
	}
}

// enter types a user code and goes on to the next page.
func (b *browser) enter(userCode string) answer {
	b.t.Helper()
	return b.follow(b.submit("/oauth/device", "user_code", userCode), "")
}

// mistypes types codes that are wrong.
func (b *browser) mistypes(codes ...string) {
	b.t.Helper()
	for _, code := range codes {
		if a := b.enter(code); a.Code != http.StatusBadRequest {
			b.t.Fatalf("%q: %d %s", code, a.Code, a.Body)
		}
	}
}

var userCodePattern = regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`)

func TestDevice_RFC8628_3_Flow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("tv", onDevices)
		ada := w.as("ada")
		begun := w.device("tv", "scope", "mcp:read openid")
		code := begun.str("user_code")
		if !userCodePattern.MatchString(code) || len(begun.str("device_code")) < 43 || begun.json["expires_in"] != 600.0 || begun.json["interval"] != 5.0 ||
			begun.str("verification_uri") != issuer+"/oauth/device" || begun.str("verification_uri_complete") != issuer+"/oauth/device?user_code="+code {
			t.Fatalf("device_authorization: %s", begun.Body)
		}
		w.polls(begun.str("device_code"), "authorization_pending")
		if page := ada.get("/oauth/device?user_code=" + code); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), `value="`+code+`"`) {
			t.Fatalf("the link: %d %s", page.Code, page.Body)
		}
		consent := ada.enter(code)
		if !strings.Contains(consent.Body.String(), code) { // §5.4: to compare with the device
			t.Errorf("consent page without user code: %s", consent.Body)
		}
		if done := ada.decide(consent, "allow"); done.Code != http.StatusOK || !strings.Contains(done.Body.String(), "go back to your device") {
			t.Fatalf("decision: %d %s", done.Code, done.Body)
		}
		<-time.After(5 * time.Second)
		tokens := w.redeemDevice("tv", begun.str("device_code"))
		if tokens.Code != http.StatusOK || tokens.str("scope") != "mcp:read offline_access openid" || tokens.str("id_token") == "" {
			t.Fatalf("tokens: %d %s", tokens.Code, tokens.Body)
		}
		claims := decodeSegment(t, strings.Split(tokens.str("access_token"), ".")[1])
		if claims["sub"] != "ada" || claims["client_id"] != "tv" || claims["aud"] != notesURL || claims["grant"] == nil {
			t.Errorf("claims: %v", claims)
		}
		if a := w.refresh("tv", tokens.str("refresh_token")); a.Code != http.StatusOK {
			t.Errorf("refresh: %d %s", a.Code, a.Body)
		}
		<-time.After(5 * time.Second)
		w.polls(begun.str("device_code"), "invalid_grant")
	})
}

// Every answer a device can get before it has tokens.
func TestDevice_RFC8628_3_5_Errors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("tv", onDevices)
		w.app("other", onDevices)
		w.app("app")
		ada := w.as("ada")
		denied, expiring, theirs := w.device("tv"), w.device("tv"), w.device("other")
		if a := ada.decide(ada.enter(denied.str("user_code")), "deny"); a.Code != http.StatusOK || !strings.Contains(a.Body.String(), "not connected") {
			t.Errorf("denied: %d %s", a.Code, a.Body)
		}
		w.polls(denied.str("device_code"), "access_denied")
		w.polls(theirs.str("device_code"), "invalid_grant")
		w.polls("unknown", "invalid_grant")
		w.polls("", "invalid_request")
		if a := w.redeemDevice("app", expiring.str("device_code")); a.str("error") != "unauthorized_client" {
			t.Errorf("client without the grant: %d %s", a.Code, a.Body)
		}
		<-time.After(10 * time.Minute)
		w.polls(expiring.str("device_code"), "expired_token")
		if a := ada.enter(expiring.str("user_code")); a.Code != http.StatusBadRequest || !strings.Contains(a.Body.String(), "expire") {
			t.Errorf("expired user code: %d %s", a.Code, a.Body)
		}
	})
}

// A device that polls too fast is told so, and waits longer from then on.
func TestDevice_RFC8628_3_5_SlowDownGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("tv", onDevices)
		code := w.device("tv").str("device_code")
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{0, "authorization_pending"}, {5 * time.Second, "authorization_pending"},
			{4 * time.Second, "slow_down"}, // 10 s now
			{9 * time.Second, "slow_down"}, // 15 s now
			{15 * time.Second, "authorization_pending"}, {15 * time.Second, "authorization_pending"},
		} {
			<-time.After(step.after)
			w.polls(code, step.want)
		}
	})
}

// A user code is compared without case and separators; what cannot be one is
// not looked up, and none is guessed: each browser and each address has a
// number of tries, also for codes that are right (RFC 8628 §5.1).
func TestDevice_RFC8628_5_1_GuessingIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("tv", onDevices)
		ada := w.as("ada")
		code := w.device("tv").str("user_code")
		ada.mistypes("", "BCDF", "BCDF-GHJKL", "BCDF-GHJA", "BCDF-GHJ1", "ＢＣＤＦ-GHJK") // no tries
		ada.mistypes(slices.Repeat([]string{"BBBB-BBBB"}, 9)...)
		if a := ada.enter(strings.ToLower(strings.ReplaceAll(code, "-", " "))); a.Code != http.StatusOK || !strings.Contains(a.Body.String(), `value="allow"`) {
			t.Fatalf("right code, tenth try: %d %s", a.Code, a.Body)
		}
		if a := ada.enter(code); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") == "" {
			t.Errorf("eleventh try: %d %s", a.Code, a.Body)
		}
		for range 90 { // with no cookies each time
			w.browser().enter("BBBB-BBBB")
		}
		if a := w.browser().enter(code); a.Code != http.StatusTooManyRequests {
			t.Errorf("a new browser at the same address: %d", a.Code)
		}
		elsewhere := form("/oauth/device", values("user_code", code))
		elsewhere.RemoteAddr = "[2001:db8::1]:4711"
		if a := w.do(elsewhere); a.Code != http.StatusSeeOther {
			t.Errorf("another address: %d %s", a.Code, a.Body)
		}
		<-time.After(10 * time.Minute)
		if a := ada.enter(w.device("tv").str("user_code")); a.Code != http.StatusOK {
			t.Errorf("after a pause: %d", a.Code)
		}
	})
}

// Two people with the code of one device: the first decision stands.
func TestDevice_RFC8628_3_3_DecidedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("tv", onDevices)
	ada, eve := w.as("ada"), w.as("eve")
	begun := w.device("tv")
	hers, theirs := ada.enter(begun.str("user_code")), eve.enter(begun.str("user_code"))
	if a := ada.decide(hers, "allow"); a.Code != http.StatusOK {
		t.Fatalf("first: %d %s", a.Code, a.Body)
	}
	for name, a := range map[string]answer{"second person": eve.decide(theirs, "allow"), "same page again": ada.decide(hers, "deny")} {
		if a.Code != http.StatusBadRequest || !strings.Contains(a.Body.String(), "start again") {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	if a := eve.enter(begun.str("user_code")); a.Code != http.StatusBadRequest || !strings.Contains(a.Body.String(), "used already") {
		t.Errorf("used code: %d %s", a.Code, a.Body)
	}
	tokens := w.redeemDevice("tv", begun.str("device_code"))
	if tokens.Code != http.StatusOK || decodeSegment(t, strings.Split(tokens.str("access_token"), ".")[1])["sub"] != "ada" {
		t.Errorf("tokens: %d %s", tokens.Code, tokens.Body)
	}
}

// Consent is asked each time, of somebody who is signed in, in the browser in
// which the code was typed, on a form of ours.
func TestDevice_RFC8628_5_4_ConsentIsAlwaysAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("tv", onDevices)
	ada, stranger := w.as("ada"), w.browser()
	for range 2 {
		if a := ada.decide(ada.enter(w.device("tv").str("user_code")), "allow"); a.Code != http.StatusOK {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	}
	code := w.device("tv").str("user_code")
	login := stranger.enter(code)
	at, _ := url.Parse(login.Header().Get("Location"))
	if login.Code != http.StatusSeeOther || at.Path != "/login" {
		t.Fatalf("nobody is signed in: %d %v", login.Code, login.Header())
	}
	if a := ada.get("/consent?" + at.RawQuery); a.Code != http.StatusBadRequest {
		t.Errorf("an interaction of another browser: %d", a.Code)
	}
	foreign := form("/oauth/device", values("user_code", code))
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	if a := ada.send(foreign); a.Code != http.StatusForbidden {
		t.Errorf("a form of another site: %d", a.Code)
	}
}

// A device stays connected only if the person lets it, and gets no more than
// they allow.
func TestDevice_RFC8628_3_3_PersonMayNarrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("tv", onDevices)
	ada := w.as("ada")
	begun := w.device("tv", "scope", "mcp:read mcp:tools")
	ada.decide(ada.enter(begun.str("user_code")), "allow", "offline_access", "off", "mcp:tools", "off")
	tokens := w.redeemDevice("tv", begun.str("device_code"))
	if tokens.Code != http.StatusOK || tokens.str("scope") != "mcp:read" || tokens.str("refresh_token") != "" {
		t.Errorf("tokens: %d %s", tokens.Code, tokens.Body)
	}
}

// The device authorization endpoint refuses what the token endpoint would.
func TestDevice_RFC8628_3_1_Refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("tv", onDevices)
	w.app("app")
	w.client("web", onDevices)
	for name, test := range map[string]struct {
		form url.Values
		code string
	}{
		"no client":          {values("scope", "mcp:read"), "invalid_client"},
		"unknown client":     {values("client_id", "nobody"), "invalid_client"},
		"no secret":          {values("client_id", "web"), "invalid_client"},
		"without the grant":  {values("client_id", "app"), "unauthorized_client"},
		"malformed scope":    {values("client_id", "tv", "scope", `"`), "invalid_scope"},
		"unknown scope":      {values("client_id", "tv", "scope", "nothing"), "invalid_scope"},
		"foreign resource":   {values("client_id", "tv", "resource", "https://elsewhere.example/"), "invalid_target"},
		"repeated parameter": {values("client_id", "tv", "scope", "a", "scope", "b"), "invalid_request"},
	} {
		if a := w.do(form("/oauth/device_authorization", test.form)); a.str("error") != test.code || a.str("user_code") != "" {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
}

// Tokens of an opaque resource are stored in the step that hands them out.
func TestDevice_RFC8628_3_5_OpaqueToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Tokens.RefreshOnlyOffline = true })
	w.app("tv", onDevices, func(c *storage.Client) { c.Resources = []string{rootURL} })
	rs := w.client("rs", introspecting, func(c *storage.Client) { c.Resources = []string{rootURL} })
	ada := w.as("ada")
	begun := w.device("tv", "scope", "mcp:read")
	ada.decide(ada.enter(begun.str("user_code")), "allow")
	tokens := w.redeemDevice("tv", begun.str("device_code"))
	if !strings.HasPrefix(tokens.str("access_token"), "gha_") || !w.active("rs", rs, tokens.str("access_token")) || tokens.str("refresh_token") != "" {
		t.Errorf("tokens: %d %s", tokens.Code, tokens.Body)
	}
}
