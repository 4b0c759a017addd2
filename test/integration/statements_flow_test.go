package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// A person's first flow with a client that the server knows costs at most 8
// statements from the authorization request to the tokens; redeeming a code and
// refreshing cost one each, whatever the tokens' format.
func TestStatements_CodeFlow(t *testing.T) {
	t.Parallel()
	for _, format := range []storage.TokenFormat{storage.FormatJWT, storage.FormatOpaque} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			counted := &counter{}
			w := world.Start(t, world.Postgres(t, counted))
			w.User(username, password)
			w.PublicClient("app", func(c *storage.Client) { c.TokenFormat = format })
			b, r := w.Browser(username, password), newRequest("app", callback)
			_, _, _ = present(t.Context(), w, w.Issuer, "app", refreshing("unknown")) // the client is in the cache
			counted.take()
			code, err := r.code(t.Context(), w, b)
			if err != nil {
				t.Fatal(err)
			}
			people := counted.take()
			spend := func(what string, most int, form map[string][]string) tokens {
				t.Helper()
				status, got, err := present(t.Context(), w, w.Issuer, "app", form)
				if err != nil || status != http.StatusOK || (got.Access[:4] == "gha_") != (format == storage.FormatOpaque) {
					t.Fatalf("%s: %d %s %v", what, status, got.Error, err)
				}
				if taken := counted.take(); len(taken) != most {
					t.Errorf("%s: %d statements, not %d:\n%s", what, len(taken), most, strings.Join(taken, "\n"))
				}
				return got
			}
			got := spend("code", 1, r.redemption(code))
			if all := len(people) + 1; all > 8 {
				t.Errorf("the flow: %d statements:\n%s", all, strings.Join(people, "\n"))
			} else {
				t.Logf("the flow: %d statements", all)
			}
			for range 3 {
				got = spend("refresh", 1, refreshing(got.Refresh))
			}
		})
	}
}
