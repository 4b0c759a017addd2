package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// Clients register without naming the refresh_token grant or application_type,
// with members nobody has heard of; they connect and stay connected.
func TestQuirk_Q17_LiberalRegistration(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	w.User(username, password)
	b := w.Browser(username, password)
	for name, body := range map[string]string{
		"bare":     `{"redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none"}`,
		"resource": `{"redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none","resource":"` + w.Resource + `","unheard_of":{"a":[1]}}`,
	} {
		response, err := w.HTTP.Post(w.Issuer+"/oauth/register", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var client struct {
			ClientID string `json:"client_id"`
		}
		err = json.NewDecoder(response.Body).Decode(&client)
		if _ = response.Body.Close(); err != nil || response.StatusCode != http.StatusCreated {
			t.Errorf("%s: %d %v", name, response.StatusCode, err)
			continue
		}
		got, err := obtain(t.Context(), w, b, client.ClientID, callback)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if status, next, err := present(t.Context(), w, w.Issuer, client.ClientID, refreshing(got.Refresh)); err != nil || status != http.StatusOK {
			t.Errorf("%s: refresh: %d %s %v", name, status, next.Error, err)
		}
	}
}
