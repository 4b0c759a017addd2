package resourceserver

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// apiKey configures another header for the token.
func apiKey(_ *world, cfg *Config) { cfg.AuthHeaderName = "x-api-key" }

func TestSeed_S07_AnotherHeaderWithOrWithoutScheme(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, cfg *Config) {
		apiKey(w, cfg)
		static(w, cfg)
	}).ready(t)
	seen := make(chan string, 1)
	w.handler = func(_ http.ResponseWriter, r *http.Request) {
		dump, err := json.Marshal(r.Header)
		if err != nil {
			t.Error(err)
		}
		seen <- string(dump)
	}
	for _, token := range []string{w.Token(), robot} {
		for _, value := range []string{token, "Bearer " + token, "bearer  " + token} {
			a := w.do(t, http.MethodPost, w.Token(), ping, func(r *http.Request) { r.Header.Set("X-API-Key", value) })
			if a.StatusCode != http.StatusOK {
				t.Fatalf("%.12q: %d %s", value, a.StatusCode, a.body)
			}
			if headers := <-seen; strings.Contains(headers, token) || strings.Contains(headers, "Api-Key") || strings.Contains(headers, "Authorization") {
				t.Errorf("the handler sees %s", headers)
			}
		}
	}
}

func TestSeed_S07_OnlyThatHeaderIsLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiKey).ready(t)
	a := w.expect(t, w.Token(), ping, http.StatusUnauthorized, "")
	if _, has := a.challenge(t)["error"]; has {
		t.Error("a token in Authorization was looked at")
	}
	for _, c := range []struct {
		values []string
		status int
	}{
		{[]string{"Basic YTpi"}, 401}, {[]string{w.Token(), w.Token()}, 400}, {[]string{"Bearer"}, 400}, {[]string{""}, 400},
		{[]string{w.Token() + "," + w.Token()}, 400}, {[]string{"a b c"}, 401}, {[]string{"{}"}, 400}, {[]string{"nonsense"}, 401},
		{[]string{strings.Repeat("a", maxCredentials+1)}, 400},
	} {
		a := w.do(t, http.MethodPost, w.Token(), ping, func(r *http.Request) { r.Header["X-Api-Key"] = c.values })
		if a.StatusCode != c.status {
			t.Errorf("%.20q: %d, want %d", c.values, a.StatusCode, c.status)
		}
		if c.status == 400 && !strings.Contains(a.body, "The X-Api-Key header must be exactly one bearer token.") {
			t.Errorf("body %s", a.body)
		}
	}
}

func TestSeed_S07_New_RefusesHeadersThatMeanSomethingElse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Host", "cookie", "Content-Type", "content-length", "Transfer-Encoding", "Origin", "Proxy-Authorization", "X-Forwarded-For", "Forwarded",
		"Mcp-Session-Id", "MCP-Protocol-Version", "Accept", "Sec-Fetch-Mode", "Access-Control-Request-Method", "DPoP", "X-Request-Id", "Last-Event-ID",
		"X Api Key", "X-Api-Key:", "X-Api-Key\r\n", "X-Äpi", " ",
	} {
		if _, err := New(t.Context(), Config{Resource: "https://h/mcp", Issuer: "http://localhost:1", AuthHeaderName: name}); err == nil {
			t.Errorf("%q: accepted", name)
		}
	}
	for _, name := range []string{"", "authorization", "X-Api-Key", "x_auth_token"} {
		if _, err := New(t.Context(), Config{Resource: "https://h/mcp", Issuer: "http://localhost:1", AuthHeaderName: name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSeed_S07_TokensElsewhereAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiKey).ready(t)
	for _, edit := range []func(*http.Request){
		func(r *http.Request) { r.URL.RawQuery = "x-api-key=" + w.Token() },
		func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "X-Api-Key", Value: w.Token()}) },
		func(r *http.Request) { r.Header["X_Api_Key"] = []string{w.Token()} },
		func(r *http.Request) { r.Trailer = http.Header{"X-Api-Key": {w.Token()}} },
	} {
		if a := w.do(t, http.MethodPost, "", ping, edit); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%d", a.StatusCode)
		}
	}
}
