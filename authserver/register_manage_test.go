package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const webApp = `{"client_name":"Web app","redirect_uris":["` + appURL + `"],"token_endpoint_auth_method":"client_secret_basic"}`

// RFC 7592: a client with a secret reads, changes and deletes itself, and nobody
// else does.
func TestRegistration_RFC7592_LifeCycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	rs := w.client("rs", introspecting)
	a := w.register(webApp)
	id, secret, token := a.str("client_id"), a.str("client_secret"), a.str("registration_access_token")
	at, ours := strings.CutPrefix(a.str("registration_client_uri"), issuer)
	if a.Code != http.StatusCreated || secret == "" || token == "" || !ours || at != "/oauth/register/"+id {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	read := w.bring(http.MethodGet, at, token, "")
	if read.Code != http.StatusOK || read.str("client_name") != "Web app" || read.str("client_secret") != "" || read.str("registration_client_uri") == "" {
		t.Errorf("read: %d %s", read.Code, read.Body)
	}
	change := func(body string) answer {
		return w.bring(http.MethodPut, at, token, strings.ReplaceAll(body, "ID", id))
	}
	for name, body := range map[string]string{
		"no client_id":        `{"redirect_uris":["` + appURL + `"]}`,
		"another client_id":   `{"client_id":"rs","redirect_uris":["` + appURL + `"]}`,
		"a secret of its own": `{"client_id":"ID","client_secret":"chosen","redirect_uris":["` + appURL + `"]}`,
		"bad redirect":        `{"client_id":"ID","redirect_uris":["myapp:/cb"]}`,
		"for itself":          `{"client_id":"ID","grant_types":["client_credentials"]}`,
	} {
		if a := change(body); a.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	changed := change(`{"client_id":"ID","client_secret":"` + secret + `","client_name":"New name","redirect_uris":["` + appURL + `"]}`)
	if changed.Code != http.StatusOK || changed.str("client_name") != "New name" || changed.str("token_endpoint_auth_method") != "client_secret_basic" || changed.str("client_secret") != "" {
		t.Errorf("change: %d %s", changed.Code, changed.Body)
	}
	request := ask(id)
	b := w.as("ann")
	code := b.code(request, "")
	if a := w.exchange(request, code); a.Code != http.StatusUnauthorized {
		t.Errorf("the client has become public: %d", a.Code)
	}
	tokens := w.exchange(request, code, "client_secret", secret)
	if tokens.Code != http.StatusOK || !w.active("rs", rs, tokens.str("access_token")) {
		t.Fatalf("%d %s", tokens.Code, tokens.Body)
	}
	if a := w.bring(http.MethodDelete, at, token, ""); a.Code != http.StatusNoContent || a.Body.Len() != 0 {
		t.Errorf("delete: %d %s", a.Code, a.Body)
	}
	if a := w.refresh(id, tokens.str("refresh_token"), "client_secret", secret); a.str("error") != "invalid_client" {
		t.Errorf("refresh of a deleted client: %d %s", a.Code, a.Body)
	}
	eventually(t, "its tokens are revoked", func() bool { return !w.active("rs", rs, tokens.str("access_token")) })
	if a := w.bring(http.MethodGet, at, token, ""); a.Code != http.StatusUnauthorized {
		t.Errorf("read of a deleted client: %d", a.Code)
	}
}

// RFC 7592 §2.1: a wrong token and an unknown client have one answer; public and
// operators' clients can be changed by nobody.
func TestRegistration_RFC7592_2_1_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	w.client("operators")
	public := w.register(`{"redirect_uris":["` + appURL + `"]}`).str("client_id")
	one, other := w.register(webApp), w.register(webApp)
	if one.str("client_id") == other.str("client_id") {
		t.Fatal("two secrets for one client")
	}
	disabled := w.register(webApp)
	w.changeClient(disabled.str("client_id"), func(c *storage.Client) { c.Disabled = true })
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		for name, request := range map[string][2]string{
			"unknown client":      {"nobody", one.str("registration_access_token")},
			"operator's client":   {"operators", one.str("registration_access_token")},
			"public client":       {public, one.str("registration_access_token")},
			"token of another":    {other.str("client_id"), one.str("registration_access_token")},
			"secret as token":     {one.str("client_id"), one.str("client_secret")},
			"no token":            {one.str("client_id"), ""},
			"disabled client":     {disabled.str("client_id"), disabled.str("registration_access_token")},
			"NUL in the path":     {"a%00b", one.str("registration_access_token")},
			"very long client_id": {strings.Repeat("x", 5000), one.str("registration_access_token")},
		} {
			a := w.bring(method, "/oauth/register/"+request[0], request[1], `{"client_id":"`+public+`","redirect_uris":["`+appURL+`"]}`)
			if a.Code != http.StatusUnauthorized || a.str("error") != "invalid_token" || !strings.HasPrefix(a.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s %s: %d %s", method, name, a.Code, a.Body)
			}
		}
	}
}

