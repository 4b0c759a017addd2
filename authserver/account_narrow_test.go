package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// Taking a permission away ends the tokens that have it; the app refreshes in the
// same moment and goes on with less.
func TestAccount_Narrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app("app")
		rs := w.client("rs", introspecting)
		ada := w.as("ada")
		first := ada.connect(ask("app", "scope", "mcp:read mcp:tools mcp:write"), "")
		id := ada.grants()[0]
		<-time.After(300 * time.Millisecond)
		a := ada.did("/account/narrow", "grant", id, "scope", "mcp:read", "scope", "mcp:admin")
		if !a.has("The app may do less now.", "1 permission<") {
			t.Error(a.Body)
		}
		second := w.refresh("app", first.str("refresh_token"))
		if w.active("rs", rs, first.str("access_token")) || !w.active("rs", rs, second.str("access_token")) || second.str("scope") != "mcp:read" {
			t.Errorf("%d %s", second.Code, second.Body)
		}
		if wider := w.refresh("app", second.str("refresh_token"), "scope", "mcp:read mcp:write"); wider.str("error") != "invalid_scope" {
			t.Errorf("%d %s", wider.Code, wider.Body)
		}
		if !strings.Contains(w.logs.String(), "grant narrowed") {
			t.Error("the security log")
		}
	})
}

func TestAccount_Narrow_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", func(c *storage.Client) { c.Scopes = append(c.Scopes, "mcp:admin") })
	rs := w.client("rs", introspecting)
	ada := w.as("ada")
	tokens := ada.connect(ask("app", "scope", "openid mcp:read mcp:tools"), "")
	id := ada.grants()[0]
	for what, pairs := range map[string][]string{
		"nothing":           nil,
		"identity only":     {"scope", "openid"},
		"what it never had": {"scope", "mcp:write"},
	} {
		a := ada.submit("/account/narrow", append(pairs, "grant", id)...)
		if a.Code != http.StatusUnprocessableEntity || !a.has("disconnect the app", "<h1>Connected apps</h1>") {
			t.Errorf("%s: %d %s", what, a.Code, a.Body)
		}
	}
	if a := ada.did("/account/narrow", "grant", id, "scope", "mcp:read", "scope", "mcp:tools"); !a.has("Nothing was changed.") {
		t.Error(a.Body)
	}
	if !w.active("rs", rs, tokens.str("access_token")) {
		t.Error("the token ended all the same")
	}
}

// What a kept permission includes cannot be taken away alone.
func TestAccount_Narrow_Included(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app", func(c *storage.Client) { c.Scopes = append(c.Scopes, "mcp:admin") })
	ada := w.as("ada")
	request := ask("app", "scope", "mcp:read mcp:admin")
	ada.exchange(request, ada.decide(ada.authorize(request, ""), "allow", "mcp:admin", "on").arrived(t, appURL).Get("code"))
	id := ada.grants()[0]
	if a := ada.submit("/account/narrow", "grant", id, "scope", "mcp:admin"); a.Code != http.StatusUnprocessableEntity || !a.has("includes one that you took away") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if a := ada.did("/account/narrow", "grant", id, "scope", "mcp:read"); !a.has("The app may do less now.") {
		t.Error(a.Body)
	}
}

// Nobody touches the grant of somebody else, however its id was found.
func TestAccount_Grants_OfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	rs := w.client("rs", introspecting)
	ada, eve := w.as("ada"), w.as("eve")
	tokens := ada.connect(ask("app", "scope", "mcp:read mcp:tools"), "")
	id := ada.grants()[0]
	hostile := []string{id, "", "unknown", strings.Repeat("x", 4000), "../" + id, "'; DROP TABLE token_grant; --"}
	for _, path := range []string{"/account/disconnect", "/account/narrow", "/account/restore"} {
		for _, grant := range hostile {
			if a := eve.submit(path, "grant", grant, "scope", "mcp:read"); a.Code != http.StatusNotFound || !a.has("<h1>Connected apps</h1>") {
				t.Errorf("%s %.20q: %d %s", path, grant, a.Code, a.Body)
			}
		}
	}
	if !w.active("rs", rs, tokens.str("access_token")) || w.refresh("app", tokens.str("refresh_token")).str("scope") != "mcp:read mcp:tools" {
		t.Error("it worked")
	}
	ada.did("/account/disconnect", "grant", id)
	if a := eve.get("/account?disconnected=" + id); a.has("Undo") {
		t.Error("eve sees what ada disconnected")
	}
	if a := eve.submit("/account/restore", "grant", id); a.Code != http.StatusNotFound {
		t.Errorf("restore: %d", a.Code)
	}
	if w.refresh("app", tokens.str("refresh_token")).Code == http.StatusOK {
		t.Error("eve connected it again")
	}
}
