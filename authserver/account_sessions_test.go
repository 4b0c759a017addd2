package authserver_test

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// session stores a session of user and returns the browser that has it.
func (w *world) session(user string, change func(*storage.Session)) *browser {
	w.t.Helper()
	cookie, now := rand.Text(), time.Now()
	s := storage.Session{
		Hash: sha256.Sum256([]byte(cookie)), UserID: user, Methods: []string{"pwd"}, UserAgent: firefox, Address: "192.0.2.7",
		AuthTime: now, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(24 * time.Hour),
	}
	change(&s)
	if _, err := w.store.SignIn(w.t.Context(), s, [32]byte{}, [32]byte{}); err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	b.cookies[sessionCookie] = cookie
	return b
}

// signedIn reports whether the browser's session is in force.
func (b *browser) signedIn() bool {
	b.t.Helper()
	return b.get("/account").Code == http.StatusOK
}

func TestAccount_Sessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada")
	here := w.session("ada", func(*storage.Session) {})
	phone := w.session("ada", func(s *storage.Session) {
		s.UserAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
		s.LastSeenAt = s.LastSeenAt.Add(-time.Hour)
	})
	old := w.session("ada", func(s *storage.Session) { s.LastSeenAt = s.LastSeenAt.Add(-2 * time.Hour) })
	bob := w.as("bob")

	a := here.get("/account/sessions")
	if a.Code != http.StatusOK || !a.has("Firefox on Linux", "Safari on iPhone", "192.0.2.7", "This browser", "Sign out everywhere else") {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	ids := a.hidden("session")
	if len(ids) != 3 || strings.Count(a.Body.String(), "This browser") != 1 {
		t.Fatalf("%v", ids)
	}
	if a := bob.submit("/account/sessions/end", "session", ids[0]); a.Code != http.StatusNotFound || !phone.signedIn() {
		t.Errorf("bob ended ada's session: %d", a.Code)
	}
	for _, id := range []string{"", "unknown", strings.Repeat("y", 5000)} {
		if a := here.submit("/account/sessions/end", "session", id); a.Code != http.StatusNotFound || !a.has("gone already") {
			t.Errorf("%.10q: %d", id, a.Code)
		}
	}
	if a := here.did("/account/sessions/end", "session", ids[0]); !a.has("That browser is signed out.") || phone.signedIn() || !old.signedIn() {
		t.Error("the wrong one ended")
	}
	if a := here.did("/account/sessions/end", "session", "others"); !a.has("All other browsers are signed out.") || old.signedIn() || !here.signedIn() || !bob.signedIn() {
		t.Error("others")
	}
	if log := w.logs.String(); !strings.Contains(log, "session ended") || !strings.Contains(log, "other sessions ended") || strings.Contains(log, ids[0]) {
		t.Error("the security log")
	}
}

// What a browser says about itself is told in our words, whatever it says.
func TestAccount_Sessions_HostileUserAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada")
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0":              "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                      "Safari on macOS",
		"Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                             "Chrome on ChromeOS",
		"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0 Mobile/15E148 Safari/604.1":              "Chrome on iPad",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0":              "Opera on Windows",
		"curl/8.14.1":                     "curl",
		"claude-code/2.1.0 (cli) Linux":   "claude-code on Linux",
		"":                                "An unknown browser",
		"Mozilla/5.0":                     "An unknown browser",
		"Mozilla/5.0 (X11; Linux x86_64)": "A program on Linux",
		"<script>alert(1)</script>":       "An unknown browser",
		"\u202eFirefox":                   "An unknown browser",
		"Your account is locked, call me": "Your",
		strings.Repeat("A", 1<<16):        "An unknown browser",
		strings.Repeat("x", 300) + " Firefox/1 Linux": "An unknown browser",
	} {
		cookies := w.session("ada", func(s *storage.Session) { s.UserAgent = agent })
		a := cookies.get("/account/sessions")
		if !a.has("<bdi>"+want+"</bdi>") || a.has("<script>alert", "locked") || a.has(strings.Repeat("A", 100)) {
			t.Errorf("%.40q is not %q: %s", agent, want, a.Body)
		}
		cookies.did("/account/sessions/end", "session", "others")
	}
}
