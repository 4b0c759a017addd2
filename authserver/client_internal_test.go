package authserver

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func preparing(t *testing.T) *clients {
	t.Helper()
	catalog, err := scopes.NewCatalog(append(scopes.Default(), scopes.Scope{Name: "all", Description: "Do all", Implies: []string{scopes.MCPAdmin}})...)
	if err != nil {
		t.Fatal(err)
	}
	if catalog, err = withIdentity(catalog); err != nil {
		t.Fatal(err)
	}
	return &clients{catalog: catalog, resources: []string{"https://mcp.example/a", "https://mcp.example/b"}}
}

// AS-15: who introduced itself may use every resource, the first one when it
// names none, and asks for nothing sensitive or personal by asking for nothing.
func TestClient_AS15_WhatIsLeftOpen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		record    storage.Client
		resource  string
		audiences int
		may       string
		defaults  string
	}{
		{"dynamic", storage.Client{Registration: storage.RegisteredDynamically}, "https://mcp.example/a", 2, "mcp:admin", "mcp:read mcp:tools mcp:write"},
		{"document", storage.Client{Registration: storage.RegisteredByDocument}, "https://mcp.example/a", 2, "email", "mcp:read mcp:tools mcp:write"},
		{"that named its scope", storage.Client{Registration: storage.RegisteredDynamically, DefaultScopes: []string{"mcp:read"}}, "https://mcp.example/a", 2, "mcp:write", "mcp:read"},
		{"that an operator has limited", storage.Client{Registration: storage.RegisteredDynamically, Scopes: []string{"mcp:read", "mcp:admin"}, Resources: []string{"https://mcp.example/b"}}, "", 1, "mcp:admin", "mcp:read"},
		{"with sensitive scopes only", storage.Client{Registration: storage.RegisteredDynamically, Scopes: []string{"mcp:admin"}}, "https://mcp.example/a", 2, "mcp:read", "mcp:admin"},
		{"an operator's", storage.Client{Registration: storage.RegisteredByOperator, Scopes: []string{"mcp:admin", "mcp:read"}, Resources: []string{"https://mcp.example/b"}}, "", 1, "mcp:admin", "mcp:admin mcp:read"},
		{"an operator's without anything", storage.Client{}, "", 0, "", ""},
	} {
		c := preparing(t).prepare(test.record)
		if c.DefaultResource != test.resource || len(c.audiences) != test.audiences || c.defaults.String() != test.defaults || (test.may != "" && !c.scopes.Has(test.may)) {
			t.Errorf("%s: %q, %v, %q, %q", test.name, c.DefaultResource, c.audiences, c.defaults, c.scopes)
		}
	}
}

// AS-20: consent is for where answers go and how the client proves who it is.
func TestClient_AS20_Digest(t *testing.T) {
	t.Parallel()
	of := func(change func(*storage.Client)) []byte {
		c := storage.Client{ID: "c", AuthMethod: "none", RedirectURIs: []string{"https://a.example", "https://b.example"}}
		change(&c)
		return (&client{Client: c}).digest()
	}
	before := of(func(*storage.Client) {})
	for name, change := range map[string]func(*storage.Client){
		"name":  func(c *storage.Client) { c.Name = "x" },
		"order": func(c *storage.Client) { slices.Reverse(c.RedirectURIs) },
		"scope": func(c *storage.Client) { c.DefaultScopes = []string{"mcp:read"} },
	} {
		if !bytes.Equal(of(change), before) {
			t.Errorf("another %s asks again", name)
		}
	}
	for name, change := range map[string]func(*storage.Client){
		"redirect URI": func(c *storage.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://c.example") },
		"joined URIs":  func(c *storage.Client) { c.RedirectURIs = []string{"https://a.example,https://b.example"} },
		"method":       func(c *storage.Client) { c.AuthMethod = "private_key_jwt" },
		"keys":         func(c *storage.Client) { c.JWKS = []byte(`{"keys":[]}`) },
		"jwks_uri":     func(c *storage.Client) { c.JWKSURI = `{"keys":[]}` },
	} {
		if bytes.Equal(of(change), before) {
			t.Errorf("another %s does not ask again", name)
		}
	}
}
