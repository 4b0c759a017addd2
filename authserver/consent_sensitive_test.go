package authserver_test

import (
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// AS-27: what includes something sensitive is sensitive: nobody gets it by
// leaving the page as it was.
func TestConsent_AS27_SensitiveByImplication(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) {
		catalog, err := scopes.NewCatalog(append(scopes.Default(),
			scopes.Scope{Name: "suite:all", Description: "Use the suite", Implies: []string{"mcp:admin"}})...)
		if err != nil {
			t.Fatal(err)
		}
		c.Scopes, c.Resources[0].Scopes = catalog, nil
	})
	w.app("app", func(c *storage.Client) { c.Scopes = []string{"mcp:read", "suite:all"} })
	request := ask("app", "scope", "mcp:read suite:all")
	b := w.as("ann")
	a := b.decide(b.authorize(request, ""), "allow")
	if tokens := w.exchange(request, a.arrived(t, appURL).Get("code")); tokens.str("scope") != "mcp:read" {
		t.Errorf("granted by leaving the page as it was: %s", tokens.Body)
	}
}
