package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func limited(requests, documents int) func(*authserver.Config) {
	return func(c *authserver.Config) {
		c.RateLimits = authserver.RateLimits{RequestsPerMinute: requests, DocumentsPerHour: documents}
	}
}

// asked sends the authorization request from an address.
func (w *world) asked(from string, request request) answer {
	r := formGet("/oauth/authorize?" + request.Encode())
	r.RemoteAddr = from
	return w.do(r)
}

// wantSlowed fails unless a, whose error code is code, asks to wait half a
// minute.
func wantSlowed(t *testing.T, what string, a answer, code string) {
	t.Helper()
	if a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") != "30" || a.str("error") != code {
		t.Errorf("%s: %d %v %s", what, a.Code, a.Header(), a.Body)
	}
}

// OAuth 2.1 §3.1, RFC 9126 §2, RFC 8628 §3.1: what strangers leave in the store
// is bounded by address, all kinds together; what is refused spends nothing.
func TestFlood_RequestsPerAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, limited(2, 0))
		w.app("app")
		w.app("tv", onDevices)
		const from, elsewhere = "[2001:db8::1]:1", "[2001:db8:0:1::1]:1"
		sent := func(path string, request request) answer {
			r := form(path, request.Values)
			r.RemoteAddr = "[2001:db8::2]:2" // the same network
			return w.do(r)
		}
		pushed := sent("/oauth/par", ask("app"))
		for range 2 {
			if a := w.asked(from, ask("app")); a.Code != http.StatusSeeOther {
				t.Fatalf("authorize: %d %s", a.Code, a.Body)
			}
		}
		device := request{values("client_id", "tv"), ""}
		if a := sent("/oauth/device_authorization", device); pushed.Code != http.StatusCreated || a.Code != http.StatusOK {
			t.Fatalf("push: %d, device: %d", pushed.Code, a.Code)
		}
		for path, a := range map[string]answer{
			"/oauth/par": sent("/oauth/par", ask("app")), "/oauth/device_authorization": sent("/oauth/device_authorization", device),
		} {
			wantSlowed(t, path, a, "temporarily_unavailable")
		}
		page := w.asked(from, reference("app", pushed))
		wantSlowed(t, "page", page, "")
		if !page.has("Wait a moment") || page.Header().Get("Location") != "" {
			t.Errorf("page: %d %v %s", page.Code, page.Header(), page.Body)
		}
		if a := w.asked(elsewhere, ask("app")); a.Code != http.StatusSeeOther {
			t.Errorf("another network: %d", a.Code)
		}
		<-time.After(30 * time.Second)
		if a := w.asked(from, reference("app", pushed)); a.Code != http.StatusSeeOther {
			t.Errorf("half a minute later, the same pushed request: %d %s", a.Code, a.Body)
		}
		if a := w.asked(from, ask("app")); a.Code != http.StatusTooManyRequests {
			t.Errorf("and one more: %d", a.Code)
		}
	})
}

// RFC 9126 §2: a client that the operator knows, and that proves to be it, is no
// stranger; one that registered itself is, secret or not.
func TestFlood_OperatorsClientsAreNotLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limited(1, 0))
	for _, test := range []struct {
		id      string
		how     storage.Registration
		limited bool
	}{{"known", storage.RegisteredByOperator, false}, {"stranger", storage.RegisteredDynamically, true}} {
		secret := w.client(test.id, func(c *storage.Client) {
			c.GrantTypes, c.RedirectURIs, c.Registration = []string{"authorization_code"}, []string{appURL}, test.how
		})
		var last answer
		for range 3 {
			request := ask(test.id)
			request.Del("client_id")
			r := form("/oauth/par", request.Values)
			r.SetBasicAuth(test.id, secret)
			last = w.do(r)
		}
		if (last.Code == http.StatusTooManyRequests) != test.limited || !test.limited && last.Code != http.StatusCreated {
			t.Errorf("%s: %d %s", test.id, last.Code, last.Body)
		}
	}
}

// AS-20: an address makes this server fetch a number of documents in an hour;
// those that are known here, or were just refused, cost nothing.
func TestFlood_AS20_DocumentsPerAddress(t *testing.T) {
	t.Parallel()
	p, store := newPublisher(t), migratedStore(t)
	same := func(c *authserver.Config) { c.Store = store }
	w := newWorld(t, documents, same, limited(1000, 2))
	first, third := p.publish("/first.json"), p.publish("/third.json")
	const from, elsewhere = "192.0.2.1:1", "192.0.2.2:1"
	for range 3 {
		if a := w.asked(from, ask(first)); a.Code != http.StatusSeeOther {
			t.Fatalf("first: %d %s", a.Code, a.Body)
		}
		if a := w.asked(from, ask(p.URL+"/absent.json")); a.Code != http.StatusBadRequest {
			t.Fatalf("absent: %d %s", a.Code, a.Body)
		}
	}
	if a := w.asked(from, ask(third)); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") == "" || p.fetched("/third.json") != 0 {
		t.Errorf("third: %d %v, %d fetches", a.Code, a.Header(), p.fetched("/third.json"))
	}
	r := form("/oauth/token", values("grant_type", "authorization_code", "code", "x", "client_id", third))
	r.RemoteAddr = from
	if a := w.do(r); a.Code != http.StatusTooManyRequests || a.str("error") != "temporarily_unavailable" {
		t.Errorf("at the token endpoint: %d %s", a.Code, a.Body)
	}
	if a := w.asked(elsewhere, ask(third)); a.Code != http.StatusSeeOther {
		t.Errorf("another address: %d %s", a.Code, a.Body)
	}
	replica := newWorld(t, documents, same, limited(1000, 1))
	replica.asked(from, ask(p.URL+"/absent.json"))
	if a := replica.asked(from, ask(first)); a.Code != http.StatusSeeOther {
		t.Errorf("a known one at a replica: %d %s", a.Code, a.Body)
	}
	w.stale(first, time.Hour)
	before := p.fetched("/first.json")
	again := newWorld(t, documents, same, limited(1000, 1))
	again.asked(from, ask(p.URL+"/absent.json"))
	if a := again.asked(from, ask(first)); a.Code != http.StatusSeeOther || p.fetched("/first.json") != before+1 {
		t.Errorf("a known one that is not fresh: %d %s", a.Code, a.Body)
	}
}

// RFC 8628 §5.1: a refused try neither counts nor puts off the next good one.
func TestDevice_RFC8628_5_1_RefusedTriesDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("tv", onDevices)
		ada := w.as("ada")
		ada.mistypes(strings.Fields(strings.Repeat("BBBB-BBBB ", 10))...)
		for _, wait := range []string{"600", "360", "120"} {
			for range 40 { // would use up the address, too
				if a := ada.enter("BBBB-BBBB"); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") != wait {
					t.Fatalf("%d %q, want %s", a.Code, a.Header().Get("Retry-After"), wait)
				}
			}
			w.browser().mistypes("BBBB-BBBB")
			<-time.After(4 * time.Minute)
		}
		if a := ada.enter(w.device("tv").str("user_code")); a.Code != http.StatusOK {
			t.Errorf("ten minutes after the last try that counted: %d %s", a.Code, a.Body)
		}
	})
}
