package cimd

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"code.dny.dev/ssrf"
)

// host is a web server on loopback that says what it is told to.
type host struct {
	*httptest.Server
	hits atomic.Int64
}

func newHost(t *testing.T, answer http.HandlerFunc) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.hits.Add(1)
		answer(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) fetcher() *Fetcher {
	return New(Config{AllowLoopback: true, RootCAs: h.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
}

func sends(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, body)
	}
}

// AS-18, AS-21: which client_ids are looked at, of those that any host could have.
func TestCheckID_AS18(t *testing.T) {
	t.Parallel()
	f := New(Config{DeniedHosts: []string{"denied.example", ".below.example"}})
	for id, good := range map[string]bool{
		"https://app.example/client.json":                  true,
		"https://app.example:443/c":                        true,
		"https://app.example/c?a=b":                        true,
		"https://app.example/a.b/..c/d":                    true,
		"https://chatgpt.com/oauth/x1/client.json":         true,
		"https://app.example":                              false,
		"https://app.example/":                             false,
		"https://app.example/a/../b":                       false,
		"https://app.example/./b":                          false,
		"https://app.example/%2e%2E/b":                     false,
		"https://app.example/a/.":                          false,
		"https://app.example/c#":                           false,
		"https://app.example/c#x":                          false,
		"https://u@app.example/c":                          false,
		"https://u:p@app.example/c":                        false,
		"https://app.example:8443/c":                       false,
		"https://app.example:/c":                           false,
		"http://app.example/c":                             false,
		"HTTPS://app.example/c":                            false,
		"https://93.184.216.34/c":                          false,
		"https://[2606:2800:220:1::1]/c":                   false,
		"https://127.0.0.1/c":                              false,
		"https://localhost/c":                              false,
		"http://localhost/c":                               false,
		"https://intranet/c":                               false,
		"https://app.example./c":                           false,
		"https://denied.example/c":                         false,
		"https://Denied.Example/c":                         false,
		"https://a.below.example/c":                        false,
		"https://below.example/c":                          true,
		"https://app.example/ c":                           false,
		"https://app.example\\@evil.example/c":             false,
		"https://app.example/" + strings.Repeat("x", 1024): false,
		"ftp://app.example/c":                              false,
		"":                                                 false,
	} {
		if err := f.CheckID(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// AS-23: an allow list is the only ones; a deny list holds for keys and logos,
// too, which an allow list does not.
func TestCheckID_AS23_HostPolicy(t *testing.T) {
	t.Parallel()
	f := New(Config{AllowedHosts: []string{"app.example", ".apps.example"}, DeniedHosts: []string{"bad.apps.example"}})
	for id, good := range map[string]bool{
		"https://app.example/c": true, "https://APP.example/c": true, "https://x.apps.example/c": true, "https://apps.example/c": false,
		"https://bad.apps.example/c": false, "https://evilapp.example/c": false, "https://app.example.evil/c": false, "https://other.example/c": false,
	} {
		if err := f.CheckID(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := f.address("https://keys.example/jwks"); err != nil {
		t.Errorf("keys at another host: %v", err)
	}
	if _, err := f.address("https://bad.apps.example/jwks"); err == nil {
		t.Error("keys at a denied host")
	}
}

// AS-21: where a name leads is decided when it is dialled, so that it does not
// matter what the DNS said before. Nothing special is ever dialled, and loopback
// only for a URL that says so.
func TestFetch_AS21_DialledAddress(t *testing.T) {
	t.Parallel()
	h := newHost(t, sends("application/json", `{}`))
	_, port, err := net.SplitHostPort(h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	public := New(Config{AllowLoopback: true}).public
	for _, address := range []string{
		"127.0.0.1:" + port, "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "10.0.0.1", "172.16.0.1", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "[64:ff9b::7f00:1]", "[fd00::1]", "[fe80::1]", "[2002:7f00:1::]", "[::ffff:10.0.0.1]", "224.0.0.1", "255.255.255.255",
	} {
		response, err := public.Get("https://" + address + "/")
		if err == nil {
			_ = response.Body.Close()
		}
		if !errors.Is(err, ssrf.ErrProhibitedIP) && !errors.Is(err, ssrf.ErrProhibitedPort) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := loopbackOnly("tcp4", "93.184.216.34:443", nil); err == nil {
		t.Error("a loopback URL leads to a public address")
	}
	if h.hits.Load() != 0 {
		t.Error("the host was reached")
	}
	strict := New(Config{})
	for _, raw := range []string{h.URL + "/c", "http://localhost/c", "https://[::1]/c"} {
		if _, err := strict.get(t.Context(), raw, "", 10); err == nil {
			t.Errorf("%s was fetched", raw)
		}
	}
}

// AS-19: one request, one answer of 200 with JSON and of bounded size.
func TestFetch_AS19_Answers(t *testing.T) {
	t.Parallel()
	var h *host
	h = newHost(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/good", "/kin":
			if r.URL.Path == "/kin" {
				w.Header().Set("Content-Type", "application/cimd+json; charset=utf-8")
			}
			if r.Header.Get("Accept") != "application/json" || r.Header.Get("Cookie") != "" {
				t.Errorf("request: %v", r.Header)
			}
			fmt.Fprint(w, `{"client_id":"`+h.URL+r.URL.Path+`","client_name":"A","redirect_uris":["https://a.example/cb"]}`)
		case "/redirect":
			http.Redirect(w, r, "/good", http.StatusFound)
		case "/html":
			w.Header().Set("Content-Type", "text/html")
		case "/untyped":
			w.Header()["Content-Type"] = nil
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case "/error":
			w.WriteHeader(http.StatusInternalServerError)
		case "/created":
			w.WriteHeader(http.StatusCreated)
		case "/large":
			fmt.Fprint(w, `{"x":"`+strings.Repeat("x", maxDocument)+`"}`)
		case "/header":
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{`)
		default:
			http.NotFound(w, r)
		}
	})
	f := h.fetcher()
	for _, path := range []string{"/good", "/kin"} {
		if m, fresh, err := f.Document(t.Context(), h.URL+path); err != nil || m.Name != "A" || m.AuthMethod != "none" || fresh != time.Hour {
			t.Errorf("%s: %+v, %v, %v", path, m, fresh, err)
		}
	}
	before := h.hits.Load()
	bad := []string{"/redirect", "/html", "/untyped", "/gzip", "/error", "/created", "/large", "/header", "/cut", "/absent"}
	for _, path := range bad {
		if _, _, err := f.Document(t.Context(), h.URL+path); err == nil {
			t.Errorf("%s is accepted", path)
		}
	}
	if requests := h.hits.Load() - before; requests != int64(len(bad)) {
		t.Errorf("%d requests for %d documents: something was followed or repeated", requests, len(bad))
	}
	if _, _, err := New(Config{AllowLoopback: true}).Document(t.Context(), h.URL+"/good"); err == nil {
		t.Error("a certificate that nobody signed is accepted")
	}
}

// A host that never comes to an end is left, whatever it trickles.
func TestFetch_AS20_SlowHost(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	f := h.fetcher()
	if f.public.Timeout != Timeout || f.inside.Timeout != Timeout {
		t.Fatal("fetches are not bounded in time")
	}
	f.inside.Timeout = 50 * time.Millisecond
	if _, _, err := f.Document(t.Context(), h.URL+"/slow"); err == nil {
		t.Error("half a document is accepted")
	}
	<-left
}

// Logos are pictures by their content, whatever their host calls them.
func TestLogo_BySniffing(t *testing.T) {
	t.Parallel()
	const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	for body, want := range map[string]string{
		png: "image/png", "\xff\xd8\xff\xe0": "image/jpeg", "RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
		`<svg xmlns="http://www.w3.org/2000/svg"/>`: "", "<html>": "", "GIF89a": "", "": "", png + strings.Repeat("x", maxLogo): "",
	} {
		h := newHost(t, sends("image/svg+xml", body))
		picture, mediaType, err := h.fetcher().Logo(t.Context(), h.URL+"/logo")
		if mediaType != want || (err == nil) != (want != "") || (want != "" && string(picture) != body) {
			t.Errorf("%.20q: %q, %v", body, mediaType, err)
		}
	}
}

// AS-20: what the host says about freshness counts within bounds (RFC 9111 §4.2).
func TestFreshness_AS20(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		name  string
		pairs []string
		want  time.Duration
	}{
		{"nothing", nil, time.Hour},
		{"max-age", []string{"Cache-Control", "public, max-age=7200"}, 2 * time.Hour},
		{"quoted", []string{"Cache-Control", `Max-Age="600"`}, 10 * time.Minute},
		{"age", []string{"Cache-Control", "max-age=7200", "Age", "3600"}, time.Hour},
		{"a second", []string{"Cache-Control", "max-age=1"}, time.Minute},
		{"a year", []string{"Cache-Control", "max-age=31536000, immutable"}, 24 * time.Hour},
		{"too much", []string{"Cache-Control", "max-age=99999999999999999999"}, 24 * time.Hour},
		{"nonsense", []string{"Cache-Control", "max-age=-x"}, time.Minute},
		{"no-store", []string{"Cache-Control", "max-age=7200", "Cache-Control", "no-store"}, time.Minute},
		{"no-cache", []string{"Cache-Control", "no-cache"}, time.Minute},
		{"expires", []string{"Expires", now.Add(3 * time.Hour).UTC().Format(http.TimeFormat)}, 3 * time.Hour},
		{"expired", []string{"Expires", "0"}, time.Minute},
		{"max-age before expires", []string{"Expires", "0", "Cache-Control", "max-age=600"}, 10 * time.Minute},
	} {
		h := http.Header{}
		for i := 0; i < len(test.pairs); i += 2 {
			h.Add(test.pairs[i], test.pairs[i+1])
		}
		if got := freshness(h, now); (got - test.want).Abs() > time.Second {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
