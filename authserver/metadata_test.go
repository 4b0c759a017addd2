package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// metadata is the server's document.
func (w *world) metadata() answer {
	w.t.Helper()
	return w.do(httptest.NewRequest(http.MethodGet, issuer+"/.well-known/oauth-authorization-server", nil))
}

// What is advertised is there, and nothing that is not done is advertised.
func TestMetadata_RFC8414_2_Members(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	document := w.metadata()
	for member, want := range map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/oauth/authorize", "userinfo_endpoint": issuer + "/oauth/userinfo",
		"device_authorization_endpoint": issuer + "/oauth/device_authorization", "pushed_authorization_request_endpoint": issuer + "/oauth/par",
		"authorization_response_iss_parameter_supported": true, "require_pushed_authorization_requests": false,
		"request_parameter_supported": false, "request_uri_parameter_supported": false, "claims_parameter_supported": false,
	} {
		if document.json[member] != want {
			t.Errorf("%s = %v", member, document.json[member])
		}
	}
	for member, want := range map[string]string{
		"response_types_supported": "code", "response_modes_supported": "query", "code_challenge_methods_supported": "S256",
		"subject_types_supported": "public", "prompt_values_supported": "none login consent select_account", "protected_resources": notesURL + " " + rootURL,
		"token_endpoint_auth_methods_supported":         "client_secret_basic client_secret_post private_key_jwt none",
		"introspection_endpoint_auth_methods_supported": "client_secret_basic client_secret_post private_key_jwt",
		"grant_types_supported":                         "authorization_code refresh_token client_credentials urn:ietf:params:oauth:grant-type:device_code",
	} {
		var got []string
		for _, value := range document.json[member].([]any) {
			got = append(got, value.(string))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s = %v", member, got)
		}
	}
	for member, value := range document.json {
		if at, ok := value.(string); ok && (strings.HasSuffix(member, "_endpoint") || member == "jwks_uri") {
			if a := w.do(httptest.NewRequest(http.MethodGet, at, nil)); a.Code == http.StatusNotFound {
				t.Errorf("%s: there is nothing at %s", member, at)
			}
		}
	}
}

// A grant type that is not offered, or one that OAuth 2.1 removed, is refused
// by its own error, whoever asks; parameters count once.
func TestToken_RFC6749_5_2_GrantTypesThatAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app("app")
	for _, grantType := range []string{"password", "implicit", "urn:ietf:params:oauth:grant-type:token-exchange", "authorization_code refresh_token", "Device_Code"} {
		a := w.do(form("/oauth/token", values("grant_type", grantType, "client_id", "app")))
		if a.Code != http.StatusBadRequest || a.str("error") != "unsupported_grant_type" {
			t.Errorf("%s: %d %s", grantType, a.Code, a.Body)
		}
	}
	for _, repeated := range []string{"grant_type", "client_id", "device_code", "code", "refresh_token"} {
		form := form("/oauth/token", values("grant_type", deviceGrant, "client_id", "app", "device_code", "x", repeated, "y", repeated, "z"))
		if a := w.do(form); a.Code != http.StatusBadRequest || a.str("error") != "invalid_request" {
			t.Errorf("repeated %s: %d %s", repeated, a.Code, a.Body)
		}
	}
}