// RFC 7592 §2.2: a client may go over to a secret, and gets a new one, or to
// none.
func TestRegistration_RFC7592_2_2_Method(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	a := w.register(webApp)
	at, token, id := "/oauth/register/"+a.str("client_id"), a.str("registration_access_token"), a.str("client_id")
	change := func(method string) answer {
		return w.bring(http.MethodPut, at, token, `{"client_id":"`+id+`","redirect_uris":["`+appURL+`"],"token_endpoint_auth_method":"`+method+`"}`)
	}
	if got := change("none"); got.Code != http.StatusOK || got.json["client_secret_expires_at"] != nil {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	back := change("client_secret_post")
	if back.Code != http.StatusOK || back.str("client_secret") == "" || back.str("client_secret") == a.str("client_secret") {
		t.Errorf("%d %s", back.Code, back.Body)
	}
	request := ask(id)
	code := w.as("ann").code(request, "")
	if got := w.exchange(request, code, "client_secret", a.str("client_secret")); got.Code != http.StatusUnauthorized {
		t.Errorf("the secret of before: %d", got.Code)
	}
	if got := w.exchange(request, code, "client_secret", back.str("client_secret")); got.Code != http.StatusOK {
		t.Errorf("the new secret: %d %s", got.Code, got.Body)
	}
}

// Q11: scripts of any origin register and manage themselves.
func TestQuirk_Q11_RegistrationCORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	for path, methods := range map[string][]string{"/oauth/register": {"POST"}, "/oauth/register/x": {"GET", "PUT", "DELETE"}} {
		a := w.do(httptest.NewRequest(http.MethodOptions, issuer+path, nil))
		for _, method := range methods {
			if a.Code != http.StatusNoContent || !strings.Contains(a.Header().Get("Access-Control-Allow-Methods"), method) {
				t.Errorf("%s: %d %v", path, a.Code, a.Header())
			}
		}
	}
}

// Q16: an operator sees what became of each attempt, without a credential.
func TestQuirk_Q16_RegistrationIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registering)
	a := w.register(webApp)
	w.register(`{"redirect_uris":["myapp:/cb"]}`)
	logs := w.logs.String()
	for _, want := range []string{`"endpoint":"register"`, a.str("client_id"), "invalid_redirect_uri", "client registered"} {
		if !strings.Contains(logs, want) {
			t.Errorf("%s is not in the log: %s", want, logs)
		}
	}
	if strings.Contains(logs, a.str("client_secret")) || strings.Contains(logs, a.str("registration_access_token")) {
		t.Error("a credential is in the log")
	}
}

// Whatever is sent, a registration is made or refused, and what is made is what
// the store has.
func FuzzRegister(f *testing.F) {
	w := newWorld(f, registering, silent, func(c *authserver.Config) { c.Registration.Dynamic.PerAddress = 1 << 30 })
	for _, seed := range []string{webApp, `{}`, `{"redirect_uris":["http://localhost:1/cb"],"scope":"mcp:read x"}`, `{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, issuer+"/oauth/register", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		w.handler.ServeHTTP(recorder, r)
		var got struct {
			ClientID string `json:"client_id"`
			Method   string `json:"token_endpoint_auth_method"`
			Secret   string `json:"client_secret"`
			Error    string `json:"error"`
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
			t.Fatalf("%q: %v", recorder.Body, err)
		}
		switch {
		case recorder.Code == http.StatusCreated && (got.ClientID == "" || (got.Secret != "") != strings.HasPrefix(got.Method, "client_secret_")):
			t.Fatalf("%q: %s", body, recorder.Body)
		case recorder.Code != http.StatusCreated && (recorder.Code >= http.StatusInternalServerError || got.Error == ""):
			t.Fatalf("%q: %d %s", body, recorder.Code, recorder.Body)
		}
	})
}
