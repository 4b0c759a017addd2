package integration

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// Two authorization servers on one Postgres are one: a token of either is good
// at the other, and what one revokes the other refuses, and so does a resource
// server that is connected to the other.
func TestReplicas_D7_RevocationReachesTheOthers(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Postgres(t, nil))
	other := w.Replica()
	for _, id := range []string{"jwt", "opaque"} {
		secret := w.Client(id)
		if id == "opaque" {
			id, secret = "gha", w.Client("gha", world.Opaque)
		}
		status, body, err := w.PostTo(t.Context(), other+"/oauth/token", id, secret, url.Values{"grant_type": {"client_credentials"}})
		var issued struct {
			AccessToken string `json:"access_token"`
		}
		if err != nil || status != http.StatusOK || json.Unmarshal(body, &issued) != nil {
			t.Fatalf("%s: %d %s %v", id, status, body, err)
		}
		if status := call(t, w, issued.AccessToken); status != http.StatusOK {
			t.Errorf("%s: a token of the replica is refused with %d", id, status)
		}
		if status, body, err := w.PostTo(t.Context(), other+"/oauth/revoke", id, secret, url.Values{"token": {issued.AccessToken}}); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s %v", id, status, body, err)
		}
		w.Eventually("the resource server refuses it", func() bool { return call(t, w, issued.AccessToken) == http.StatusUnauthorized })
		w.Eventually("the other authorization server calls it inactive", func() bool {
			var answer struct{ Active bool }
			_, body, err := w.Post(t.Context(), "/oauth/introspect", w.IntrospectID, w.IntrospectSecret, url.Values{"token": {issued.AccessToken}})
			return err == nil && json.Unmarshal(body, &answer) == nil && !answer.Active
		})
	}
}
